package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
)

// buildScript makes one file of a function's TypeScript or JavaScript and what it imports.
func buildScript(p *progress, function, path string) ([]byte, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, &adviceError{fmt.Errorf("function %s: there is no file %s", function, path), "correct source: in fn.yaml, a path from there"}
	}
	p.doing("building %s", function)
	r, err := jsbuild.Build(path)
	if err != nil {
		return nil, fmt.Errorf("function %s: %w", function, err)
	}
	p.done("built %s (%s)", function, size(int64(len(r.Script))))
	for _, note := range r.Notes {
		p.done("note: %s", note)
	}
	return r.Script, nil
}

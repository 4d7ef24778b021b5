package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
)

// buildScript makes one file of a function's TypeScript or JavaScript and what it imports.
func buildScript(path string) (built, error) {
	project, err := openScript(path)
	if err != nil {
		return built{}, err
	}
	defer project.Close()
	return scriptOf(project)
}

// openScript begins with a script that is built again and again.
func openScript(path string) (*jsbuild.Project, error) {
	if err := checkScript(path); err != nil {
		return nil, err
	}
	return jsbuild.Open(path)
}

func checkScript(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return &adviceError{fmt.Errorf("there is no file %s", path), "correct source: in fn.yaml, a path from there"}
	}
	return nil
}

func scriptOf(p *jsbuild.Project) (built, error) {
	r, err := p.Build()
	return built{module: r.Script, notes: r.Notes, inputs: r.Inputs, parts: r.Parts}, err
}

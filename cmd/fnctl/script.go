package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"unicode/utf8"
)

var notInSourceName = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// readScript reads a function's JavaScript and puts the file's name on a last line of its own, as bundlers do: stack traces show it.
func readScript(function, path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("function %s: read its script: %w", function, err)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(b) {
		return nil, &adviceError{fmt.Errorf("function %s: %s is not text in UTF-8", function, path), "save it as UTF-8"}
	}
	const comment = "//# sourceURL="
	if bytes.Contains(b, []byte("\n"+comment)) {
		return b, nil
	}
	b = append(bytes.TrimRight(b, "\n"), '\n')
	return fmt.Appendf(b, "%s%s\n", comment, notInSourceName.ReplaceAllString(filepath.Base(path), "_")), nil
}

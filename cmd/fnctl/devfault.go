package main

import (
	"errors"
	"os"
	"strings"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/gobuild"
)

// faultText is why a function cannot be built, with the line that is wrong and a caret below it. esbuild says it so; what the go command says is completed.
func faultText(err error) string {
	var compile *gobuild.CompileError
	if !errors.As(err, &compile) {
		return err.Error()
	}
	return withSource(compile.Dir, err.Error())
}

// withSource puts below each fault of the go command the line of the file that it names, as seen from dir, and a caret.
func withSource(dir, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(line)
		file, number, column, ok := gobuild.Place(line)
		if !ok {
			continue
		}
		source, ok := lineOf(under(dir, file), number)
		if !ok || column < 1 || column > len(source)+1 {
			continue
		}
		if !strings.HasSuffix(line, "\n") {
			out.WriteString("\n")
		}
		out.WriteString("    " + source + "\n    " + indentOf(source[:column-1]) + "^\n")
	}
	return strings.TrimRight(out.String(), "\n")
}

// lineOf is a line of a file, which count from 1.
func lineOf(file string, number int) (string, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", false
	}
	lines := strings.Split(string(text), "\n")
	if number < 1 || number > len(lines) {
		return "", false
	}
	return strings.TrimRight(lines[number-1], "\r"), true
}

// indentOf is as wide as a text, whatever a tab is.
func indentOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, text)
}

// Package manifest reads fn.yaml, the file that describes an app, and turns it into what a deploy sends.
//
// Every fault is reported with file, line and column, all of them at once where the file's structure allows it.
// Keys that exist in the design but are not in force in this release are refused by name, never ignored.
package manifest

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/evoke-run/evoke/api"
)

// MaxSize is the largest manifest that is read, in bytes.
const MaxSize = 1 << 18

// Manifest is one fn.yaml.
type Manifest struct {
	// App is the name of the app.
	App string
	// Functions are in the order of the file.
	Functions []Function
	Topics    map[string]api.TopicSpec
}

// Function is one entry of `functions`. Exactly one of Source and Wasm is set; both are as written, relative to the manifest's directory.
type Function struct {
	Name string
	// Source is the directory of a Go package or of a Rust crate, or a file of TypeScript or JavaScript, see Script.
	Source string
	// Wasm is a module that is built already.
	Wasm string
	// Warm is the file of an event that a script handles before its snapshot is taken; "" = none.
	Warm string
	// Spec has everything but Module and Warm, with the manifest's defaults laid under it.
	Spec api.FunctionSpec
}

// Script says whether the function is a script: Source is then a file, from which one is made with all that it imports.
func (f *Function) Script() bool {
	switch strings.ToLower(path.Ext(f.Source)) {
	case ".ts", ".mts", ".tsx", ".js", ".mjs", ".jsx":
		return true
	}
	return false
}

// API is the app as the management API takes it. digests holds the digest of each function's module by the function's name.
func (m *Manifest) API(digests map[string]string) api.App {
	app := api.App{Functions: make(map[string]api.FunctionSpec, len(m.Functions)), Topics: m.Topics}
	for _, f := range m.Functions {
		spec := f.Spec
		spec.Module = digests[f.Name]
		app.Functions[f.Name] = spec
	}
	return app
}

// Parse reads a manifest. file names it in messages. The error is a Faults for everything that is wrong with the text.
func Parse(file string, src []byte) (*Manifest, error) {
	d := &decoder{file: file}
	if len(src) > MaxSize {
		d.fault(at{1, 1}, "the file has %d bytes, the limit is %d", len(src), MaxSize)
		return nil, d.err()
	}
	body, ok := d.document(src)
	if !ok {
		return nil, d.err()
	}
	m := d.manifest(value{node: body})
	if len(d.faults) == 0 {
		d.judge(m)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// document parses the YAML and returns the body of its only document.
func (d *decoder) document(src []byte) (ast.Node, bool) {
	if p, deep := tooDeep(src); deep {
		d.fault(p, "brackets or lists are nested more than %d deep", maxDepth)
		return nil, false
	}
	file, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil, false
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			d.fault(position(doc.Body), "a manifest is one YAML document, this is a second one; remove the `---`")
			return nil, false
		}
		body = doc.Body
	}
	if body == nil {
		d.fault(at{1, 1}, "the manifest is empty; it needs version, app and functions")
		return nil, false
	}
	return body, true
}

// maxDepth bounds the recursion of the YAML parser; a filter needs 40, all else five.
const maxDepth = 100

// tooDeep finds where brackets, or the lists that begin in one line (- - -), are deeper than that. Nothing else nests without growing with the square of its depth.
func tooDeep(src []byte) (p at, deep bool) {
	p = at{line: 1}
	brackets, dashes, begins := 0, 0, true // begins: the line has had nothing but spaces and dashes
	for i, c := range src {
		if c&0xc0 != 0x80 { // else it goes on with a character
			p.column++
		}
		switch c {
		case '[', '{':
			brackets++
		case ']', '}':
			brackets--
		case '\n':
			p.line, p.column, dashes, begins = p.line+1, 0, 0, true
			continue
		}
		switch {
		case (c == '-' || c == '?') && i+1 < len(src) && (src[i+1] == ' ' || src[i+1] == '\t'):
			dashes++
		case c != ' ' && c != '\t':
			begins = false
		}
		if brackets > maxDepth || begins && dashes > maxDepth {
			return p, true
		}
	}
	return p, false
}

func (d *decoder) syntax(err error) {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil && e.GetToken().Position != nil {
		p := e.GetToken().Position
		d.fault(at{p.Line, p.Column}, "not valid YAML: %s", e.GetMessage())
		return
	}
	d.fault(at{1, 1}, "not valid YAML: %v", fmt.Sprint(err))
}

package manifest

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// schema is the part of JSON Schema that fn.yaml needs.
type schema struct {
	Schema      string `json:"$schema,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`

	// Type is a string, or a list of them.
	Type      any      `json:"type,omitempty"`
	Enum      []string `json:"enum,omitempty"`
	Pattern   string   `json:"pattern,omitempty"`
	MinLength int      `json:"minLength,omitempty"`
	Minimum   *int     `json:"minimum,omitempty"`
	Maximum   *int     `json:"maximum,omitempty"`
	Examples  []any    `json:"examples,omitempty"`
	// Items are those of a list.
	Items *schema `json:"items,omitempty"`
	// Properties are the keys of a map; with AdditionalProperties false there are no others, else it is the schema of what is under any other key.
	Properties           map[string]*schema `json:"properties,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"`

	AnyOf []*schema `json:"anyOf,omitempty"`
}

// form is what is known so far about the values at one place of a manifest. Each of alternatives is one that may be there.
type form struct {
	path         string // "functions.on.topic.batch": without names of functions and numbers of items
	alternatives []*alternative
}

type alternative struct {
	schema
	items *form
	keys  map[string]*form
	other *form // under any other key
}

// JSONSchema describes fn.yaml to editors.
//
// It is not written down anywhere: the functions that read a manifest are given one value of each YAML type at each place, and each of them tells what it would
// take there (tell) instead of reading it. So a key that can be read is in the schema, and no other.
func JSONSchema() []byte {
	d := &decoder{}
	root := &form{}
	for _, v := range root.probes("") {
		d.manifest(v)
	}
	s := root.schema()
	s.Schema, s.Title = "http://json-schema.org/draft-07/schema#", "fn.yaml of Evoke"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(s); err != nil {
		panic(err) // strings, numbers and maps of them
	}
	return b.Bytes()
}

// oneOfEach has a value of each type.
var oneOfEach = func() []ast.Node {
	file, err := parser.ParseBytes([]byte("- {}\n- []\n- text\n- 1\n- 1.5\n- true\n"), 0)
	if err != nil {
		panic(err)
	}
	return file.Docs[0].Body.(*ast.SequenceNode).Values
}()

// probes are values, one of each type, for whoever reads what is at this place.
func (f *form) probes(path string) []value {
	out := make([]value, len(oneOfEach))
	for i, n := range oneOfEach {
		out[i] = value{path: path, node: n, out: f}
	}
	return out
}

// tell says what may stand here, if v is a probe; the reader then has nothing left to do.
func (v value) tell(schemas ...schema) bool {
	if v.out == nil {
		return false
	}
	for _, s := range schemas {
		if s.Type == typeOf(v.node) {
			v.out.add(s)
		}
	}
	return true
}

func typeOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode:
		return "object"
	case *ast.SequenceNode:
		return "array"
	case *ast.IntegerNode:
		return "integer"
	case *ast.FloatNode:
		return "number"
	case *ast.BoolNode:
		return "boolean"
	}
	return "string"
}

// add answers the alternative with this schema, new or as it is.
func (f *form) add(s schema) *alternative {
	for _, a := range f.alternatives {
		if reflect.DeepEqual(a.schema, s) {
			return a
		}
	}
	a := &alternative{schema: s, keys: map[string]*form{}}
	f.alternatives = append(f.alternatives, a)
	return a
}

// mapOrNothing: `http:` is a map without members.
var mapOrNothing = []string{"object", "null"}

// tellObject says which keys there may be, and asks their readers.
func (v value) tellObject(k keys) bool {
	if typeOf(v.node) != "object" {
		return false
	}
	a := v.out.add(schema{Type: mapOrNothing, AdditionalProperties: false})
	for name, read := range k.read {
		if a.keys[name] == nil {
			a.keys[name] = &form{path: join(v.out.path, name)}
		}
		for _, child := range a.keys[name].probes(v.child(name, nil).path) {
			read(child)
		}
	}
	return true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// tellMap says that any key may be there, and asks what may be under it.
func (v value) tellMap(read func(name string, keyAt at, child value)) bool {
	if typeOf(v.node) != "object" {
		return false
	}
	a := v.out.add(schema{Type: mapOrNothing})
	if a.other == nil {
		a.other = &form{path: v.out.path}
	}
	for _, child := range a.other.probes(v.child("name", nil).path) {
		read("name", v.at(), child)
	}
	return true
}

// tellItems answers items of each type.
func (v value) tellItems() []value {
	if typeOf(v.node) != "array" {
		return nil
	}
	a := v.out.add(schema{Type: "array"})
	if a.items == nil {
		a.items = &form{path: v.out.path}
	}
	return a.items.probes(v.path + "[0]")
}

func (f *form) schema() *schema {
	var out []*schema
	for _, a := range f.alternatives {
		s := a.schema
		if a.items != nil {
			s.Items = a.items.schema()
		}
		if len(a.keys) > 0 {
			s.Properties = map[string]*schema{}
		}
		for name, child := range a.keys {
			s.Properties[name] = child.schema()
			s.Properties[name].Description = description(child.path)
		}
		if a.other != nil {
			s.AdditionalProperties = a.other.schema()
		}
		out = append(out, &s)
	}
	if len(out) == 1 {
		return out[0]
	}
	return &schema{AnyOf: out}
}

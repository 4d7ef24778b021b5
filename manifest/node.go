package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// value is a node with the path that names it in messages, "functions.charge.on[0]".
type value struct {
	path string
	node ast.Node
	out  *form // nil, but for a probe: what is told about it (see JSONSchema)
}

func (v value) at() at { return position(v.node) }

// child names a member of a map.
func (v value) child(key string, n ast.Node) value {
	if v.path == "" {
		return value{path: key, node: n}
	}
	return value{path: v.path + "." + key, node: n}
}

// position is where a node starts. A block map starts at its first key.
func position(n ast.Node) at {
	switch n := n.(type) {
	case nil:
		return at{1, 1}
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return position(n.Values[0])
		}
	case *ast.MappingValueNode:
		return position(n.Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return at{t.Position.Line, t.Position.Column}
	}
	return at{1, 1}
}

// keys says how to read the members of a map.
type keys struct {
	read map[string]func(value)
	// later are keys of the design that this release does not have yet.
	later []string
}

// object reads a map by its known keys and reports every other. It answers whether v is a map at all.
func (d *decoder) object(v value, k keys) bool {
	if v.out != nil {
		return v.tellObject(k)
	}
	return d.each(v, func(name string, keyAt at, child value) {
		if read, ok := k.read[name]; ok {
			read(child)
			return
		}
		if slices.Contains(k.later, name) {
			d.fault(keyAt, "%s is not supported yet", child.path)
			return
		}
		d.unknown(keyAt, child.path, name, slices.Sorted(maps.Keys(k.read)))
	})
}

func (d *decoder) unknown(p at, path, name string, known []string) {
	if near := closest(name, known); near != "" {
		d.fault(p, "%s is not a known key; did you mean %s?", path, near)
		return
	}
	d.fault(p, "%s is not a known key; known here: %s", path, strings.Join(known, ", "))
}

// each calls f for every member of a map, in order. An absent value (`http:`) is a map without members.
func (d *decoder) each(v value, f func(name string, keyAt at, child value)) bool {
	if v.out != nil {
		return v.tellMap(f)
	}
	var members []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		members = n.Values
	case *ast.MappingValueNode:
		members = []*ast.MappingValueNode{n}
	case nil, *ast.NullNode:
	default:
		d.wrongType(v, "a map")
		return false
	}
	seen := make(map[string]int, len(members))
	for _, m := range members {
		keyAt := position(m.Key)
		name, ok := keyName(m.Key)
		if !ok {
			d.fault(keyAt, "%s is not usable as a key; write a plain name", strings.TrimSpace(fmt.Sprint(m.Key)))
			continue
		}
		child := v.child(name, m.Value)
		if line, dup := seen[name]; dup {
			d.fault(keyAt, "%s is there twice, first in line %d", child.path, line)
			continue
		}
		seen[name] = keyAt.line
		d.remember(child)
		f(name, keyAt, child)
	}
	return true
}

func keyName(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode:
		return k.GetToken().Value, true
	}
	return "", false
}

// items returns the members of a list, or nothing after reporting that v is none.
func (d *decoder) items(v value, want string) []value {
	if v.out != nil {
		return v.tellItems()
	}
	seq, ok := v.node.(*ast.SequenceNode)
	if !ok {
		d.wrongType(v, want)
		return nil
	}
	out := make([]value, len(seq.Values))
	for i, n := range seq.Values {
		out[i] = value{path: fmt.Sprintf("%s[%d]", v.path, i), node: n}
		d.remember(out[i])
	}
	return out
}

// text reads a string; ok is false after reporting that v is none.
func (d *decoder) text(v value, want string) (s string, ok bool) {
	if v.tell(schema{Type: "string"}) {
		return "", false
	}
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	d.wrongType(v, want)
	return "", false
}

// scalar reads anything but a map or a list in the form it was written.
func (d *decoder) scalar(v value) (s string, ok bool) {
	if v.tell(schema{Type: "string"}, schema{Type: "number"}, schema{Type: "boolean"}) {
		return "", false
	}
	switch n := v.node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		d.fault(v.at(), `%s has no value; write "" for an empty one`, v.path)
		return "", false
	}
	return d.text(v, "text")
}

func (d *decoder) wrongType(v value, want string) {
	if v.node == nil {
		d.fault(v.at(), "%s must be %s", v.path, want)
		return
	}
	switch v.node.(type) {
	case *ast.AliasNode, *ast.AnchorNode:
		d.fault(v.at(), "%s: YAML anchors and aliases are not supported; write the value out, or use defaults", orRoot(v.path))
	case *ast.TagNode:
		d.fault(v.at(), "%s: YAML tags are not supported; remove %s", orRoot(v.path), v.node.GetToken().Value)
	default:
		d.fault(v.at(), "%s must be %s, not %s", orRoot(v.path), want, kindName(v.node))
	}
}

func orRoot(path string) string {
	if path == "" {
		return "the manifest"
	}
	return path
}

func kindName(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a map"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	case *ast.LiteralNode:
		return "text"
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", shorten(n.Value))
	}
	return shorten(strings.TrimSpace(n.GetToken().Value))
}

func shorten(s string) string {
	const limit = 40
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

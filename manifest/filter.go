package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/evoke-run/evoke/filter"
)

const filterExample = `a filter like "type = 'com.shop.order'" or { exact: { type: com.shop.order } }`

// filter reads a CESQL expression, or a filter of the Subscriptions API, which is written in YAML here and is JSON from then on.
func (d *decoder) filter(v value) string {
	if v.tell(schema{Type: "string", MinLength: 1}, schema{Type: "object"}, schema{Type: "array"}) {
		return "" // which filters there are, package filter knows
	}
	w := filterWriter{decoder: d}
	switch kindName(v.node) {
	case "a map", "a list":
		before := len(d.faults)
		w.write(v)
		if len(d.faults) > before {
			return ""
		}
	default:
		var text string
		d.anyText(&text, filterExample)(v)
		w.out.WriteString(text)
	}
	text := w.out.String()
	if _, err := filter.Parse(text); err != nil {
		w.fault(v, err)
	}
	return text
}

// filterWriter writes JSON and remembers where in the file each part of it came from.
type filterWriter struct {
	*decoder
	out    bytes.Buffer
	places []filterPlace
}

type filterPlace struct {
	offset int // in out
	at     at
}

func (w *filterWriter) mark(p at) { w.places = append(w.places, filterPlace{w.out.Len(), p}) }

func (w *filterWriter) write(v value) {
	switch n := v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		w.writeMap(v)
	case *ast.SequenceNode:
		w.mark(v.at())
		w.out.WriteByte('[')
		for i, item := range w.items(v, "a list") {
			w.comma(i)
			w.write(item)
		}
		w.out.WriteByte(']')
	case nil, *ast.NullNode:
		w.mark(v.at())
		w.out.WriteString("null")
	case *ast.IntegerNode:
		w.mark(v.at())
		fmt.Fprint(&w.out, n.Value)
	case *ast.FloatNode:
		w.mark(v.at())
		if text := n.GetToken().Value; json.Valid([]byte(text)) {
			w.out.WriteString(text)
		} else {
			fmt.Fprint(&w.out, n.Value)
		}
	case *ast.BoolNode:
		w.mark(v.at())
		fmt.Fprint(&w.out, n.Value)
	default:
		w.mark(v.at())
		if plain, ok := n.(*ast.StringNode); ok && plain.Token.Type == token.StringType && isNumber(plain.Value) {
			w.out.WriteString(plain.Value) // 1e3 is a number in YAML, whatever its parser says
			return
		}
		if s, ok := w.text(v, "a text, a number, true, false or null"); ok {
			w.quote(s)
		}
	}
}

func isNumber(s string) bool {
	return s[0] != '"' && s != "true" && s != "false" && s != "null" && s[0] != '{' && s[0] != '[' && json.Valid([]byte(s))
}

func (w *filterWriter) writeMap(v value) {
	w.mark(v.at())
	w.out.WriteByte('{')
	n := 0
	w.each(v, func(name string, keyAt at, child value) {
		w.comma(n)
		n++
		w.mark(keyAt)
		w.quote(name)
		w.out.WriteByte(':')
		w.write(child)
	})
	w.out.WriteByte('}')
}

func (w *filterWriter) comma(n int) {
	if n > 0 {
		w.out.WriteByte(',')
	}
}

// quote writes a string as JSON has it, with signs like < as they are.
func (w *filterWriter) quote(s string) {
	e := json.NewEncoder(&w.out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)                 // a string always encodes
	w.out.Truncate(w.out.Len() - 1) // the newline behind it
}

// fault reports what is wrong with the filter of v, at the place that it came from.
func (w *filterWriter) fault(v value, err error) {
	var syntax *filter.SyntaxError
	if !errors.As(err, &syntax) || len(w.places) == 0 {
		w.decoder.fault(v.at(), "%s: %v", v.path, err)
		return
	}
	offset, left := w.out.Len(), syntax.Position-1
	for i := range w.out.String() {
		if left == 0 {
			offset = i
			break
		}
		left--
	}
	p := v.at()
	for _, place := range w.places {
		if place.offset <= offset {
			p = place.at
		}
	}
	path := v.path
	if syntax.Path != "" && syntax.Path[0] != '[' {
		path += "."
	}
	w.decoder.fault(p, "%s: %s", path+syntax.Path, syntax.Problem)
}

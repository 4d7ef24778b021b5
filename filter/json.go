package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// node is a value of a filter that is written as JSON, with its place in the text.
type node struct {
	at      int // bytes before it
	kind    kind
	text    string // as in datum
	members []member
}

// member is one of an object or, without a name, of a list.
type member struct {
	at   int // of the name
	name string
	node
}

// what names a value in a message.
func (n node) what() string {
	switch n.kind {
	case nullKind:
		return "null"
	case booleanKind, numberKind:
		return n.text
	case stringKind:
		return clip(n.text)
	case listKind:
		return "a list"
	}
	return "an object"
}

// isJSONText says whether a filter is written as JSON: no CESQL expression begins like that.
func isJSONText(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
}

// readJSON reads the text of a filter, whose size and depth have been checked.
func readJSON(text string) (node, error) {
	var any json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal([]byte(text), &any); errors.As(err, &syntax) {
		// The offset is that of the byte after the one that is wrong; at the end there is none.
		at := max(0, min(int(syntax.Offset)-1, len(text)))
		if strings.HasPrefix(syntax.Error(), "unexpected end") {
			at = len(text)
		}
		return node{}, faultIn(text, at, "", fmt.Sprintf("this is not JSON: %s", syntax))
	} else if err != nil {
		return node{}, faultIn(text, 0, "", fmt.Sprintf("this is not JSON: %s", err))
	}
	r := jsonReader{text: text, Decoder: json.NewDecoder(bytes.NewReader([]byte(text)))}
	r.UseNumber()
	return r.value()
}

// jsonReader reads JSON that is valid.
type jsonReader struct {
	text string
	*json.Decoder
}

// next is the place of the next token.
func (r *jsonReader) next() int {
	at := int(r.InputOffset())
	for at < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[at]) >= 0 {
		at++
	}
	return at
}

func (r *jsonReader) value() (node, error) {
	n := node{at: r.next()}
	token, err := r.Token()
	if err != nil {
		return n, err
	}
	switch token := token.(type) {
	case nil:
		n.kind = nullKind
	case bool:
		n.kind, n.text = booleanKind, fmt.Sprint(token)
	case json.Number:
		n.kind, n.text = numberKind, token.String()
	case string:
		n.kind, n.text = stringKind, token
	case json.Delim:
		n.kind = listKind
		if token == '{' {
			n.kind = objectKind
		}
		if err := r.members(&n); err != nil {
			return n, err
		}
		_, err = r.Token() // the closing bracket
	}
	return n, err
}

func (r *jsonReader) members(n *node) error {
	for r.More() {
		m := member{at: r.next()}
		if n.kind == objectKind {
			name, err := r.Token()
			if err != nil {
				return err
			}
			m.name, _ = name.(string)
		}
		var err error
		if m.node, err = r.value(); err != nil {
			return err
		}
		n.members = append(n.members, m)
	}
	return nil
}

// faultIn is a SyntaxError at a byte of a text. place is where in the filter it is, if that can be said.
func faultIn(text string, at int, place, problem string) *SyntaxError {
	return &SyntaxError{Position: utf8.RuneCountInString(text[:min(at, len(text))]) + 1, Path: place, Problem: problem}
}

// tooDeep finds where a text has more brackets open than a filter may. It looks at brackets outside of strings only, so it can be asked before anything is parsed, about
// text of any length.
func tooDeep(text string) (at int, deep bool) {
	depth := 0
	var quote byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case c == quote:
			quote = 0
		case quote != 0:
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return i, true
			}
		case c == ')' || c == ']' || c == '}':
			depth--
		}
	}
	return 0, false
}

package filter

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxMembers is how many members of a list in the data are looked at.
const maxMembers = 100

// datum is what stands at a place in JSON data.
type datum struct {
	kind    kind
	text    string  // of a string what it says, of a number and a boolean how it is written
	number  float64 // too large a number is infinite
	members []datum // of a list
}

type kind uint8

const (
	nullKind kind = iota
	booleanKind
	numberKind
	stringKind
	listKind
	objectKind
)

func (d datum) hasText() bool {
	return d.kind == booleanKind || d.kind == numberKind || d.kind == stringKind
}

// any calls is with the datum, or with those of a list, until it says yes.
func (d datum) any(is func(datum) bool) bool {
	if d.kind != listKind {
		return is(d)
	}
	for _, m := range d.members {
		if is(m) {
			return true
		}
	}
	return false
}

// walk reads all that is wanted out of the data, in one pass. Nothing else of it is kept, whatever its size. Data that is no JSON has nothing.
func (v *view) walk() {
	v.walked = true
	if len(v.event.Data) == 0 || !v.event.HasJSON() || !json.Valid(v.event.Data) {
		return
	}
	w := walker{view: v, data: v.event.Data}
	if w.space(); w.data[w.at] == '{' {
		w.object()
	}
}

// walker stands in JSON that is valid, so it asks only what it must. It goes as deep as the wanted paths do.
type walker struct {
	view *view
	data []byte
	at   int
	key  []byte // of the member it is in
	name []byte // room for names with escapes
}

func (w *walker) space() {
	for w.at < len(w.data) && (w.data[w.at] == ' ' || w.data[w.at] == '\n' || w.data[w.at] == '\t' || w.data[w.at] == '\r') {
		w.at++
	}
}

func (w *walker) object() {
	for w.at++; ; {
		switch w.space(); w.data[w.at] {
		case '}':
			w.at++
			return
		case ',':
			w.at++
			continue
		}
		name := w.string()
		w.space()
		w.at++ // the colon
		w.space()
		w.member(name)
	}
}

// member reads the value of a name, if it is wanted. Of a name that is there twice the first counts, as in key expressions.
func (w *walker) member(name []byte) {
	outer := len(w.key)
	defer func() { w.key = w.key[:outer] }()
	if !w.enter(name) {
		w.skip()
		return
	}
	here, below := w.view.wants(w.key)
	if !here && !below {
		w.skip()
		return
	}
	key := string(w.key)
	switch _, twice := w.view.found.get(key); {
	case twice:
		w.skip()
	case below && w.data[w.at] == '{':
		w.view.found.put(key, datum{kind: objectKind})
		w.object()
	default:
		w.view.found.put(key, w.value())
	}
}

// enter adds a name to the key. It answers false for one that no path can have.
func (w *walker) enter(quoted []byte) bool {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		w.name = unescape(w.name[:0], name)
		name = w.name
	}
	if len(name) == 0 || bytes.IndexByte(name, '.') >= 0 || bytes.IndexByte(name, 0) >= 0 {
		return false
	}
	if len(w.key) > 0 {
		w.key = append(w.key, 0)
	}
	w.key = append(w.key, name...)
	return true
}

// string passes over a string and returns it with its quotes.
func (w *walker) string() []byte {
	start := w.at
	for w.at++; w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	return w.data[start:w.at]
}

// skip passes over a value, however deep it is, and returns it.
func (w *walker) skip() []byte {
	start := w.at
	for depth := 0; ; {
		switch w.data[w.at] {
		case '"':
			w.string()
		case '{', '[':
			depth++
			w.at++
		case '}', ']':
			depth--
			w.at++
		case ',', ':', ' ', '\n', '\t', '\r':
			w.at++
		default:
			w.literal()
		}
		if depth == 0 {
			return w.data[start:w.at]
		}
	}
}

// literal passes over a number, true, false or null.
func (w *walker) literal() []byte {
	start := w.at
	for w.at < len(w.data) && bytes.IndexByte([]byte(",:]} \n\t\r"), w.data[w.at]) < 0 {
		w.at++
	}
	return w.data[start:w.at]
}

func (w *walker) value() datum {
	switch w.data[w.at] {
	case '{':
		w.skip()
		return datum{kind: objectKind}
	case '[':
		return w.list()
	case '"':
		return datum{kind: stringKind, text: unquote(w.string())}
	}
	text := string(w.literal())
	switch text {
	case "null":
		return datum{}
	case "true", "false":
		return datum{kind: booleanKind, text: text}
	}
	return datum{kind: numberKind, text: text, number: number(text)}
}

// list reads the first members of a list.
func (w *walker) list() datum {
	d := datum{kind: listKind}
	for w.at++; ; {
		switch w.space(); w.data[w.at] {
		case ']':
			w.at++
			return d
		case ',':
			w.at++
			continue
		}
		if c := w.data[w.at]; c == '[' || c == '{' || len(d.members) == maxMembers {
			w.skip()
			continue
		}
		d.members = append(d.members, w.value())
	}
}

// number reads a JSON number.
func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(n, 0) {
		return 0
	}
	return n
}

// unquote reads a JSON string that is known to be valid.
func unquote(quoted []byte) string {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner)
	}
	return string(unescape(nil, inner))
}

// unescape appends what stands between the quotes of a JSON string. Names may be made of nothing but escapes, and there may be many, so encoding/json, which makes a
// decoder for each, would take three times as long for the whole.
func unescape(out, inner []byte) []byte {
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		if c != '\\' {
			out = append(out, c)
			continue
		}
		i++
		switch c = inner[i]; c {
		case 'u':
			r := hex4(inner[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				pair := rune(unicode.ReplacementChar)
				if rest := inner[i+1:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
					pair = utf16.DecodeRune(r, hex4(rest[2:]))
				}
				if r = pair; pair != unicode.ReplacementChar {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		default:
			out = append(out, c) // quotes and slashes
		}
	}
	return out
}

func hex4(digits []byte) (r rune) {
	for _, c := range digits[:4] {
		switch {
		case c <= '9':
			c -= '0'
		case c <= 'F':
			c -= 'A' - 10
		default:
			c -= 'a' - 10
		}
		r = r<<4 | rune(c)
	}
	return r
}

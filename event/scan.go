package event

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// object walks the members of one JSON object in their order. encoding/json would make a map of them, and look at every byte of a long string several times; here most
// of an event is passed by at the speed of memory. What it hands out is what encoding/json finds valid (FuzzJSON compares).
type object struct {
	text  []byte
	at    int
	count int
	bad   bool
}

// open reads up to the first member.
func (o *object) open() bool {
	o.at = skipSpace(o.text, 0)
	if o.at == len(o.text) || o.text[o.at] != '{' {
		o.bad = true
		return false
	}
	o.at++
	return true
}

// next is the next member, its name without quotes and its value as it stands there; ok is false behind the last one, and at what is no JSON.
func (o *object) next() (name, value []byte, ok bool) {
	i := skipSpace(o.text, o.at)
	if i < len(o.text) && o.text[i] == '}' {
		o.bad = skipSpace(o.text, i+1) != len(o.text)
		return nil, nil, false
	}
	if o.count++; o.count > 1 {
		if i == len(o.text) || o.text[i] != ',' {
			return o.fail()
		}
		i = skipSpace(o.text, i+1)
	}
	end, valid := skipString(o.text, i)
	if !valid {
		return o.fail()
	}
	quoted := o.text[i:end]
	i = skipSpace(o.text, end)
	if i == len(o.text) || o.text[i] != ':' {
		return o.fail()
	}
	i = skipSpace(o.text, i+1)
	if end, valid = skipValue(o.text, i); !valid {
		return o.fail()
	}
	value, o.at = o.text[i:end], end
	name = quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		text, _ := unquote(quoted) // skipString found it valid
		name = []byte(text)
	}
	return name, value, true
}

func (o *object) fail() (name, value []byte, ok bool) {
	o.bad = true
	return nil, nil, false
}

// whyInvalid has the words of encoding/json, which says where, but for JSON of another kind.
func whyInvalid(text []byte) error {
	var members map[string]json.RawMessage
	err := json.Unmarshal(text, &members)
	if other, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("event is not a JSON object: it is of the kind %s", other.Value)
	}
	if err == nil { // null
		err = errors.New("it is null")
	}
	return fmt.Errorf("event is not a JSON object: %w", err)
}

// Elements hands out the elements of a JSON array, one after the other, so that a huge array of nothing takes no memory. It ends with the first error of each, as it is.
// Of an object or array it only finds the end: each reads it anyway, and must refuse what is no JSON.
func Elements(text []byte, each func(element []byte) error) error {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '[' {
		return errors.New("a batch must be a JSON array of events")
	}
	i = skipSpace(text, i+1)
	for n := 1; i < len(text) && text[i] != ']'; n++ {
		if n > 1 {
			if text[i] != ',' {
				return fmt.Errorf("the batch has %q behind event %d, where a comma or the end must be", text[i], n-1)
			}
			i = skipSpace(text, i+1)
		}
		end, valid := skipElement(text, i)
		if !valid {
			if i == len(text) || cutShort(text[i:]) {
				return fmt.Errorf("the batch ends early, in event %d", n)
			}
			return fmt.Errorf("event %d of the batch is not JSON", n)
		}
		if err := each(text[i:end]); err != nil {
			return err
		}
		i = skipSpace(text, end)
	}
	if i == len(text) {
		return errors.New("the batch ends early: its last bracket is missing")
	}
	if rest := bytes.TrimSpace(text[i+1:]); len(rest) > 0 {
		return fmt.Errorf("the batch has %d bytes after its end", len(rest))
	}
	return nil
}

// cutShort says that text begins as JSON does and ends before it.
func cutShort(text []byte) bool {
	var v json.RawMessage
	err := json.Unmarshal(text, &v)
	return err != nil && err.Error() == "unexpected end of JSON input"
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString finds the end of the string that begins at i, and says whether it is one.
func skipString(b []byte, i int) (end int, valid bool) {
	if i >= len(b) || b[i] != '"' {
		return i, false
	}
	n := bytes.IndexByte(b[i+1:], '"')
	if n < 0 {
		return i, false
	}
	if text := b[i+1 : i+1+n]; bytes.IndexByte(text, '\\') < 0 {
		return i + n + 2, !hasControl(text)
	}
	for end = i + 1; end < len(b); end++ {
		switch b[end] {
		case '\\':
			end++
		case '"':
			return end + 1, json.Valid(b[i : end+1])
		}
	}
	return i, false
}

// hasControl looks for bytes that a JSON string must escape, eight at a time.
func hasControl(b []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		if x := binary.LittleEndian.Uint64(b); (x-ones*0x20)&^x&tops != 0 {
			return true
		}
	}
	for _, ch := range b {
		if ch < 0x20 {
			return true
		}
	}
	return false
}

// skipValue finds the end of the value that begins at i, and says whether it is one.
func skipValue(b []byte, i int) (end int, valid bool) {
	if i == len(b) {
		return i, false
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		end, valid = skipNested(b, i)
		return end, valid && json.Valid(b[i:end])
	}
	for end = i; end < len(b) && !endsLiteral(b[end]); {
		end++
	}
	return end, json.Valid(b[i:end])
}

// skipElement is skipValue without a look at what is nested.
func skipElement(b []byte, i int) (end int, closed bool) {
	if i < len(b) && (b[i] == '{' || b[i] == '[') {
		return skipNested(b, i)
	}
	return skipValue(b, i)
}

func endsLiteral(ch byte) bool {
	return ch == ',' || ch == '}' || ch == ']' || ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t'
}

// skipNested finds the bracket that closes the one at i. What is between is for json.Valid, which also bounds how deep it goes.
func skipNested(b []byte, i int) (end int, closed bool) {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, true
			}
		case '"':
			i = closingQuote(b, i)
		}
	}
	return i, false
}

// closingQuote is where the string that begins at i ends, which is len(b) for one that does not.
func closingQuote(b []byte, i int) int {
	i++
	n := bytes.IndexByte(b[i:], '"')
	if n >= 0 && bytes.IndexByte(b[i:i+n], '\\') < 0 {
		return i + n
	}
	for ; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}

// unquote reads a JSON string out of JSON that was found to be valid. Most strings stand there as they are.
func unquote(raw []byte) (s string, err error) {
	if n := len(raw); n >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : n-1]), nil
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}

// halfPair says that a JSON string has one half of a surrogate pair, which is no character; encoding/json would replace it silently.
func halfPair(raw []byte) bool {
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if i++; raw[i] != 'u' {
			continue
		}
		switch first := hex4(raw, i+1); {
		case first >= 0xdc00 && first < 0xe000:
			return true
		case first >= 0xd800 && first < 0xdc00:
			if i+6 >= len(raw) || raw[i+5] != '\\' || raw[i+6] != 'u' {
				return true
			}
			if second := hex4(raw, i+7); second < 0xdc00 || second >= 0xe000 {
				return true
			}
			i += 10
		}
	}
	return false
}

func hex4(b []byte, i int) (v int) {
	for _, ch := range b[i:min(i+4, len(b))] {
		switch {
		case ch >= '0' && ch <= '9':
			v = v<<4 | int(ch-'0')
		default:
			v = v<<4 | int(ch|0x20-'a'+10)
		}
	}
	return v
}

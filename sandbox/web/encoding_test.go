package web

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// Each sequence that breaks off is one U+FFFD, as the web's decoders have it and Go's have not.
func TestDecodeUTF8(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "aü€😀": "aü€😀", "\xff": "\uFFFD", "\xc0\x80": "\uFFFD\uFFFD", "\xe2\x82": "\uFFFD", "\xe2\x82A": "\uFFFDA", "\xe2\x28\xa1": "\uFFFD(\uFFFD", "\xf0\x9f\x98": "\uFFFD",
		"\xed\xa0\x80": "\uFFFD\uFFFD\uFFFD", "\xf4\x90\x80\x80": "\uFFFD\uFFFD\uFFFD\uFFFD", "\xe0\x80\x80": "\uFFFD\uFFFD\uFFFD", "\uFFFD": "\uFFFD", "\xf0\x90\xf0\x90\x80\x80": "\uFFFD\U00010000",
	} {
		text, valid := decodeUTF8([]byte(in))
		if string(text) != want || valid != utf8.ValidString(in) {
			t.Errorf("%q: %q %v, want %q", in, text, valid, want)
		}
	}
}

func FuzzDecodeText(f *testing.F) {
	f.Add([]byte("a\xf0\x9f"), "utf-8")
	f.Add([]byte{0, 0xd8, 0}, "utf-16le")
	f.Fuzz(func(t *testing.T, b []byte, encoding string) {
		c := Call{Arguments: [][]byte{bytes.Clone(b), []byte(encoding)}}
		r, err := c.Do("text.decode")
		if err == nil && !utf8.Valid(r.Bytes) || !bytes.Equal(c.Arguments[0], b) {
			t.Errorf("%q of %q in %s", r.Bytes, b, encoding)
		}
		c.Arguments = append(c.Arguments, []byte("fatal"))
		if strict, err := c.Do("text.decode"); err == nil && !bytes.Equal(strict.Bytes, r.Bytes) {
			t.Errorf("%q, strictly %q", r.Bytes, strict.Bytes)
		}
	})
}

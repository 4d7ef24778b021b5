package web

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLongURLsAreNone(t *testing.T) {
	t.Parallel()
	long := []byte("http://h/" + strings.Repeat("a", maxURL))
	for _, c := range []struct {
		op        string
		arguments [][]byte
	}{{"url.parse", [][]byte{long}}, {"url.parse", [][]byte{[]byte("/x"), long}}, {"url.set", [][]byte{[]byte("http://h"), []byte("pathname"), long}}} {
		if r, err := (&Call{Arguments: c.arguments}).Do(c.op); err != nil || len(r.Bytes) > 0 {
			t.Errorf("%s: %.60q %v", c.op, r.Bytes, err)
		}
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"http://u:p@h:81/a?b#c", "x:y", "//h", "http://[::1]", "file:///C|/x", "blob:http://h/1"} {
		f.Add(s, "pathname", "/v")
	}
	f.Fuzz(func(t *testing.T, in, part, value string) {
		if !utf8.ValidString(in) || !utf8.ValidString(value) || part == "" {
			return
		}
		r, err := (&Call{Arguments: [][]byte{[]byte(in)}}).Do("url.parse")
		if err != nil || len(r.Bytes) == 0 {
			return
		}
		parts := strings.Split(string(r.Bytes), "\n")
		if len(parts) != 11 {
			t.Fatalf("%q has the parts %q", in, parts)
		}
		set, err := (&Call{Arguments: [][]byte{[]byte(parts[0]), []byte(part), []byte(value)}}).Do("url.set")
		if err == nil && len(set.Bytes) > 0 && strings.Count(string(set.Bytes), "\n") != 10 {
			t.Fatalf("%q of %q set to %q: %q", part, in, value, set.Bytes)
		}
	})
}

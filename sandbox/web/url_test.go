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

// What the parser would take seconds for is no URL; what is long and usual is one.
func TestIntricateURLsAreNone(t *testing.T) {
	t.Parallel()
	r := strings.Repeat
	for in, is := range map[string]bool{
		"http://" + r("@", 60_000) + "h/":                false,
		"http:/\\\t/" + r("@", 60_000) + "h":             false,
		" \nhttp:" + r("ü", 30_000):                      false,
		"x://" + r("\x01", 60_000) + "/":                 false,
		"http://h/" + r("a/", 30_000):                    false,
		"http://h" + r("\\", 30_000):                     false,
		"data:text/plain;base64," + r("Ab/0", 10_000):    true,
		"http://h/" + r("a", 60_000):                     true,
		"http://h/" + r("a/", 4000) + "?" + r("/", 9000): true,
		"http://h/?" + r("//@", 9000) + "#" + r("@", 99): true,
		"http://" + r("u", 500) + "@h/":                  true,
	} {
		if out := must(t, "url.parse", in); (out != "") != is {
			t.Errorf("%.40q: %.80q", in, out)
		}
	}
	for _, in := range []string{"//" + r("@", 60_000) + "h/", "/" + r("a/", 30_000), r("../", 20_000)} {
		if out := must(t, "url.parse", in, "http://h/"); out != "" {
			t.Errorf("%.40q: %.80q", in, out)
		}
	}
	if out := must(t, "url.parse", "blob:http://"+r("@", 60_000)+"h/"); strings.Split(out, "\n")[1] != "null" {
		t.Errorf("of another origin: %.80q", out)
	}
	for part, value := range map[string]string{"username": r("u", 2000), "host": r("ü", 2000), "pathname": r("a/", 30_000)} {
		if out := must(t, "url.set", "http://h/", part, value); out != "" {
			t.Errorf("%s: %.80q", part, out)
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

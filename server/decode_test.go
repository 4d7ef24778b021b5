package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/evoke-run/evoke/event"
)

// Whatever comes in: a list of valid events, or a refusal of the client's making with words.
func FuzzDecodeEvents(f *testing.F) {
	good := `{"specversion":"1.0","id":"1","source":"/a","type":"t","data":{"x":[1]},"n":3}`
	for _, contentType := range []string{"application/cloudevents+json", "application/cloudevents-batch+json", "text/plain", "application/cloudevents+json; charset=\"", ""} {
		f.Add(contentType, "1.0", "id", "2026-01-31T12:00:00Z", "a%20b", []byte(good))
		f.Add(contentType, "", "", "", "", []byte("["+good+","+good+"]"))
	}
	f.Add("a/b", "1.0", "%ff", "0001-01-01T00:00:00Z", "%zz", []byte{0xff})
	f.Fuzz(func(t *testing.T, contentType, version, id, when, ext string, body []byte) {
		h := http.Header{}
		for name, v := range map[string]string{
			"Content-Type": contentType, "Ce-Specversion": version, "Ce-Id": id, "Ce-Source": "/s", "Ce-Type": "t", "Ce-Time": when, "Ce-Ext": ext,
		} {
			if v != "" {
				h.Set(name, v)
			}
		}
		events, err := decodeEvents(h, body)
		if err != nil {
			p, _, known := answerFor(err)
			if !known || p.Status < 400 || p.Status > 499 || p.Detail == "" || strings.Contains(p.Detail, "\n") {
				t.Fatalf("%v is answered as %+v", err, p)
			}
			return
		}
		for i := range events {
			if err := events[i].Validate(); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			back, err := event.Decode(events[i].AppendBinary(nil))
			if err != nil || back.ID != events[i].ID || !back.Time.Equal(events[i].Time) {
				t.Fatalf("event %d does not survive storing: %+v, %v", i, back, err)
			}
		}
	})
}

func FuzzPercentEncoding(f *testing.F) {
	f.Add("a b")
	f.Add("100%")
	f.Add("é\"")
	f.Fuzz(func(t *testing.T, v string) {
		encoded := percentEncode(v)
		if strings.ContainsFunc(encoded, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is encoded as %q", v, encoded)
		}
		if got := percentDecode(encoded); got != v {
			t.Errorf("%q comes back as %q", v, got)
		}
	})
}

func FuzzPathBelow(f *testing.F) {
	f.Add("/fn/hello/a")
	f.Add("/fn/hello")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse("http://h" + raw)
		if err != nil || !strings.HasPrefix(u.EscapedPath(), "/") {
			return
		}
		got := pathBelow(u.EscapedPath(), 2)
		if !strings.HasPrefix(got, "/") || got != "/" && !strings.HasSuffix(u.EscapedPath(), got) {
			t.Errorf("below %q is %q", raw, got)
		}
	})
}

// What is said of an event does not grow with its faults.
func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	many := []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t"`)
	for i := range 10_000 {
		many = fmt.Appendf(many, `,"N%d":1`, i)
	}
	for name, text := range map[string]string{"names": string(many) + "}", "a name": jsonEvent(`"` + strings.Repeat("ä", 100_000) + `":1`)} {
		_, err := decodeStructured([]byte(text))
		if f, ok := errors.AsType[*fault](err); !ok || !errors.Is(err, errInvalidEvent) || len(f.detail) > 5000 || !strings.Contains(f.detail, "extension name") || !utf8.ValidString(f.detail) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

package web

import (
	"encoding/json"
	"strings"
	"testing"
)

func FuzzFormParts(f *testing.F) {
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n"), "x")
	f.Add([]byte("preamble\r\n--x\r\nContent-Disposition: form-data; name=\"a\"; filename=b\r\n\r\n\r\n--x\r\n\r\n\r\n"), "x")
	f.Add([]byte("--\r\n\r\n--"), "")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		r, err := (&Call{Arguments: [][]byte{body, []byte(boundary)}}).Do("form.parts")
		if err != nil {
			return
		}
		var parts []formPart
		if err := json.Unmarshal(r.Bytes, &parts); err != nil {
			t.Fatal(err)
		}
		end := 0
		for _, p := range parts {
			if p.From < end || p.To < p.From || p.To > len(body) {
				t.Fatalf("%+v of %d bytes", parts, len(body))
			}
			end = p.To
		}
	})
}

func TestFormParts(t *testing.T) {
	t.Parallel()
	const head = "--x\r\nContent-Disposition: form-data; name=\"a%22b\"\r\n\r\n"
	for body, want := range map[string]string{
		"--x--":                          "[]",
		head + "1\r\n--x--":              `[{"name":"a\"b","from":53,"to":54}]`,
		head + "\r\n--x--\r\n":           `[{"name":"a\"b","from":53,"to":53}]`,
		"intro\r\n" + head + "\r\n--x--": `[{"name":"a\"b","from":60,"to":60}]`,
		"":                               `the boundary "x" is not in the body`,
		head + "1":                       "the body breaks off in part 1",
		"--x\r\nX: y\r\n\r\n\r\n--x--":   "part 1: SyntaxError: its Content-Disposition is no form-data with a name",
		"--x\r\n" + strings.Repeat("X: y\r\n", 11_000) + "\r\n\r\n--x--": "the headers of part 1 have more than 65536 bytes",
		"--x": "the body breaks off in part 1",
		strings.Repeat(head+"\r\n", 1100) + "--x--": "it has more than 1000 parts",
	} {
		r, err := (&Call{Arguments: [][]byte{[]byte(body), []byte("x")}}).Do("form.parts")
		if got := string(r.Bytes); got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.80q: %s %v, want %s", body, got, err, want)
		}
	}
}

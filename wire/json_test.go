package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func FuzzAppendJSON(f *testing.F) {
	f.Add("")
	f.Add("plain <text> & more")
	f.Add("\"\\\n\t\x00\x1f\x7f\x80\xff\u2028é𝄞")
	f.Fuzz(func(t *testing.T, s string) {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		if got := AppendJSON([]byte("x"), s); string(got) != "x"+strings.TrimSuffix(want.String(), "\n") {
			t.Errorf("%q became %s, want %s", s, got, want.Bytes())
		}
	})
}

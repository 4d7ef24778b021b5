package rustbuild

import (
	"slices"
	"strings"
	"testing"
)

// FuzzSplitEscaped splits what cargo would have written of any paths.
func FuzzSplitEscaped(f *testing.F) {
	f.Add("src/lib.rs", "a b/c d.rs")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		var list, want []string
		for _, path := range []string{a, b} {
			if path == "" || strings.ContainsAny(path, "\\\x00\t\n\v\f\r\u0085\u00a0") || strings.ContainsFunc(path, func(r rune) bool { return r > 0x7f }) {
				continue // not on Unix in Rust's own files; spaces of other alphabets are the same case
			}
			list, want = append(list, strings.ReplaceAll(path, " ", `\ `)), append(want, path)
		}
		if got := splitEscaped(strings.Join(list, " ")); !slices.Equal(got, want) {
			t.Errorf("%q became %q", want, got)
		}
	})
}

func FuzzArtifact(f *testing.F) {
	f.Add([]byte(`{"reason":"compiler-artifact","manifest_path":"/f/Cargo.toml","target":{"kind":["cdylib"]},"filenames":["/f/f.rlib","/f/f.wasm"]}`))
	f.Add([]byte("not JSON\n{}\n"))
	f.Fuzz(func(t *testing.T, messages []byte) {
		file, err := artifact(messages, "/f/Cargo.toml", "cdylib")
		if (err == nil) != strings.HasSuffix(file, ".wasm") {
			t.Errorf("%q, %v", file, err)
		}
	})
}

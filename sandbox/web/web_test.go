package web

import (
	"slices"
	"strings"
	"testing"
)

func TestMentioned(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"": nil, "export default () => 1": nil, "new TextEncoder()": {"encoding"}, "globalThis.TextDecoder;TextEncoder": {"encoding"}, "MyTextEncoder TextEncoder2 $TextEncoder": nil, "'TextEncoder'": {"encoding"},
		"event.request.params; new URL(x)": {"fetch", "url"}, "console.error(e)": {"inspect"}, "context.log.info(m)": {"inspect"}, "logger(x)": nil,
	} {
		if got := Mentioned([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestEachGroupHasItsFile(t *testing.T) {
	t.Parallel()
	files, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".js")
		if !slices.ContainsFunc(groups, func(g group) bool { return g.name == name }) {
			t.Errorf("%s is in no group", f.Name())
		}
	}
	if Digest() == "" || len(files) != len(groups) {
		t.Error(len(files), len(groups))
	}
	if _, err := Source("other"); err == nil || !strings.Contains(err.Error(), `no group "other"`) {
		t.Error(err)
	}
}

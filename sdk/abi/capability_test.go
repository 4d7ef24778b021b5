package abi

import (
	"strings"
	"testing"
)

// A request of two parts is taken apart into all of it, or refused.
func FuzzCutText(f *testing.F) {
	for _, s := range []string{"", "\xff\xff\xff\xff", "\x02\x00\x00\x00a", string(AppendText(nil, "")), string(AppendText(nil, "a")) + "a1", string(AppendText(nil, "\xff")), string(AppendText(nil, strings.Repeat("n", MaxStateName+1)))} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		text, rest, ok := CutText(request)
		switch {
		case ok && string(AppendText(nil, text))+string(rest) != string(request):
			t.Errorf("%q became %q and %q", request, text, rest)
		case !ok && (text != "" || rest != nil):
			t.Errorf("%q was refused, and became %q and %q", request, text, rest)
		}
	})
}

func TestVerdictsHaveNames(t *testing.T) {
	t.Parallel()
	for v, want := range map[Verdict]string{Done: "done", Rejected: "rejected", Failed: "failed", -1: "failed", 99: "failed"} {
		if got := v.Name(); got != want {
			t.Errorf("%d is %s, want %s", v, got, want)
		}
	}
}

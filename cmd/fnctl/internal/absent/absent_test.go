package absent_test

import (
	"slices"
	"testing"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/absent"
)

func TestNotes(t *testing.T) {
	t.Parallel()
	var uses []absent.Use
	for line := range 7 {
		uses = append(uses, absent.Use{File: "/app/src/f.x", Line: line + 1, Call: "files.Open", Why: "there are none"})
	}
	one := "src/f.x:1: files.Open: there are none"
	for n, want := range map[int][]string{0: nil, 1: {one}, 5: {one, "src/f.x:2: files.Open: there are none", "src/f.x:3: files.Open: there are none", "src/f.x:4: files.Open: there are none", "src/f.x:5: files.Open: there are none"}} {
		if got := absent.Notes("/app", uses[:n]); !slices.Equal(got, want) {
			t.Errorf("of %d: %q, want %q", n, got, want)
		}
	}
	if got := absent.Notes("/app", uses); len(got) != 6 || got[5] != "2 more calls are of what a function does not have" {
		t.Errorf("of 7: %q", got)
	}
	if got := absent.Notes("/other/app", uses[:1]); !slices.Equal(got, []string{"../../app/src/f.x:1: files.Open: there are none"}) {
		t.Errorf("of a file elsewhere: %q", got)
	}
}

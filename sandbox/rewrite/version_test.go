package rewrite_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// Rewritten modules are kept in files under Version: whoever changes what Module makes of any module of the specification must change Version too.
func TestVersionChangesWithTheOutput(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("the same without the race detector, in less time")
	}
	files, err := filepath.Glob(filepath.Join(specDir(t), "v2", "testdata", "*.wasm"))
	if err != nil || len(files) < 500 {
		t.Fatalf("%d modules, %v", len(files), err)
	}
	h := sha256.New()
	for _, f := range files {
		wasm, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r, err := rewrite.Module(wasm, rewrite.Options{})
		if err != nil {
			fmt.Fprintln(h, filepath.Base(f), err)
			continue
		}
		fmt.Fprintln(h, filepath.Base(f), r.Globals, r.Start, r.MinPages, r.MaxPages, r.Resettable, r.WhyNot, r.Data)
		h.Write(r.Wasm)
	}
	got := fmt.Sprintf("%d %s", rewrite.Version, hex.EncodeToString(h.Sum(nil)))
	golden := filepath.Join("testdata", "version")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(want)) {
		t.Errorf("the output has changed: raise rewrite.Version and write this to %s:\n%s", golden, got)
	}
}

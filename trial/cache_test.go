package trial

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

func TestCacheKeepsTheNewest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, name := range []string{"old", "middle", "new"} {
		path := filepath.Join(dir, "wazero", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 100), 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := trimCache(dir, 250); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "wazero", "*"))
	if err != nil || len(left) != 2 || filepath.Base(left[0]) != "middle" || filepath.Base(left[1]) != "new" {
		t.Errorf("%q %v", left, err)
	}
	if err := trimCache(filepath.Join(dir, "none"), 0); err != nil {
		t.Error(err)
	}
}

// What one trial has compiled, the next one finds.
func TestTrialsShareCompiledCode(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "compiled")
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(cache, "wazero-*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first := api.Trial{Function: "f", Module: wasmtest.Emits("a", `{}`), Cache: cache}
	if report, _ := talk(t, first); report.Error != "" {
		t.Fatal(report.Error)
	}
	made := files()
	if len(made) != 1 {
		t.Fatalf("compiled code: %q", made)
	}
	past := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(made[0], past, past); err != nil {
		t.Fatal(err)
	}
	if report, _ := talk(t, first); report.Error != "" {
		t.Fatal(report.Error)
	}
	if info, err := os.Stat(made[0]); err != nil || !info.ModTime().Equal(past) || len(files()) != 1 {
		t.Errorf("it was compiled again: %v, %v, %q", info.ModTime(), err, files())
	}
}

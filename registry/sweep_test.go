package registry

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestSweepRemovesModulesThatNobodyNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	put := func(text string, age time.Duration) string {
		t.Helper()
		digest := digestOf([]byte(text))
		if err := b.PutModule(t.Context(), digest, bytes.NewReader([]byte(text))); err != nil {
			t.Fatal(err)
		}
		path, _ := b.modules.path(digest)
		at := b.options.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return digest
	}
	for _, version := range []string{"first", "second"} { // both kept
		put(version, 2*time.Hour)
		b.deployVersion(t, version, nil)
	}
	put("gone", 2*time.Hour)
	b.deploy(t, "other", app(map[string]api.FunctionSpec{"g": function("gone")}))
	if _, err := b.DeleteFunction(t.Context(), "default", "g"); err != nil {
		t.Fatal(err)
	}
	put("young", 59*time.Minute)
	put("asked", 2*time.Hour)
	put("loaded", 2*time.Hour)
	put("forgotten", 2*time.Hour)
	if !b.HasModule(digestOf([]byte("asked"))) {
		t.Error("not there")
	}
	if _, err := b.Module(digestOf([]byte("loaded"))); err != nil {
		t.Error(err)
	}
	if n, err := b.SweepModules(t.Context()); n != 2 || err != nil {
		t.Errorf("removed %d, %v, want gone and forgotten", n, err)
	}
	for text, want := range map[string]bool{"first": true, "second": true, "young": true, "asked": true, "loaded": true, "gone": false, "forgotten": false} {
		if _, err := b.Module(digestOf([]byte(text))); (err == nil) != want || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want it there: %v", text, err, want)
		}
	}

	// A revision that is removed takes its module with it.
	if err := b.DeleteRevision(t.Context(), "default", "f", 1, func() map[int]int { return nil }); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"first", "second"} {
		put(text, 2*time.Hour)
	}
	if n, err := b.SweepModules(t.Context()); n != 1 || err != nil || b.HasModule(digestOf([]byte("first"))) {
		t.Errorf("removed %d, %v, want first", n, err)
	}
}

// Between the look at the file and its removal, a deploy asks for it.
func TestSweepLooksAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	digest := digestOf([]byte("m"))
	if err := b.PutModule(t.Context(), digest, bytes.NewReader([]byte("m"))); err != nil {
		t.Fatal(err)
	}
	path, _ := b.modules.path(digest)
	old, limit := b.options.Now().Add(-2*time.Hour), b.options.Now().Add(-moduleAge)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if got, err := b.modules.unusedSince(limit); err != nil || len(got) != 1 {
		t.Fatalf("unused: %v, %v", got, err)
	}
	b.HasModule(digest)
	if gone, err := b.modules.removeUnused(digest, limit); gone || err != nil {
		t.Errorf("removed %v, %v", gone, err)
	}
	if gone, err := b.modules.removeUnused(digestOf([]byte("none")), limit); gone || err != nil {
		t.Errorf("one that is not there: %v, %v", gone, err)
	}
}

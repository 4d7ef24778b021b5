package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func (b *bundle) file(digest string) string {
	return filepath.Join(b.options.ModuleDir, "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// files lists the names in the module directory.
func (b *bundle) files(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.options.ModuleDir, "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestModuleComesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wasm := []byte("\x00asm…")
	digest := digestOf(wasm)
	if b.HasModule(digest) {
		t.Error("the module is there before it was stored")
	}
	if _, err := b.Module(digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	if err := b.PutModule(t.Context(), digest, bytes.NewReader(wasm)); err != nil {
		t.Fatal(err)
	}
	again := open(t, b.options)
	got, err := again.Module(digest)
	if err != nil || !bytes.Equal(got, wasm) || !again.HasModule(digest) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestModuleIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("upload cut"))
	broken := errors.New("connection reset")
	good := digestOf([]byte("abc"))
	for _, c := range []struct {
		ctx    context.Context
		digest string
		body   io.Reader
		is     error
		want   string
	}{
		{t.Context(), good, strings.NewReader("abcd"), ErrDigest, "the 4 bytes that arrived hash to sha256:88d4266f"},
		{t.Context(), "sha256:../../etc", strings.NewReader(""), ErrDigest, `want "sha256:" and 64 hex digits in lower case`},
		{t.Context(), strings.ToUpper(good), strings.NewReader("abc"), ErrDigest, "64 hex digits"},
		{t.Context(), good, io.LimitReader(zeros{}, MaxModule+1), ErrTooLarge, "a module has at most 67108864 bytes (64 MiB)"},
		{t.Context(), good, io.MultiReader(strings.NewReader("a"), failing{broken}), broken, "connection reset"},
		{cancelled, good, strings.NewReader("abc"), nil, "upload cut"},
	} {
		err := b.PutModule(c.ctx, c.digest, c.body)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, want %q", c.digest, err, c.want)
		}
	}
	if names := b.files(t); len(names) != 0 {
		t.Errorf("refused uploads left %v", names)
	}
	if b.HasModule("sha256:..") {
		t.Error("a digest of wrong form is a path")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestDamagedModuleIsPutAside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	digest := digestOf([]byte("abc"))
	put := func() {
		t.Helper()
		if err := b.PutModule(t.Context(), digest, strings.NewReader("abc")); err != nil {
			t.Fatal(err)
		}
	}
	put()
	if err := os.Truncate(b.file(digest), 1); err != nil {
		t.Fatal(err)
	}
	_, err := b.Module(digest)
	if !errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), b.file(digest)+" is damaged (1 bytes); deploy the function again") {
		t.Errorf("got %v", err)
	}
	if b.HasModule(digest) {
		t.Error("a deploy would not store the module again")
	}
	put()
	if got, err := b.Module(digest); err != nil || string(got) != "abc" {
		t.Errorf("after storing it again: %q, %v", got, err)
	}
}

func TestStartRemovesTornUploads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now()
	old, fresh := b.file("1.tmp"), b.file("2.tmp")
	for path, age := range map[string]time.Duration{old: 2 * tempAge, fresh: tempAge / 2} {
		if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	o := b.options
	o.Now = func() time.Time { return now }
	open(t, o)
	if names := b.files(t); len(names) != 1 || names[0] != "2.tmp" {
		t.Errorf("left %v, want only the upload that may still run", names)
	}
}

func TestSameModuleFromManySides(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := bytes.Repeat([]byte("wasm"), 50_000)
	digest := digestOf(body)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				if err := b.PutModule(t.Context(), digest, bytes.NewReader(body)); err != nil {
					t.Error(err)
				}
				if got, err := b.Module(digest); err != nil || len(got) != len(body) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if names := b.files(t); len(names) != 1 {
		t.Errorf("left %v", names)
	}
}

func TestNewReportsWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{ModuleDir: file}, "no etcd client given"},
		{Options{Client: b.client}, "no module directory given"},
		{Options{Client: b.client, ModuleDir: file}, "not a directory"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

package sdkzip_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/sdkzip"
)

func file(body string, at time.Time) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(body), ModTime: at, Mode: 0o600}
}

func pack(t *testing.T, sdk fs.FS) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := sdkzip.Write(&b, sdk); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWritePacksWhatABuildNeeds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	sdk := fstest.MapFS{
		"go.mod": file("module x\n", now), "a.go": file("package a", now), "a_test.go": file("package a", now),
		"internal/b/b.go": file("package b", now), "testdata/c.go": file("package c", now), "internal/testdata/d.go": file("", now),
		".git/e.go": file("", now), "_old/f.go": file("", now), "README.md": file("hello", now), "sub/go.mod": file("module y", now),
	}
	z, err := zip.NewReader(bytes.NewReader(pack(t, sdk)), int64(len(pack(t, sdk))))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	if want := []string{"a.go", "go.mod", "internal/b/b.go"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if body, err := fs.ReadFile(z, "internal/b/b.go"); err != nil || string(body) != "package b" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestWriteDependsOnTheSourcesAlone(t *testing.T) {
	t.Parallel()
	old := fstest.MapFS{"go.mod": file("module x\n", time.Unix(1, 0)), "a.go": file("package a", time.Unix(1, 0))}
	young := fstest.MapFS{"a.go": file("package a", time.Now()), "go.mod": file("module x\n", time.Now()), "b_test.go": file("", time.Now())}
	young["a.go"].Mode = 0o755
	if !bytes.Equal(pack(t, old), pack(t, young)) {
		t.Error("times, modes or tests change the archive")
	}
	young["a.go"].Data = []byte("package a // changed")
	if bytes.Equal(pack(t, old), pack(t, young)) {
		t.Error("a changed source does not change the archive")
	}
}

func TestWriteReportsAMissingDirectory(t *testing.T) {
	t.Parallel()
	sub, err := fs.Sub(fstest.MapFS{}, "nowhere")
	if err != nil {
		t.Fatal(err)
	}
	if err := sdkzip.Write(&bytes.Buffer{}, sub); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "pack sdk: ") {
		t.Errorf("got %v", err)
	}
}

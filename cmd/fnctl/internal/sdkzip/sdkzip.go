// Package sdkzip packs the Go guest SDK into the archive that travels inside fnctl. The same sources give the same bytes, everywhere.
package sdkzip

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Write packs the SDK's go.mod and Go sources, without tests and testdata, sorted by name.
//
// Files are stored, not compressed: the output of a compressor may change with the version of Go that builds it.
func Write(w io.Writer, sdk fs.FS) error {
	z := zip.NewWriter(w)
	// WalkDir visits in lexical order.
	err := fs.WalkDir(sdk, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skipDir(name)
		case !wanted(name):
			return nil
		}
		return add(z, sdk, name)
	})
	if err != nil {
		return fmt.Errorf("pack sdk: %w", err)
	}
	return z.Close()
}

func skipDir(name string) error {
	base := path.Base(name)
	if name != "." && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
		return fs.SkipDir
	}
	return nil
}

func wanted(name string) bool {
	return name == "go.mod" || strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}

func add(z *zip.Writer, sdk fs.FS, name string) error {
	body, err := fs.ReadFile(sdk, name)
	if err != nil {
		return err
	}
	// A header without time and mode: neither belongs to the sources.
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	return err
}

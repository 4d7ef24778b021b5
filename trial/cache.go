package trial

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// maxCache bounds compiled code in bytes.
const maxCache = 512 << 20

// trimCache removes what has been in a cache for the longest, until the rest is small enough. What goes is compiled again when it is needed. Several processes may do so at once.
func trimCache(dir string, most int64) error {
	if dir == "" {
		return nil
	}
	type entry struct {
		path string
		info fs.FileInfo
	}
	var files []entry
	total := int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // somebody else removed it
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			files, total = append(files, entry{path, info}), total+info.Size()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look through the cache of compiled code: %w", err)
	}
	slices.SortFunc(files, func(a, b entry) int {
		return cmp.Or(a.info.ModTime().Compare(b.info.ModTime()), cmp.Compare(a.path, b.path))
	})
	for _, f := range files {
		if total <= most {
			break
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make room in the cache of compiled code: %w", err)
		}
		total -= f.info.Size()
	}
	return nil
}

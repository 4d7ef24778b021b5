package local

import (
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/evoke-run/evoke/eventlog"
)

// What is trimmed leaves the disk: the files of the log shrink to little more than what is kept.
func TestTrimGivesTheDiskBack(t *testing.T) {
	t.Parallel()
	const records, size = 4000, 4 << 10
	dir := t.TempDir()
	l := mustOpen(t, Options{Dir: dir, Partitions: 2, MemTableSize: 1 << 20})
	var last eventlog.Record
	stored := make(chan struct{}, records)
	for p := range 2 {
		_, err := l.Follow(p, 1, func(list []eventlog.Record) {
			for _, r := range list {
				if p == 0 {
					last = r
				}
				stored <- struct{}{}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rnd := rand.NewChaCha8([32]byte{})
	for range records / 2 {
		for p := range 2 {
			data := make([]byte, size)
			_, _ = rnd.Read(data) // never fails
			l.Append(p, 1, data)
			<-stored
		}
	}
	full := diskUse(t, dir)
	for p := range 2 {
		if err := l.Trim(p, last.Offset-100); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.db.Compact(t.Context(), logKey(0, 0), logKey(2, 0), false); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil { // obsolete files are removed by then
		t.Fatal(err)
	}
	if left := diskUse(t, dir); full < records*size || left > full/4 {
		t.Errorf("the log takes %d bytes after the trim, it took %d", left, full)
	}
}

func diskUse(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

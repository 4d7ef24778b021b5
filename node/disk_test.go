package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/partition"
)

func TestDiskRefusesBelowTheWatermark(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	d := &disk{dir: t.TempDir(), minFree: 100, now: func() time.Time { return now }}
	err := d.admit()
	if !errors.Is(err, partition.ErrDiskLow) || !strings.Contains(err.Error(), "% is free, min-free asks for 100%") {
		t.Errorf("got %v", err)
	}
	d.minFree = 0
	if err := d.admit(); err == nil {
		t.Error("it looked again at once")
	}
	now = now.Add(diskEvery)
	if err := d.admit(); err != nil {
		t.Errorf("after a second: %v", err)
	}
}

// A file system that gives no answer does not change the last one.
func TestDiskKeepsItsLastAnswer(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := &disk{dir: dir, minFree: 100, now: func() time.Time { return now }}
	if d.admit() == nil {
		t.Fatal("100% of the disk is free")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	d.minFree, now = 0, now.Add(diskEvery)
	if d.admit() == nil {
		t.Error("no answer was taken for enough room")
	}
	never := &disk{dir: dir, minFree: 100, now: func() time.Time { return now }}
	if err := never.admit(); err != nil {
		t.Errorf("no answer ever was taken for no room: %v", err)
	}
}

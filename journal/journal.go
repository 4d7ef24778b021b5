// Package journal tells of a journal of pebble that cannot be written. Pebble itself may find out only when it goes on to the next file, and panics there beyond anyone's
// reach: without a reason that people understand, and with the blame on the events that run.
package journal

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Watch returns a file system whose journals tell of every error before pebble hears of it; what tell returns is what pebble gets. nil is the disk.
func Watch(fs vfs.FS, tell func(error) error) vfs.FS {
	if fs == nil {
		fs = vfs.Default
	}
	return watched{fs, tell}
}

type watched struct {
	vfs.FS
	tell func(error) error
}

// Unwrap implements vfs.FS.
func (w watched) Unwrap() vfs.FS { return w.FS }

// Create implements vfs.FS.
func (w watched) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.Create(name, category)
	return w.watch(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (w watched) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.ReuseForWrite(old, name, category)
	return w.watch(name, f, err)
}

func (w watched) watch(name string, f vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return f, err
	}
	if err != nil {
		_ = w.told(name, err) // there is no file to go on with
		return nil, err
	}
	return file{f, name, w}, nil
}

func (w watched) told(name string, err error) error {
	if err == nil {
		return nil
	}
	return w.tell(fmt.Errorf("write the journal %s: %w", name, err))
}

type file struct {
	vfs.File
	name string
	fs   watched
}

// Write implements vfs.File.
func (f file) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if err != nil {
		if err = f.fs.told(f.name, err); err == nil {
			n = len(b)
		}
	}
	return n, err
}

// Sync implements vfs.File.
func (f file) Sync() error { return f.fs.told(f.name, f.File.Sync()) }

// SyncData implements vfs.File.
func (f file) SyncData() error { return f.fs.told(f.name, f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f file) SyncTo(length int64) (full bool, err error) {
	full, err = f.File.SyncTo(length)
	return full, f.fs.told(f.name, err)
}

// Close implements vfs.File.
func (f file) Close() error { return f.fs.told(f.name, f.File.Close()) }

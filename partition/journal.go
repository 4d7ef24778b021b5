package partition

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// journalFS tells of a journal of the state that cannot be written. Commits do not wait for it, so pebble would find out when it goes on to the next file, and panic there
// beyond anyone's reach: without a reason that people understand, and with the blame on the events that run.
type journalFS struct {
	vfs.FS
	fatal func(error)
}

func newJournalFS(fs vfs.FS, fatal func(error)) vfs.FS {
	if fs == nil {
		fs = vfs.Default
	}
	return journalFS{fs, fatal}
}

// Unwrap implements vfs.FS.
func (j journalFS) Unwrap() vfs.FS { return j.FS }

// Create implements vfs.FS.
func (j journalFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := j.FS.Create(name, category)
	return j.watch(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (j journalFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := j.FS.ReuseForWrite(old, name, category)
	return j.watch(name, f, err)
}

func (j journalFS) watch(name string, f vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return f, err
	}
	if err != nil {
		return nil, j.tell(name, err)
	}
	return journalFile{f, name, j}, nil
}

func (j journalFS) tell(name string, err error) error {
	if err != nil {
		j.fatal(fmt.Errorf("state store: write the journal %s: %w", name, err))
	}
	return err
}

type journalFile struct {
	vfs.File
	name string
	fs   journalFS
}

func (f journalFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.fs.tell(f.name, err)
}

func (f journalFile) Sync() error     { return f.fs.tell(f.name, f.File.Sync()) }
func (f journalFile) SyncData() error { return f.fs.tell(f.name, f.File.SyncData()) }

func (f journalFile) SyncTo(length int64) (full bool, err error) {
	full, err = f.File.SyncTo(length)
	return full, f.fs.tell(f.name, err)
}

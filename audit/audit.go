// Package audit keeps who changed what, in files of JSON lines that outlive crashes.
//
// A change is written twice: before it is made, on stable storage, and with its outcome after. So there is no change that nobody recorded, and one without an outcome is one
// that the end of the process has cut.
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/evoke-run/evoke/api"
)

// Options of Open.
type Options struct {
	// Dir holds the files. It is made when absent.
	Dir string
	// MaxSize of a file in bytes, beyond which a new one is begun. Default 16 MiB.
	MaxSize int64
	// Keep is how many files there are at most; the oldest goes first. Default 16.
	Keep int
}

// Log is open for writing. Its methods may be called by many goroutines.
type Log struct {
	o Options

	mu   sync.Mutex
	file *os.File
	size int64
	torn bool // the file ends within a line
	err  error
}

const pattern = "????????.jsonl" // a number that grows

// Open goes on with the newest file.
func Open(o Options) (*Log, error) {
	if o.MaxSize == 0 {
		o.MaxSize = 16 << 20
	}
	if o.Keep == 0 {
		o.Keep = 16
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	l := &Log{o: o}
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	name := l.path(1)
	if len(files) > 0 {
		name = files[len(files)-1]
	}
	if err := l.begin(name); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Log) path(n int) string { return filepath.Join(l.o.Dir, fmt.Sprintf("%08d.jsonl", n)) }

// files are those there are, the oldest first.
func (l *Log) files() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(l.o.Dir, pattern))
	if err != nil {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	slices.Sort(files)
	return files, nil
}

// begin opens a file to append to it.
func (l *Log) begin(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	size, err := f.Seek(0, 2)
	if err == nil && size > 0 {
		var last [1]byte
		_, err = f.ReadAt(last[:], size-1)
		l.torn = last[0] != '\n'
	}
	if err = errors.Join(err, syncDir(l.o.Dir)); err != nil {
		return errors.Join(fmt.Errorf("open the audit log: %w", err), f.Close())
	}
	l.file, l.size = f, size
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// outcome is the second line of a change.
type outcome struct {
	Of      string `json:"of"` // the change's ID
	Status  int    `json:"status"`
	Problem string `json:"problem,omitempty"`
}

// Begin records that a change is about to be made. With durable it is on stable storage when Begin returns nil; without it outlives the process but not the machine.
func (l *Log) Begin(a api.Audit, durable bool) error { return l.write(a, durable) }

// End records what became of it.
func (l *Log) End(id string, status int, problem string) error {
	return l.write(outcome{id, status, problem}, false)
}

func (l *Log) write(v any, durable bool) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a line of the audit log: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.size >= l.o.MaxSize {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := l.file.Write(append(line, '\n'))
	l.size += int64(n)
	l.torn = l.torn && n == 0 || n > 0 && n <= len(line)
	if err == nil && durable {
		err = l.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	return nil
}

// rotate begins the next file, and removes the oldest ones. The caller holds mu.
func (l *Log) rotate() error {
	var n int
	if _, err := fmt.Sscanf(filepath.Base(l.file.Name()), "%08d.jsonl", &n); err != nil {
		return fmt.Errorf("read the number of %s: %w", l.file.Name(), err)
	}
	old := l.file
	if err := l.begin(l.path(n + 1)); err != nil {
		return err
	}
	l.torn = false
	errs := []error{old.Sync(), old.Close()}
	files, err := l.files()
	errs = append(errs, err)
	for _, name := range files[:max(0, len(files)-l.o.Keep)] {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("begin a new file of the audit log: %w", err)
	}
	return nil
}

var errClosed = errors.New("the audit log is closed")

// Close makes all of it durable.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil
	}
	l.err = errClosed
	return errors.Join(l.file.Sync(), l.file.Close())
}

// lines calls do for every line of a file, without its end.
func lines(path string, do func(line []byte)) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the oldest has just gone
	}
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	for line := range bytes.Lines(text) {
		do(bytes.TrimSuffix(line, []byte("\n")))
	}
	return nil
}

package history

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/evoke-run/evoke/api"
)

const (
	segmentParts = 16       // a ring has about this many segments when it is full by size
	maxSegment   = 32 << 20 // but none is larger
	ageParts     = 24       // and none covers more than this part of the age
	fileBuffer   = 64 << 10
)

// writer appends lines to the newest segment and removes the oldest ones. It is used by one goroutine.
type writer struct {
	dir        string
	maxBytes   int64
	segmentMax int64
	maxAge     time.Duration
	now        func() time.Time

	file      *os.File // nil until the first line, and after an error
	buf       *bufio.Writer
	scratch   []byte // the line that is being written
	unflushed int    // lines of this segment that may still be in buf
	current   segment
	older     []segment // closed ones, oldest first
	lastSeen  int64     // highest segment number ever used
	failing   bool
}

func newWriter(o Options, older []segment) *writer {
	w := &writer{
		dir: o.Dir, maxBytes: o.MaxBytes, maxAge: o.MaxAge, now: o.Now,
		segmentMax: min(maxSegment, max(1, o.MaxBytes/segmentParts)),
		older:      older,
		buf:        bufio.NewWriterSize(nil, fileBuffer),
	}
	if len(older) > 0 {
		w.lastSeen = older[len(older)-1].number
	}
	w.trim()
	return w
}

func (w *writer) position() position {
	if w.file == nil {
		return position{segment: w.lastSeen + 1}
	}
	return position{segment: w.current.number, size: w.current.size}
}

// write appends a batch and flushes it. It returns how many entries were lost, at most, and why.
func (w *writer) write(batch []api.LogEntry) (lost int, err error) {
	for i := range batch {
		w.scratch = appendLine(w.scratch[:0], &batch[i])
		if err := w.line(w.scratch); err != nil {
			// The disk will not be better for the rest of the batch.
			return w.unflushed + len(batch) - i, errors.Join(err, w.abandon())
		}
		w.unflushed++
	}
	if err := w.flush(); err != nil {
		return w.unflushed, errors.Join(err, w.abandon())
	}
	return 0, nil
}

func (w *writer) flush() error {
	if w.file == nil {
		return nil
	}
	if err := w.buf.Flush(); err != nil {
		return err
	}
	w.unflushed = 0
	return nil
}

// line appends one line, in a new segment when the current one is full or has become too old.
func (w *writer) line(line []byte) error {
	if w.file != nil && (w.current.size+int64(len(line)) > w.segmentMax || w.now().Sub(w.current.began()) > w.maxAge/ageParts) {
		if err := w.close(); err != nil {
			return err
		}
	}
	if w.file == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	_, err := w.buf.Write(line)
	w.current.size += int64(len(line))
	return err
}

// open begins a segment. Its number is the time in nanoseconds, or the next one when the clock stood still or went back.
func (w *writer) open() error {
	number := max(w.now().UnixNano(), w.lastSeen+1)
	s := segment{path: filepath.Join(w.dir, segmentName(number)), number: number}
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w.file, w.current, w.lastSeen, w.unflushed = f, s, number, 0
	w.buf.Reset(f)
	w.trim()
	return nil
}

// close flushes and ends the current segment; the next line begins another.
func (w *writer) close() error {
	if w.file == nil {
		return nil
	}
	err := w.flush()
	return errors.Join(err, w.abandon())
}

// abandon ends the current segment with what the file has of it, which may be half a line.
func (w *writer) abandon() error {
	if w.file == nil {
		return nil
	}
	if info, err := w.file.Stat(); err == nil {
		w.current.size = info.Size()
	}
	err := w.file.Close()
	w.file = nil
	w.older = append(w.older, w.current)
	return err
}

// trim removes segments that are too old as a whole (the next one began before the limit), and the oldest while there are too many bytes.
func (w *writer) trim() {
	var total int64
	for _, s := range w.older {
		total += s.size
	}
	limit := w.now().Add(-w.maxAge)
	for len(w.older) > 0 {
		ended := w.now()
		if len(w.older) > 1 {
			ended = w.older[1].began()
		} else if w.file != nil {
			ended = w.current.began()
		}
		if total+w.segmentMax <= w.maxBytes && !ended.Before(limit) {
			return
		}
		if err := os.Remove(w.older[0].path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return // tried again with the next segment
		}
		total -= w.older[0].size
		w.older = w.older[1:]
	}
}

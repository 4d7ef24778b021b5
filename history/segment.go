package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	suffix = ".jsonl"
	// block is how much of a segment is read at once, from its end to its beginning.
	block = 64 << 10
)

// segment is one file of the ring. Its number is the time at which it began, in nanoseconds since 1970, and orders the ring.
type segment struct {
	path   string
	number int64
	size   int64
}

func (s segment) began() time.Time { return time.Unix(0, s.number) }

func segmentName(number int64) string { return fmt.Sprintf("%020d%s", number, suffix) }

// listSegments returns the segments of a directory, oldest first; other files are passed over.
func listSegments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []segment
	for _, e := range entries {
		number, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), suffix), 10, 64)
		if err != nil || segmentName(number) != e.Name() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by the ring in the meantime
		}
		if err != nil {
			return nil, err
		}
		out = append(out, segment{path: filepath.Join(dir, e.Name()), number: number, size: info.Size()})
	}
	slices.SortFunc(out, func(a, b segment) int { return int(min(1, max(-1, a.number-b.number))) })
	return out, nil
}

// linesBackward calls yield with the lines of the first size bytes, last line first, until yield answers false. A line without its end is not a
// line: its writer was killed. The slice is only valid inside yield.
func linesBackward(f io.ReaderAt, size int64, yield func(line []byte) bool) error {
	var tail []byte // what was read and belongs to a line that begins further in front
	complete := false
	for at := size; at > 0; {
		n := min(at, block)
		at -= n
		chunk := make([]byte, n, int(n)+len(tail))
		if _, err := f.ReadAt(chunk, at); err != nil {
			return err
		}
		chunk = append(chunk, tail...)
		for {
			i := bytes.LastIndexByte(chunk, '\n')
			if i < 0 {
				break
			}
			if line := chunk[i+1:]; complete && !yield(line) {
				return nil
			}
			complete, chunk = true, chunk[:i]
		}
		tail = chunk
	}
	if complete && len(tail) > 0 {
		yield(tail)
	}
	return nil
}

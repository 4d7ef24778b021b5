package local

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// nameDamage adds to the error of an open where a WAL file is damaged; pebble only says that one is.
func nameDamage(o Options, err error) error {
	if !errors.Is(err, record.ErrInvalidChunk) && !errors.Is(err, record.ErrZeroedChunk) {
		return err
	}
	names, listErr := o.FS.List(o.Dir)
	if listErr != nil {
		return err // that the file cannot be found says less than that it is damaged
	}
	slices.Sort(names)
	for _, name := range names {
		number, isWAL := strings.CutSuffix(name, ".log")
		n, parseErr := strconv.ParseUint(number, 10, 64)
		if !isWAL || parseErr != nil {
			continue
		}
		if offset, bad := damagedFrom(o.FS, o.FS.PathJoin(o.Dir, name), n); bad {
			return fmt.Errorf("WAL file %s is damaged behind offset %d, and there are records behind the damage; restore the directory from a backup: %w", name, offset, err)
		}
	}
	return err
}

// damagedFrom is the offset behind the last entry of a WAL file that can be read before damage, which is not the torn tail of the file.
func damagedFrom(files vfs.FS, path string, number uint64) (offset int64, bad bool) {
	f, err := files.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close() //nolint:errcheck // it was only read
	r := newWALReader(record.NewReader, f, number)
	for err == nil {
		offset = r.Offset()
		var entry io.Reader
		if entry, err = r.Next(); err == nil {
			_, err = io.Copy(io.Discard, entry)
		}
	}
	return offset, errors.Is(err, record.ErrInvalidChunk) || errors.Is(err, record.ErrZeroedChunk)
}

// newWALReader calls pebble's constructor, the type of whose number cannot be named outside pebble.
func newWALReader[N ~uint64](open func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return open(r, N(number))
}

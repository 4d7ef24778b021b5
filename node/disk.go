package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evoke-run/evoke/partition"
)

// disk watches the disk under the data directory. While it is nearly full new events are refused, and settling goes on, so that work can end and space come free. When
// it is full to the last, because somebody else fills it, settling goes on from a reserve: a file that is made when there is room and removed when there is none.
type disk struct {
	dir     string
	minFree float64 // percent
	log     *slog.Logger
	space   func(dir string) (free, total uint64, err error) // bytes
	low     atomic.Pointer[string]                           // why events are refused; nil = they are not

	kept bool // the reserve is there; only look uses it
}

const (
	// diskEvery is how often the disk is looked at.
	diskEvery = time.Second
	// reserveSize is how many bytes the reserve has, or a hundredth of the disk if that is less.
	reserveSize = 64 << 20
	// reserveBelow is how many free bytes are so few that the reserve is given back.
	reserveBelow = 32 << 20
)

func newDisk(dir string, minFree float64, log *slog.Logger) *disk {
	d := &disk{dir: dir, minFree: minFree, log: log, space: diskSpace}
	_, err := os.Stat(d.reserve())
	d.kept = err == nil
	return d
}

func diskSpace(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("ask for the space on the disk: %w", err)
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

func (d *disk) reserve() string { return filepath.Join(d.dir, "reserve") }

// admit refuses new events; see partition.Options.Admit.
func (d *disk) admit() error {
	if low := d.low.Load(); low != nil {
		return fmt.Errorf("%w: %s", partition.ErrDiskLow, *low)
	}
	return nil
}

// run looks until ctx ends.
func (d *disk) run(ctx context.Context) error {
	d.fillReserve()
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.look()
			d.fillReserve()
		case <-ctx.Done():
			return nil
		}
	}
}

// look keeps its last answer when the file system does not give one.
func (d *disk) look() {
	free, total, err := d.space(d.dir)
	if err != nil || total == 0 {
		return
	}
	if percent := 100 * float64(free) / float64(total); percent >= d.minFree {
		d.low.Store(nil)
	} else {
		text := fmt.Sprintf("%.1f%% is free, min-free asks for %g%%", percent, d.minFree) // goes to clients: no paths
		d.low.Store(&text)
	}
	if free < reserveBelow && d.kept {
		d.kept = false
		err := os.Remove(d.reserve())
		d.log.Error("the disk is full: stored events are worked off from the reserve; free space on the disk of the data directory", "data_dir", d.dir, "free_bytes", free, "err", err)
	}
}

// fillReserve makes the reserve when there is room for it, above what min-free asks for.
func (d *disk) fillReserve() {
	if d.kept || d.low.Load() != nil {
		return
	}
	free, total, err := d.space(d.dir)
	if err != nil {
		return
	}
	size := min(reserveSize, total/100)
	if free < size+2*reserveBelow || 100*float64(free-size)/float64(total) < d.minFree {
		return
	}
	if err := preallocate(d.reserve(), int64(size)); err != nil {
		d.log.Warn("there is no reserve for a full disk", "data_dir", d.dir, "err", err)
	}
	d.kept = true // or cannot be: not tried again
}

// preallocate makes a file whose blocks are taken, not a hole.
func preallocate(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("make the reserve: %w", err)
	}
	err = unix.Fallocate(int(file.Fd()), 0, 0, size)
	if err = errors.Join(err, file.Close()); err == nil {
		return nil
	}
	if e := os.Remove(path); !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return fmt.Errorf("make the reserve: %w", err)
}

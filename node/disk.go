package node

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evoke-run/evoke/partition"
)

// disk refuses new events while the disk under the data directory is nearly full. Settling goes on, so that work can end and space come free.
type disk struct {
	dir     string
	minFree float64 // percent
	now     func() time.Time
	checked atomic.Int64 // unix nanoseconds of the last look
	low     atomic.Pointer[string]
}

// diskEvery is how often the disk is looked at.
const diskEvery = time.Second

func (d *disk) admit() error {
	now, last := d.now().UnixNano(), d.checked.Load()
	if now-last >= int64(diskEvery) && d.checked.CompareAndSwap(last, now) {
		d.look()
	}
	if low := d.low.Load(); low != nil {
		return fmt.Errorf("%w: %s", partition.ErrDiskLow, *low)
	}
	return nil
}

// look keeps its last answer when the file system does not give one.
func (d *disk) look() {
	var fs unix.Statfs_t
	if err := unix.Statfs(d.dir, &fs); err != nil || fs.Blocks == 0 {
		return
	}
	free := 100 * float64(fs.Bavail) / float64(fs.Blocks)
	if free >= d.minFree {
		d.low.Store(nil)
		return
	}
	text := fmt.Sprintf("%.1f%% is free, min-free asks for %g%%", free, d.minFree) // goes to clients: no paths
	d.low.Store(&text)
}

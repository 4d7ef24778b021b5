package local

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/eventlog"
)

// TestCrashLosesNothingDelivered cuts the power at random moments under load, several times in a row on the same log, and keeps 0 to 100 % of what was
// not synced: the tail of the WAL is torn then. Everything that came back through Follow must be there, in order and without holes.
func TestCrashLosesNothingDelivered(t *testing.T) {
	t.Parallel()
	for _, percent := range []int{0, 30, 70, 100} {
		// Small tables make flushes and compactions run, and every one syncs a WAL to its end. Large ones leave that to the commits alone.
		for _, table := range []uint64{32 << 10, 4 << 20} {
			t.Run(fmt.Sprintf("percent=%d/table=%dKiB", percent, table>>10), func(t *testing.T) {
				t.Parallel()
				c := &crasher{
					t: t, percent: percent, table: table, files: vfs.NewCrashableMem(),
					rng: rand.New(rand.NewPCG(table, uint64(percent))),
				}
				for range 3 {
					c.round()
				}
			})
		}
	}
}

const crashPartitions = 4

type crasher struct {
	t       *testing.T
	percent int    // of the unsynced data that survives
	table   uint64 // MemTableSize
	rng     *rand.Rand
	files   *vfs.MemFS

	window [crashPartitions]chan struct{} // filled by the producers, drained by what comes back

	mu        sync.Mutex
	delivered [crashPartitions]uint64 // number of the last record that came back
	next      [crashPartitions]uint64 // offset behind it
	enough    chan struct{}           // closed when target records came back in this round
	target    uint64
	total     uint64
}

// round opens the log, checks it, loads it until a random number of records came back, and crashes.
func (c *crasher) round() {
	l := mustOpen(c.t, Options{Dir: "log", Partitions: crashPartitions, FS: c.files, MemTableSize: c.table})
	c.target, c.total, c.enough = uint64(100+c.rng.IntN(400)), 0, make(chan struct{})
	for p := range crashPartitions {
		c.reopened(l, p)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for p, number := range c.delivered {
		wg.Go(func() { c.produce(l, p, number+1, stop) })
	}
	<-c.enough

	// What came back before the clone began must be in it.
	c.mu.Lock()
	delivered, next := c.delivered, c.next
	c.mu.Unlock()
	files := c.files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.percent, RNG: c.rng})
	close(stop)
	wg.Wait()
	if err := l.Close(); err != nil {
		c.t.Fatal(err)
	}
	c.files, c.delivered, c.next = files, delivered, next
}

// reopened replays a partition and compares it with what was delivered before the crash. More may be there.
func (c *crasher) reopened(l *Log, p int) {
	before, end := c.delivered[p], c.next[p]
	var number, offset uint64 = 0, 1
	replay := true
	_, err := l.Follow(p, 1, func(records []eventlog.Record) {
		for _, r := range records {
			number++
			name := recordName(p, number)
			if (r.Offset != offset || !strings.HasPrefix(string(r.Data), name)) && !c.t.Failed() { // the first one says enough
				c.t.Errorf("record %d of partition %d is %.30q at offset %d, want %q at %d", number, p, r.Data, r.Offset, name, offset)
			}
			offset += uint64(r.Span)
		}
		if !replay {
			c.came(p, number, offset, uint64(len(records)))
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	replay = false
	if number < before || offset < end {
		c.t.Errorf("partition %d: %d records up to offset %d are left, %d up to %d had come back before the crash", p, number, offset, before, end)
	}
	c.delivered[p], c.next[p] = number, offset
	c.window[p] = make(chan struct{}, 50)
}

func (c *crasher) came(p int, number, offset, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivered[p], c.next[p] = number, offset
	if c.total < c.target && c.total+n >= c.target {
		close(c.enough)
	}
	c.total += n
	for range n {
		<-c.window[p]
	}
}

// produce appends records of mixed sizes; it stays at most a window ahead of what came back.
func (c *crasher) produce(l *Log, p int, first uint64, stop <-chan struct{}) {
	rng := rand.New(rand.NewPCG(uint64(p), first))
	for number := first; ; number++ {
		select {
		case <-stop:
			return
		case c.window[p] <- struct{}{}:
		}
		data := append([]byte(recordName(p, number)), make([]byte, rng.IntN(1500))...)
		l.Append(p, uint32(1+rng.IntN(3)), data)
	}
}

func recordName(p int, number uint64) string {
	return fmt.Sprintf("partition %d record %d,", p, number)
}

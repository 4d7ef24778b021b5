package eventlogtest

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/evoke-run/evoke/eventlog"
)

// Benchmark measures the round trip of a 1 KiB record from Append to apply, with 1 producer and with 64 at the same time.
func Benchmark(b *testing.B, newStore func(t testing.TB) Open) {
	b.Run("producers=1", func(b *testing.B) { benchmark(b, newStore(b), 1) })
	b.Run("producers=64", func(b *testing.B) { benchmark(b, newStore(b), 64) })
}

func benchmark(b *testing.B, open Open, producers int) {
	log := open(b)
	defer mustClose(b, log)
	waiting := make([]chan struct{}, producers)
	for i := range waiting {
		waiting[i] = make(chan struct{}, 1)
	}
	for p := range Partitions {
		_, err := log.Follow(p, 1, func(records []eventlog.Record) {
			for _, r := range records {
				waiting[binary.LittleEndian.Uint32(r.Data)] <- struct{}{}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(1 << 10)
	b.ReportAllocs()
	b.ResetTimer()
	var (
		left  atomic.Int64
		order [Partitions]sync.Mutex // appends to one partition come one after the other
		wg    sync.WaitGroup
	)
	left.Store(int64(b.N))
	for i := range producers {
		wg.Go(func() {
			p := i % Partitions
			for left.Add(-1) >= 0 {
				data := make([]byte, 1<<10)
				binary.LittleEndian.PutUint32(data, uint32(i))
				order[p].Lock()
				log.Append(p, 1, data)
				order[p].Unlock()
				<-waiting[i]
			}
		})
	}
	wg.Wait()
}

package partition

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/eventlog/local"
)

// A table costs nothing for a topic in memory, however many there are: not to run, to start, to look for one, or to remove them all.
func TestHundredThousandTopics(t *testing.T) { // not beside others, whose memory it would count
	if raceDetector {
		t.Skip("measures memory, which the race detector takes a multiple of")
	}
	const topics, publishers = 100_000, 64
	dir, before := t.TempDir(), inUse()
	open := func(epoch uint64) (*local.Log, *Table) {
		fatal := func(err error) { t.Errorf("fatal: %v", err) }
		log, err := local.Open(local.Options{Dir: filepath.Join(dir, "log"), Partitions: 4, Fatal: fatal})
		if err != nil {
			t.Fatal(err)
		}
		table, err := Open(t.Context(), Options{
			Log: log, Dir: filepath.Join(dir, "state"), Partitions: 4, Epoch: epoch, Fatal: fatal, Ready: func() {}, DedupLimit: 1000,
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: func() time.Time { return time.Now().Add(8 * day) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return log, table
	}
	log, table := open(1)
	name := func(i int) string { return fmt.Sprintf("shop.%d.orders", i) }
	one := onTopic(1, name(77_777))
	if err := table.SetTriggers(t.Context(), 1, []Trigger{one, onTopic(2, "shop.*.orders")}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := p; i < topics; i += publishers {
				if _, err := table.Publish(context.Background(), "default", name(i), []event.Event{newEvent(fmt.Sprint(i), "")}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	count := func() (n int) {
		for _, p := range table.parts {
			if err := eachTopic(table.db, p.machine.store, func(topicStart) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	if n := count(); n != topics {
		t.Errorf("%d topics have events, want %d", n, topics)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log, table = open(2)
	used := int64(inUse()) - int64(before)
	t.Logf("a table of %d topics takes %d KiB after its start", topics, used>>10)
	if used > 32<<20 {
		t.Errorf("a table of %d topics takes %d MiB after its start", topics, used>>20)
	}
	got, err := table.Take(1, 10)
	if err != nil || len(got) != 1 || got[0].Topic != one.Topic || table.Stats(2).Pending != topics {
		t.Errorf("took %v, %v; %d events wait for all topics", got, err, table.Stats(2).Pending)
	}
	if _, err := table.Publish(t.Context(), "default", one.Topic, []event.Event{newEvent("new", "k")}); err != nil {
		t.Error(err)
	}
	seen := 0
	if _, err := table.Tail("default", one.Topic, Cursor{}, time.Time{}, 0, func(TopicRecord) error { seen++; return nil }); err != nil || seen != 2 {
		t.Errorf("the topic has %d events, %v, want 2", seen, err)
	}
	if err := table.SetTriggers(t.Context(), 2, nil); err != nil {
		t.Fatal(err)
	}
	if err := table.retainer.round(&Retention{}); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 0 {
		t.Errorf("%d topics have events after their time", n)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// inUse is what is in use when garbage is gone.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

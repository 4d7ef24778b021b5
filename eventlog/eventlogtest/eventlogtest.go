// Package eventlogtest is the suite every driver of eventlog.Log passes.
package eventlogtest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/eventlog"
)

// Partitions is how many partitions the logs under test have.
const Partitions = 16

// Open opens one store. The suite opens a store again after it has closed the log it got before; the test fails when it cannot be opened.
type Open func(t testing.TB) eventlog.Log

// Run runs the suite. newStore makes an empty store; it is called once per test, and tests run in parallel.
func Run(t *testing.T, newStore func(t testing.TB) Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"records come back in order":             testOrder,
		"offsets respect spans":                  testSpans,
		"apply may keep the data":                testKeepData,
		"apply may append":                       testAppendInApply,
		"follow replays, then follows":           testFollowReplays,
		"follow from the middle":                 testFollowMiddle,
		"close stores what was appended":         testCloseStores,
		"offsets go on after a reopen":           testReopen,
		"read from every offset":                 testRead,
		"read sees what apply saw":               testReadInApply,
		"trim keeps what is not below":           testTrim,
		"trim everything, offsets go on":         testTrimAll,
		"large records":                          testLarge,
		"empty data":                             testEmpty,
		"partitions do not mix":                  testPartitions,
		"import keeps offsets":                   testImport,
		"followers hear the same":                testFollowers,
		"a follower joins under load":            testJoin,
		"a follower leaves":                      testLeave,
		"a trimmed follower is told":             testFollowTrimmed,
		"nodes take turns":                       testTurns,
		"many producers, partitions and readers": testHammer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t))
		})
	}
}

// timeout is how long the suite waits for one condition before it gives up.
const timeout = 30 * time.Second

// follower records what one partition's apply gets and checks what must hold for every call.
type follower struct {
	t         testing.TB
	partition int
	stop      func() // of Follow

	mu      sync.Mutex
	busy    bool
	records []eventlog.Record // without repetitions
	seen    map[string]bool
	end     uint64 // offset behind the last record
	changed chan struct{}
	inApply func(eventlog.Record) // called for every new record, without the lock
}

// follow starts following; inApply may be nil.
func follow(t testing.TB, log eventlog.Log, partition int, from uint64, inApply func(eventlog.Record)) *follower {
	t.Helper()
	f := &follower{t: t, partition: partition, seen: map[string]bool{}, changed: make(chan struct{}), inApply: inApply}
	stop, err := log.Follow(partition, from, f.apply)
	if err != nil {
		t.Fatalf("follow partition %d from %d: %v", partition, from, err)
	}
	f.stop = stop
	return f
}

func (f *follower) apply(records []eventlog.Record) {
	fresh := f.begin(records)
	if f.inApply != nil {
		for _, r := range fresh {
			f.inApply(r)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy = false
}

func (f *follower) begin(records []eventlog.Record) (fresh []eventlog.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy {
		f.t.Errorf("partition %d: apply was called twice at the same time", f.partition)
	}
	f.busy = true
	if len(records) == 0 {
		f.t.Errorf("partition %d: apply was called without records", f.partition)
	}
	for _, r := range records {
		if r.Offset == 0 || r.Offset < f.end {
			f.t.Errorf("partition %d: record at offset %d came when offsets below %d were taken", f.partition, r.Offset, f.end)
		}
		f.end = r.Offset + uint64(r.Span)
		// A driver may store a record twice. Records of the suite are unique, so that the second one can be told.
		if f.seen[string(r.Data)] {
			continue
		}
		f.seen[string(r.Data)] = true
		f.records = append(f.records, r)
		fresh = append(fresh, r)
	}
	close(f.changed)
	f.changed = make(chan struct{})
	return fresh
}

// wait returns when the partition had n different records.
func (f *follower) wait(n int) []eventlog.Record {
	f.t.Helper()
	limit := time.After(timeout)
	for {
		f.mu.Lock()
		records, changed := f.records, f.changed
		f.mu.Unlock()
		if len(records) >= n {
			return records[:len(records):len(records)]
		}
		select {
		case <-changed:
		case <-limit:
			f.t.Fatalf("partition %d: %d records came back, want %d", f.partition, len(records), n)
		}
	}
}

func (f *follower) now() []eventlog.Record { return f.wait(0) }

// expect compares records with what was appended.
func expect(t testing.TB, got []eventlog.Record, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		if string(got[i].Data) != want[i] {
			t.Fatalf("record %d is %.40q, want %.40q", i, got[i].Data, want[i])
		}
	}
}

// read returns what Read yields from an offset on, without repetitions.
func read(t testing.TB, log eventlog.Log, partition int, from uint64) []eventlog.Record {
	t.Helper()
	var out []eventlog.Record
	seen := map[string]bool{}
	err := log.Read(partition, from, func(r eventlog.Record) bool {
		if !seen[string(r.Data)] {
			seen[string(r.Data)] = true
			out = append(out, eventlog.Record{Offset: r.Offset, Span: r.Span, Data: append([]byte(nil), r.Data...)})
		}
		return true
	})
	if err != nil {
		t.Fatalf("read partition %d from %d: %v", partition, from, err)
	}
	return out
}

func mustClose(t testing.TB, log eventlog.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// names makes n different records.
func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return out
}

func appendAll(log eventlog.Log, partition int, data ...string) {
	for _, d := range data {
		log.Append(partition, 1, []byte(d))
	}
}

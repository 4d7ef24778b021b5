package eventlogtest

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/evoke-run/evoke/eventlog"
)

func testOrder(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	f := follow(t, log, 3, 1, nil)
	want := names("r", 500)
	appendAll(log, 3, want...)
	expect(t, f.wait(500), want...)
}

func testSpans(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	f := follow(t, log, 0, 1, nil)
	spans := []uint32{1, 7, 1, 1000, 1 << 20, 2, 1}
	for i, span := range spans {
		log.Append(0, span, []byte{byte(i)})
	}
	for i, r := range f.wait(len(spans)) { // apply has checked that the offsets do not overlap
		if r.Span != spans[i] {
			t.Errorf("record %d has span %d, want %d", i, r.Span, spans[i])
		}
	}
}

func testKeepData(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	f := follow(t, log, 0, 1, nil)
	want := names("keep", 200)
	for i, d := range want {
		log.Append(0, 1, []byte(d))
		if i%20 == 0 {
			f.wait(i + 1) // several groups, so that a driver that reuses buffers would show
		}
	}
	expect(t, f.wait(200), want...)
}

func testAppendInApply(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	to := follow(t, log, 9, 1, nil)
	from := follow(t, log, 4, 1, func(r eventlog.Record) { log.Append(9, 1, append([]byte("echo "), r.Data...)) })
	appendAll(log, 4, "a", "b", "c")
	from.wait(3)
	expect(t, to.wait(3), "echo a", "echo b", "echo c")
}

func testFollowReplays(t *testing.T, open Open) {
	log := open(t)
	f := follow(t, log, 5, 1, nil)
	want := names("first", 100)
	appendAll(log, 5, want...)
	f.wait(100)
	mustClose(t, log)

	log = open(t)
	defer mustClose(t, log)
	f = follow(t, log, 5, 1, nil)
	expect(t, f.now(), want...) // all of it before Follow returns
	appendAll(log, 5, "more")
	expect(t, f.wait(101), append(want, "more")...)
}

func testFollowMiddle(t *testing.T, open Open) {
	log := open(t)
	f := follow(t, log, 2, 1, nil)
	for _, d := range []string{"a", "b", "c", "d"} {
		log.Append(2, 10, []byte(d))
	}
	stored := f.wait(4)
	mustClose(t, log)
	c, d := stored[2], stored[3]
	for _, test := range []struct {
		name string
		from uint64
		want []string
	}{
		{"zero", 0, []string{"a", "b", "c", "d"}},
		{"first offset of a record", c.Offset, []string{"c", "d"}},
		{"inside a record", c.Offset + 5, []string{"c", "d"}},
		{"last offset of a record", c.Offset + 9, []string{"c", "d"}},
		{"behind it", c.Offset + 10, []string{"d"}},
		{"behind the last", d.Offset + 10, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := open(t)
			defer mustClose(t, log)
			expect(t, follow(t, log, 2, test.from, nil).now(), test.want...)
		})
	}
}

func testCloseStores(t *testing.T, open Open) {
	log := open(t)
	f := follow(t, log, 1, 1, nil)
	want := names("late", 300)
	appendAll(log, 1, want...)
	mustClose(t, log)
	expect(t, f.now(), want...) // and all was applied when Close returned
	log = open(t)
	defer mustClose(t, log)
	expect(t, read(t, log, 1, 1), want...)
}

func testReopen(t *testing.T, open Open) {
	var want []string
	var end uint64
	for round := range 5 {
		log := open(t)
		f := follow(t, log, 7, end, nil)
		for _, r := range names(strings.Repeat("x", round+1), 10) {
			log.Append(7, 3, []byte(r))
			want = append(want, r)
		}
		records := f.wait(10)
		if first := records[0].Offset; first < end {
			t.Fatalf("round %d: offset %d was given twice, the log ended at %d", round, first, end)
		}
		end = records[9].Offset + 3
		expect(t, read(t, log, 7, 0), want...)
		mustClose(t, log)
	}
}

func testRead(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	f := follow(t, log, 6, 1, nil)
	want := names("r", 40)
	for i, d := range want {
		log.Append(6, uint32(1+i%4), []byte(d))
		if i%7 == 0 {
			f.wait(i + 1)
		}
	}
	stored := f.wait(40)
	next := 0 // the record that owns the offset or, in a gap, the next
	for offset := uint64(0); offset <= f.end+2; offset++ {
		for next < len(stored) && stored[next].Offset+uint64(stored[next].Span) <= offset {
			next++
		}
		expect(t, read(t, log, 6, offset), want[next:]...)
	}
	n := 0
	if err := log.Read(6, 0, func(eventlog.Record) bool { n++; return n < 5 }); err != nil || n != 5 {
		t.Errorf("read went on for %d records after yield answered false at 5 (%v)", n, err)
	}
	if got := read(t, log, 11, 0); len(got) != 0 {
		t.Errorf("an empty partition has %d records", len(got))
	}
}

func testReadInApply(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	f := follow(t, log, 0, 1, func(r eventlog.Record) {
		found := false
		err := log.Read(0, r.Offset, func(got eventlog.Record) bool {
			found = string(got.Data) == string(r.Data)
			return false
		})
		if err != nil || !found {
			t.Errorf("record at offset %d was applied but cannot be read (%v)", r.Offset, err)
		}
	})
	appendAll(log, 0, names("r", 50)...)
	f.wait(50)
}

func testTrim(t *testing.T, open Open) {
	log := open(t)
	f := follow(t, log, 8, 1, nil)
	other := follow(t, log, 9, 1, nil)
	appendAll(log, 9, "untouched")
	want := names("r", 60)
	for i, d := range want {
		log.Append(8, 5, []byte(d))
		f.wait(i + 1)
	}
	other.wait(1)
	before := f.now()[40].Offset + 2 // in the middle of a record, which must stay
	for range 2 {
		if err := log.Trim(8, before); err != nil {
			t.Fatalf("trim: %v", err)
		}
	}
	expect(t, read(t, log, 8, before), want[40:]...)
	checkTrimmed(t, log, 8, f.now()[0])
	expect(t, read(t, log, 9, 1), "untouched")
	mustClose(t, log)

	log = open(t)
	defer mustClose(t, log)
	expect(t, follow(t, log, 8, before, nil).now(), want[40:]...)
}

// checkTrimmed reads a trimmed record: it is gone, or the driver still keeps it.
func checkTrimmed(t testing.TB, log eventlog.Log, partition int, r eventlog.Record) {
	t.Helper()
	var got []byte
	err := log.Read(partition, r.Offset, func(r eventlog.Record) bool {
		got = append(got, r.Data...)
		return false
	})
	if !errors.Is(err, eventlog.ErrTrimmed) && string(got) != string(r.Data) {
		t.Errorf("read of a trimmed record gives %q and error %v, want the record or %v", got, err, eventlog.ErrTrimmed)
	}
}

func testTrimAll(t *testing.T, open Open) {
	log := open(t)
	f := follow(t, log, 15, 1, nil)
	appendAll(log, 15, names("r", 20)...)
	f.wait(20)
	end := f.end
	if err := log.Trim(15, end+100); err != nil {
		t.Fatalf("trim: %v", err)
	}
	appendAll(log, 15, "after")
	if r := f.wait(21)[20]; r.Offset < end {
		t.Errorf("offset %d was given twice, the log ended at %d", r.Offset, end)
	}
	end = f.end
	if err := log.Trim(15, end); err != nil {
		t.Fatalf("trim: %v", err)
	}
	mustClose(t, log)

	log = open(t)
	defer mustClose(t, log)
	f = follow(t, log, 15, end, nil)
	appendAll(log, 15, "after the reopen")
	if r := f.wait(1)[0]; r.Offset < end {
		t.Errorf("offset %d was given twice, the log ended at %d", r.Offset, end)
	}
}

func testLarge(t *testing.T, open Open) {
	log := open(t)
	f := follow(t, log, 0, 1, nil)
	want := []string{
		"small",
		strings.Repeat("a", eventlog.MaxRecord),
		strings.Repeat("b", 3<<20),
		strings.Repeat("c", 1<<20),
		"small again",
	}
	appendAll(log, 0, want...)
	expect(t, f.wait(len(want)), want...)
	mustClose(t, log)
	log = open(t)
	defer mustClose(t, log)
	expect(t, read(t, log, 0, 0), want...)
}

func testEmpty(t *testing.T, open Open) {
	log := open(t)
	f := follow(t, log, 0, 1, nil)
	appendAll(log, 0, "before", "", "after")
	expect(t, f.wait(3), "before", "", "after")
	mustClose(t, log)
	log = open(t)
	defer mustClose(t, log)
	expect(t, read(t, log, 0, 0), "before", "", "after")
	f = follow(t, log, 1, 1, nil)
	log.Append(1, 1, nil) // alone in its group
	expect(t, f.wait(1), "")
}

func testPartitions(t *testing.T, open Open) {
	log := open(t)
	followers := make([]*follower, Partitions)
	for p := range Partitions {
		followers[p] = follow(t, log, p, 1, nil)
	}
	for i := range 20 {
		for p := range Partitions {
			log.Append(p, uint32(p+1), []byte{byte(p), byte(i)})
		}
	}
	for p, f := range followers {
		for _, r := range f.wait(20) {
			if int(r.Data[0]) != p || r.Span != uint32(p+1) {
				t.Fatalf("partition %d got a record of partition %d", p, r.Data[0])
			}
		}
	}
	mustClose(t, log)
	log = open(t)
	defer mustClose(t, log)
	for p, f := range followers {
		if got := read(t, log, p, 0); len(got) != 20 || got[0].Data[0] != byte(p) || got[19].Offset != f.now()[19].Offset {
			t.Errorf("partition %d holds %d records after the reopen, or others", p, len(got))
		}
	}
}

func testHammer(t *testing.T, open Open) {
	const producers, each = 4, 50 // per partition
	log := open(t)
	defer mustClose(t, log)
	var wg sync.WaitGroup
	for p := range Partitions {
		f := follow(t, log, p, 1, nil)
		h := &hammer{log: log, partition: p}
		for i := range producers {
			wg.Go(func() { h.produce(i, each) })
		}
		wg.Go(func() {
			for n := 1; n <= producers*each; n += 17 {
				records := f.wait(n)
				last := records[len(records)-1].Offset
				if got := read(t, log, p, last); len(got) == 0 || got[0].Offset != last {
					t.Errorf("partition %d: offset %d was applied but is not read", p, last)
				}
				if err := log.Trim(p, last/2); err != nil {
					t.Errorf("trim: %v", err)
				}
			}
			expect(t, f.wait(producers*each), h.order...)
		})
	}
	wg.Wait()
}

// hammer serialises the appends of several producers to one partition, as the contract asks, and remembers their order.
type hammer struct {
	log       eventlog.Log
	partition int

	mu    sync.Mutex
	order []string
}

func (h *hammer) produce(id, n int) {
	for _, d := range names(string(rune('A'+id)), n) {
		h.mu.Lock()
		h.order = append(h.order, d)
		h.log.Append(h.partition, 2, []byte(d))
		h.mu.Unlock()
	}
}

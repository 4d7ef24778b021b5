package partition

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

func inBatches(id uint64, topic string, size int, window time.Duration) Trigger {
	t := onTopic(id, topic)
	t.Batch = &Batch{Size: size, Window: window.Milliseconds()}
	return t
}

// batches are the events of deliveries, "e0+e1 e2".
func batches(list []Delivery) string {
	var out []string
	for i := range list {
		var one []string
		for d := range list[i].All() {
			one = append(one, d.Event.ID)
		}
		out = append(out, strings.Join(one, "+"))
	}
	return strings.Join(out, " ")
}

func (tt *testTable) take(trigger uint64, n int) []Delivery {
	tt.t.Helper()
	list, err := tt.Take(trigger, n)
	if err != nil {
		tt.t.Fatal(err)
	}
	return list
}

func (tt *testTable) settleBatch(d *Delivery, e Effects) Outcome {
	tt.t.Helper()
	o, err := tt.SettleBatch(tt.t.Context(), d, attemptOf(*d, abi.Done, ""), e)
	if err != nil {
		tt.t.Fatal(err)
	}
	return o
}

func oneKey(int) string { return "k" }

func named(names ...string) (out []event.Event) {
	for _, n := range names {
		out = append(out, newEvent(n, "k"))
	}
	return out
}

func TestEventsThatWaitAreHandedOutInBatches(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, inBatches(1, "a", 4, 0))
	tt.publish("a", named("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")...)
	if got := batches(tt.take(1, 2)); got != "0+1+2+3 4+5+6+7" {
		t.Errorf("took %s", got)
	}
	if got := batches(tt.take(1, 2)); got != "8+9" {
		t.Errorf("then %s", got)
	}
}

// An event that has failed once, or that a redrive gave to a revision, disturbs no other one.
func TestWhatHasFailedRunsAlone(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, inBatches(1, "a", 4, 0))
	tt.publish("a", named("0", "1", "2", "3")...)
	for d := range tt.take(1, 1)[0].All() {
		switch d.Event.ID {
		case "1", "2":
			tt.settle(*d, attemptOf(*d, abi.Failed, "no"), Next{RetryAt: time.UnixMilli(1)}, Effects{})
		default:
			tt.giveUp(*d, "no")
		}
	}
	tt.awaitDue(1, 2) // else they could come between those that are redriven
	var letters []ID
	if err := tt.DeadLetters("default", 1, func(d DeadLetter) error { letters = append(letters, d.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	tt.redriveAs(Redriving{Letter: tt.letterID(letters[0]), Revision: 7}, LetterChanged)
	if n, err := tt.Redrive(t.Context(), letters[1:]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	tt.publish("a", named("4", "5")...)
	var got []string
	for len(got) < 5 {
		for _, d := range tt.takeN(1, 1) {
			got = append(got, batches([]Delivery{d}))
		}
		if strings.Contains(got[len(got)-1], "4") {
			break
		}
	}
	last := got[len(got)-1]
	slices.Sort(got)
	if want := []string{"0", "1", "2", "3+4+5"}; !slices.Equal(got, want) || last != "3+4+5" {
		t.Errorf("took %q, want the failed ones alone and then %q", got, want[3])
	}
}

// With order: key a batch has at most one event of each key.
func TestABatchKeepsTheOrderOfKeys(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	ordered := inBatches(1, "a", 10, 0)
	ordered.Order = "key"
	tt.triggers(1, ordered)
	keys := tt.keysOf(0, 2)
	for i, k := range []int{0, 0, 1, 0, 1} {
		tt.publish("a", newEvent(fmt.Sprint(i), keys[k]))
	}
	var got []string
	for range 3 {
		d := tt.take(1, 5)
		got = append(got, batches(d))
		for i := range d {
			if o := tt.settleBatch(&d[i], Effects{}); o != Applied {
				t.Fatalf("outcome %d", o)
			}
		}
	}
	if want := []string{"0+2", "1+4", "3"}; !slices.Equal(got, want) {
		t.Errorf("took %q, want %q", got, want)
	}
}

// keysOf are n keys that lie in a partition.
func (tt *testTable) keysOf(partition, n int) (keys []string) {
	for i := 0; len(keys) < n; i++ {
		if k := fmt.Sprint("key-", i); tt.place("default", k, "", "").index == partition {
			keys = append(keys, k)
		}
	}
	return keys
}

func TestABatchIsSettledWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, inBatches(1, "a", 3, 0), onTopic(2, "out"))
	tt.publish("a", named("0", "1", "2")...)
	first := tt.take(1, 1)
	e := func(n string) Effects {
		return Effects{Emits: []Emit{{"out", newEvent("x"+n, "k")}, {"out", newEvent("y"+n, "k1")}, {"out", newEvent("z"+n, "k2")}}}
	}
	i, err := tt.Invocation(first[0].More[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := tt.Cancel(t.Context(), &i, attemptOf(first[0], abi.Failed, "unwanted")); err != nil || o != Applied {
		t.Fatal(o, err)
	}
	if o := tt.settleBatch(&first[0], e("1")); o != Stale {
		t.Fatalf("a batch of which one event was settled: outcome %d", o)
	}
	tt.Release(&first[0])
	again := tt.take(1, 1)
	if got := batches(again); got != "0+2" {
		t.Fatalf("given back: %s", got)
	}
	if o := tt.settleBatch(&again[0], e("2")); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	if o := tt.settleBatch(&again[0], e("2")); o != Stale {
		t.Fatalf("settled twice: outcome %d", o)
	}
	tt.takeNone(1)
	tt.reopen()
	tt.triggers(2, inBatches(1, "a", 3, 0), onTopic(2, "out"))
	if got := ids(tt.takeN(2, 3)); !slices.Equal(got, []string{"x2", "y2", "z2"}) {
		t.Errorf("emitted %q", got)
	}
	tt.takeNone(1)
	tt.takeNone(2)
}

// The events for other partitions are found in the batch's record when the table opens again before they have arrived.
func TestABatchOverARestart(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, inBatches(1, "a", 100, 0), onTopic(2, "out"))
	tt.publish("a", manyEvents(20, oneKey)...)
	d := tt.take(1, 1)
	var e Effects
	for i := range 40 {
		e.Emits = append(e.Emits, Emit{"out", newEvent(fmt.Sprintf("out%02d", i), fmt.Sprint("key", i))})
	}
	p := tt.parts[d[0].ID.Partition]
	record := &batchRecord{trigger: 1, attempt: attemptOf(d[0], abi.Done, ""), effects: tt.effects(p, stateScope{"default", "f1", ""}, e)}
	for one := range d[0].All() {
		record.settled = append(record.settled, batchEntry{one.ID.Offset, 0, 1})
	}
	if res, err := p.do(t.Context(), record); err != nil || res.outcome != Applied {
		t.Fatal(res, err)
	}
	tt.reopen()
	tt.triggers(2, inBatches(1, "a", 100, 0), onTopic(2, "out"))
	if got := ids(tt.takeN(2, 40)); got[0] != "out00" || got[39] != "out39" {
		t.Errorf("%d events: %q", len(got), got)
	}
	tt.takeNone(1)
}

func TestABatchHasABoundOfBytes(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, inBatches(1, "a", 100, 0))
	for i := range 10 {
		tt.publish("a", event.Event{ID: fmt.Sprint(i), Source: "/s", Type: "t", Subject: "k", Data: make([]byte, 300<<10)})
	}
	if got := batches(tt.take(1, 10)); got != "0+1+2 3+4+5 6+7+8 9" {
		t.Errorf("took %s", got)
	}
}

// Events of a trigger with a window wait until the batch is full or the window is over; what fails or is given back does not wait again.
func TestABatchWaitsForItsWindow(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	const window = 300 * time.Millisecond
	tt.triggers(1, inBatches(1, "a", 3, window))
	before := time.Now()
	tt.publish("a", named("0", "1")...)
	list, err := tt.Invocations(InvocationQuery{Trigger: 1, Limit: 10})
	if err != nil || len(list) != 2 || list[0].Why != WaitsForMore {
		t.Errorf("they wait for %+v, %v", list, err)
	}
	d := tt.takeN(1, 1)
	if waited := time.Since(before); batches(d) != "0+1" || waited < window-time.Millisecond {
		t.Errorf("took %s after %s", batches(d), waited)
	}
	tt.Release(&d[0])
	if got := batches(tt.take(1, 1)); got != "0+1" {
		t.Errorf("given back: %q", got)
	}
	tt.triggers(2, inBatches(1, "a", 3, time.Hour))
	tt.publish("a", named("2", "3")...)
	tt.takeNone(1)
	tt.publish("a", named("4", "5")...)
	if got := batches(tt.take(1, 5)); got != "2+3+4" {
		t.Errorf("a full batch: %q", got)
	}
	tt.takeNone(1) // 5 waits for the next window
	tt.triggers(3, inBatches(1, "a", 3, 0))
	if got := batches(tt.take(1, 5)); got != "5" {
		t.Errorf("without a window: %q", got)
	}
}

// What was left behind by a batch that was taken begins a window of its own, whose end nobody else tells.
func TestTheRestOfAFullBatchGoesAfterItsWindow(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, inBatches(1, "a", 2, 200*time.Millisecond))
	tt.publish("a", named("0", "1", "2")...)
	if got := batches(tt.takeN(1, 1)); got != "0+1" {
		t.Fatalf("took %s", got)
	}
	tt.takeNone(1)
	if got := batches(tt.takeN(1, 1)); got != "2" {
		t.Errorf("then %s", got)
	}
}

// A batch that names an event twice is refused before it is in the log.
func TestABatchWithAnEventTwiceIsRefused(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, inBatches(1, "a", 2, 0))
	tt.publish("a", named("0", "1")...)
	d := tt.take(1, 1)[0]
	d.More = append(d.More, *d.Alone())
	_, err := tt.SettleBatch(t.Context(), &d, attemptOf(d, abi.Done, ""), Effects{})
	if want := fmt.Sprintf("settle a batch: event %d of partition %d is in it twice", d.ID.Offset, d.ID.Partition); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	tt.Release(&d)
	if got := batches(tt.take(1, 1)); got != "1+0" { // in the order in which they were given back
		t.Errorf("afterwards it hands out %s", got)
	}
}

func TestDamagedBatches(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(1)
	s.add(&controlRecord{generation: 1, put: [][]byte{[]byte(`{"id":1,"namespace":"default"}`)}})
	s.add(&publishRecord{stored: []storedEvent{stored("a", 1), stored("b", 1)}})
	first := s.records[2].Offset
	s.add(&batchRecord{trigger: 1, settled: []batchEntry{{first, 0, 1}, {first, 0, 1}}})
	m := openMachine(t)
	for _, rec := range s.records[:3] {
		if _, _, err := m.apply(rec); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := m.apply(s.records[3]); err == nil || err.Error() != fmt.Sprintf("damaged record: offset %d of a batch comes after %d", first, first) {
		t.Errorf("got %v", err)
	}
}

// The bytes of the kind are frozen: docs/log.md.
func TestBytesOfABatch(t *testing.T) {
	t.Parallel()
	b := &batchRecord{
		trigger: 1, settled: []batchEntry{{300, 3, 1}, {302, 0, 1}},
		attempt: Attempt{Number: 1, Revision: 7, Start: time.UnixMilli(1), Duration: 3 * time.Microsecond},
		effects: effects{namespace: "n", function: "f"},
	}
	got := encodeRecord(header{}, b)
	want := "0f" + "01" + "02" + "ac020301" + "020001" + "0107" + "0100000000000000" + "03" + "00" + "0000" + "016e" + "0166" + "0000000000"
	if text := hex.EncodeToString(got[5:6]) + hex.EncodeToString(got[headerSize:]); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

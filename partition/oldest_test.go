package partition

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestOldestDeadLetterIsFoundAgainWhenItGoes(t *testing.T) {
	t.Parallel()
	m := openMachine(t)
	s := &script{}
	s.lead(1)
	s.add(&controlRecord{put: [][]byte{[]byte(`{"id":1}`)}})
	var offsets []uint64
	for i := range 4 {
		s.time = int64(1000 * (i + 1))
		s.add(&publishRecord{stored: []storedEvent{stored(fmt.Sprint(i), 1)}})
		offset := s.records[len(s.records)-1].Offset
		offsets = append(offsets, offset)
		s.add(&settleRecord{trigger: 1, offset: offset, attempt: Attempt{Number: 1}, next: nextDeadLetter})
	}
	p := &partition{machine: m, table: &Table{db: m.store.db}, ready: newReady(m)}
	replay(t, m, p.ready, s.records)
	want := func(when string, at int64) {
		t.Helper()
		for _, round := range []string{"searched", "kept"} {
			got, err := p.oldestLetter(1)
			if at == 0 && !got.IsZero() || at > 0 && got.UnixMilli() != at || err != nil {
				t.Errorf("%s, %s: %s %v, want %d", when, round, got, err, at)
			}
		}
	}
	gone := func(i int) {
		s.add(&discardRecord{letters: []letter{{1, offsets[i], 0}}})
		replay(t, m, p.ready, s.records[len(s.records)-1:])
	}
	want("four", 1000)
	gone(2)
	want("without the third", 1000)
	gone(0)
	want("without the first", 2000)
	gone(1)
	gone(3)
	want("none", 0)
}

func TestSeriesOfDeadLetters(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	tt := openTable(t, func(o *Options) { o.Registerer = reg })
	tt.triggers(1, parking(1, "a"), onTopic(2, "a"), onTopic(3, "a"))
	tt.publish("a", newEvent("1", "k"), newEvent("2", "k"), newEvent("3", "l"))
	for _, d := range append(tt.takeN(1, 2), tt.takeN(2, 2)...) {
		tt.giveUp(d, "no")
	}
	tt.takeNone(1)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if labels := m.GetLabel(); len(labels) == 2 && labels[1].GetName() == "trigger" {
				got[f.GetName()+" "+labels[0].GetValue()+" "+labels[1].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	for name, want := range map[string]float64{
		"evoke_dead_letters default f1:a": 2, "evoke_dead_letters default f2:a": 2, "evoke_parked_keys default f1:a": 2, "evoke_parked_keys default f2:a": 0,
	} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v (%t), want %v", name, v, there, want)
		}
	}
	if v, there := got["evoke_dead_letter_oldest_seconds default f1:a"]; !there || v < 0 || len(got) != 6 {
		t.Errorf("series %v", got)
	}
	if s := tt.Stats(1); s.Behind != 1 || s.OldestDeadLetter.IsZero() || s.OldestParked.IsZero() {
		t.Errorf("stats %+v", s)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	var list []LetterStats
	for i := range 5 {
		list = append(list, LetterStats{Trigger: Trigger{ID: uint64(i), Namespace: "n", Name: fmt.Sprint("t", i)}, Letters: i + 1, Parked: 1, Oldest: at.Add(time.Duration(i) * time.Second)})
	}
	list = append(list, LetterStats{Trigger: Trigger{ID: 9, Namespace: "n", Name: "t4"}, Letters: 4, Oldest: at})
	var got []string
	for _, s := range bounded(list, 3) {
		got = append(got, fmt.Sprint(s.Trigger.Name, " ", s.Letters, " ", s.Parked, " ", s.Oldest.Unix()))
	}
	if want := []string{"t4 9 1 1000", "t3 4 1 1003", "_other 6 3 1000"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

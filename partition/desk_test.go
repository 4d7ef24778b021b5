package partition

import (
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
)

func TestEditedEventRunsInsteadOfTheOneThatFailed(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			t.Parallel()
			tt := openTable(t, nil)
			between := func() {
				if restart {
					tt.reopen()
				}
			}
			tt.triggers(1, onTopic(1, "a"), onTopic(2, "a"))
			tt.publish("a", newEvent("x", "k"))
			tt.done(tt.takeN(2, 1)[0], Effects{})
			bad := tt.takeN(1, 1)[0]
			tt.giveUp(bad, "no")
			edited := newEvent("y", "k")
			edited.Data = []byte(`{"n":"mended"}`)
			tt.redriveAs(Redriving{Letter: tt.letterID(bad.ID), Edited: &edited, Revision: 3}, LetterChanged)
			between()
			d := tt.takeN(1, 1)[0]
			if d.Event.ID != "y" || string(d.Event.Data) != `{"n":"mended"}` || d.Revision != 3 || d.ID != bad.ID || d.Generation != 1 || d.Topic != "a" {
				t.Errorf("took %+v", d)
			}
			tt.takeNone(2)
			if got := tt.tail("a"); !slices.Equal(got, []string{"x"}) {
				t.Errorf("the topic has %v", got)
			}

			// Given up again it shows both, and a redrive keeps the edit and forgets the revision.
			tt.giveUp(d, "no")
			between()
			letter, err := tt.DeadLetter(bad.ID)
			if err != nil || letter.Event.ID != "y" || letter.EditedAt != 1 || len(letter.Attempts) != 2 {
				t.Errorf("dead letter %+v %v", letter, err)
			}
			if original, err := tt.Original(&letter); err != nil || original.ID != "x" {
				t.Errorf("original %+v %v", original, err)
			}
			tt.redriveAs(Redriving{Letter: tt.letterID(bad.ID)}, LetterChanged)
			between()
			if d = tt.takeN(1, 1)[0]; d.Event.ID != "y" || d.Revision != 0 || d.Generation != 2 {
				t.Errorf("took %+v", d)
			}
			tt.done(d, Effects{})
			tt.takeNone(1)
			if n := len(tt.parts[bad.ID.Partition].machine.triggers[1].special); n != 0 {
				t.Errorf("%d events are special after all is done", n)
			}
		})
	}
}

// An event that is redriven while a replay is under way comes by the replay, too, when it is done before the replay gets to it. These are two invocations.
func TestRedriveDuringAReplayIsAnInvocationOfItsOwn(t *testing.T) {
	t.Parallel()
	tt := openTable(t, func(o *Options) { o.byHand = true })
	def := onTopic(1, "in")
	tt.triggers(1, def)
	tt.publish("in", newEvent("1", "k"))
	d := tt.takeN(1, 1)[0]
	seen := map[string]bool{d.Invocation(): true}
	tt.giveUp(d, "no")
	def.Replay = &Replay{ID: 1}
	tt.triggers(2, def)
	next := func(giveUp bool) {
		t.Helper()
		d := tt.takeN(1, 1)[0]
		if seen[d.Invocation()] {
			t.Errorf("invocation %s comes twice", d.Invocation())
		}
		seen[d.Invocation()] = true
		if giveUp {
			tt.giveUp(d, "no")
		} else {
			tt.done(d, Effects{})
		}
	}
	tt.redriveAs(Redriving{Letter: tt.letterID(d.ID)}, LetterChanged)
	next(false)
	if _, err := (&catchUp{table: tt.Table, candidates: map[stepKey]*candidates{}}).round(); err != nil {
		t.Fatal(err)
	}
	next(true)
	for _, w := range []Redriving{{}, {Revision: 3}} {
		w.Letter = tt.letterID(d.ID)
		tt.redriveAs(w, LetterChanged)
		next(true)
	}
	tt.takeNone(1)
}

func TestRedriveOfWhatIsNoMore(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"))
	tt.publish("a", newEvent("x", "k"), newEvent("y", "k"))
	list := tt.takeN(1, 2)
	for _, d := range list {
		tt.giveUp(d, "no")
	}
	x, y := tt.letterID(list[0].ID), tt.letterID(list[1].ID)
	otherKey := newEvent("x", "other")
	tt.redriveAs(Redriving{Letter: x, Edited: &otherKey}, LetterKeyChanged)
	tt.redriveAs(Redriving{Letter: LetterID{x.ID, 1}}, LetterGone)
	tt.redriveAs(Redriving{Letter: LetterID{ID: ID{Partition: 99, Offset: 1, Trigger: 1}}}, LetterGone)
	out, err := tt.RedriveAs(t.Context(), []Redriving{{Letter: x}, {Letter: x}, {Letter: y, Revision: 2}})
	if want := []LetterOutcome{LetterChanged, LetterGone, LetterChanged}; err != nil || !slices.Equal(out, want) {
		t.Errorf("%v %v, want %v", out, err, want)
	}
	out, err = tt.DiscardLetters(t.Context(), []LetterID{x, y, {ID: ID{Partition: 99}}}, "test")
	if want := []LetterOutcome{LetterGone, LetterGone, LetterGone}; err != nil || !slices.Equal(out, want) {
		t.Errorf("discard of redriven ones: %v %v", out, err)
	}
	if s := tt.Stats(1); s.Pending != 2 || s.DeadLetters != 0 {
		t.Errorf("stats %+v", s)
	}
}

// A copy for a dead-letter topic is stored with the settle that gives up, wherever its key belongs.
func TestDeadLetterCopyIsPublishedOnce(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, parking(1, "a"), onTopic(2, "dead"))
	tt.publish("a", newEvent("x", "k"))
	d := tt.takeN(1, 1)[0]
	copies := Effects{Emits: []Emit{{Topic: "dead", Event: newEvent("x", "k")}, {Topic: "dead", Event: newEvent("far", "elsewhere")}}, Writes: []StateWrite{{Name: "n", Value: []byte("1")}}}
	give := func() Outcome { return tt.settle(d, attemptOf(d, 1, "no"), Next{DeadLetter: true}, copies) }
	if o := give(); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	if o := give(); o != Stale {
		t.Errorf("the second time: outcome %d", o)
	}
	tt.reopen()
	tt.waitTail("dead", "x", "far")
	if got := ids(tt.takeN(2, 2)); !slices.Equal(got, []string{"far", "x"}) {
		t.Errorf("a trigger of the topic got %v", got)
	}
	if _, version, _ := tt.State("default", "f1", "k", "n"); version != 0 {
		t.Error("a failed attempt wrote state")
	}
	tt.wantStats(1, 0, 1, 1)
}

// letters makes n dead letters of trigger 1 and m of trigger 2, over all partitions.
func (tt *testTable) letters(n, m int) {
	tt.t.Helper()
	tt.triggers(1, onTopic(1, "a"), onTopic(2, "b"))
	tt.publish("a", manyEvents(n, func(i int) string { return fmt.Sprint("k", i) })...)
	tt.publish("b", manyEvents(m, func(i int) string { return fmt.Sprint("k", i) })...)
	for trigger, n := range map[uint64]int{1: n, 2: m} {
		for _, d := range tt.takeN(trigger, n) {
			tt.giveUp(d, "no")
		}
	}
}

func TestListsComeInPagesThatMeet(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.letters(23, 9)
	some, err := filter.Parse("subject IN ('k1', 'k3', 'k5', 'k22')")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		q    LetterQuery
		want int
	}{
		"all":           {LetterQuery{Namespace: "default"}, 32},
		"one trigger":   {LetterQuery{Namespace: "default", Trigger: 2}, 9},
		"first trigger": {LetterQuery{Namespace: "default", Trigger: 1}, 23},
		"filtered":      {LetterQuery{Namespace: "default", Filter: some}, 7},
		"both":          {LetterQuery{Namespace: "default", Filter: some, Trigger: 1}, 4},
		"parked":        {LetterQuery{Namespace: "default", Parked: true}, 0},
		"since":         {LetterQuery{Namespace: "default", Since: time.Now().Add(time.Hour)}, 0},
		"before":        {LetterQuery{Namespace: "default", Before: time.Now().Add(-time.Hour)}, 0},
		"both times":    {LetterQuery{Namespace: "default", Since: time.Now().Add(-time.Hour), Before: time.Now().Add(time.Hour)}, 32},
		"elsewhere":     {LetterQuery{Namespace: "other"}, 0},
	} {
		walked := map[ID]bool{}
		after, more := ID{}, true
		for pages := 0; more; pages++ {
			var list []LetterID
			if list, after, more, err = tt.Walk(tc.q, after, 5); err != nil || pages > 20 {
				t.Fatalf("%s: page %d: %v", name, pages, err)
			}
			for _, l := range list {
				walked[l.ID] = true
			}
		}
		var listed []DeadLetter
		page, more := LetterPage{}, true
		for pages := 0; more; pages++ {
			var list []DeadLetter
			if list, page, more, err = tt.Newest(tc.q, page, 5); err != nil || pages > 20 {
				t.Fatalf("%s: page %d: %v", name, pages, err)
			}
			listed = append(listed, list...)
		}
		seen := map[ID]bool{}
		for i, d := range listed {
			seen[d.ID] = true
			if i > 0 && d.Time.After(listed[i-1].Time) {
				t.Errorf("%s: %s is newer than the one before it", name, d.ID)
			}
		}
		if len(walked) != tc.want || len(seen) != tc.want || len(listed) != tc.want {
			t.Errorf("%s: walked %d, listed %d (%d different), want %d", name, len(walked), len(listed), len(seen), tc.want)
		}
	}
}

// Records of edited events that are too few for their letters are damage.
func TestRedriveWithoutTheEventsItNames(t *testing.T) {
	t.Parallel()
	s := &script{}
	s.lead(1)
	s.add(&redriveAsRecord{letters: []letterAs{{edited: true}}})
	m := openMachine(t)
	if _, _, err := m.apply(s.records[0]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.apply(s.records[1]); err == nil || err.Error() != "damaged record: it says that 1 events are edited and has fewer" {
		t.Errorf("got %v", err)
	}
}

// The bytes of these kinds are frozen: docs/log.md.
func TestBytesOfTheDesksRecords(t *testing.T) {
	t.Parallel()
	edited := []storedEvent{{namespace: "n", topic: "t", event: []byte("E")}}
	a := Attempt{Number: 2, Revision: 7, Start: time.UnixMilli(1), Duration: 3 * time.Microsecond, Verdict: 1, Class: "c", Error: "e"}
	for want, b := range map[string]body{
		"0d" + "01" + "ac02" + "03" + "0207" + "0100000000000000" + "0301" + "0163" + "0165" + "01" + "0800000000000000" + "000000" + "0000" + "01016e0174" + "0000000000000000" + "000145" + "00": &gaveUpRecord{trigger: 1, offset: 300, generation: 3, attempt: a, parks: true, lane: 8, effects: effects{own: edited}},
		"0e" + "02" + "01ac02030901" + "0405060000" + "01016e0174" + "0000000000000000" + "000145":                                                                                                 &redriveAsRecord{letters: []letterAs{{letter{1, 300, 3}, 9, true}, {letter{4, 5, 6}, 0, false}}, edited: edited},
		"11" + "01" + "01ac02030000" + "00": &redriveAsRecord{letters: []letterAs{{letter{1, 300, 3}, 0, false}}, above: true},
	} {
		got := encodeRecord(header{}, b)
		if text := hex.EncodeToString(got[5:6]) + hex.EncodeToString(got[headerSize:]); text != want {
			t.Errorf("kind %d: got  %s\nwant %s", b.kind(), text, want)
		}
	}
}

func TestManyLargeEditsTakeSeveralRecords(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"))
	tt.publish("a", manyEvents(12, func(int) string { return "k" })...)
	var list []Redriving
	for _, d := range tt.takeN(1, 12) {
		tt.giveUp(d, "no")
		edited := event.Event{ID: "edited", Source: "/s", Type: "t", Subject: "k", Data: make([]byte, 1<<20-1000)}
		list = append(list, Redriving{Letter: tt.letterID(d.ID), Edited: &edited})
	}
	out, err := tt.RedriveAs(t.Context(), list)
	if err != nil || slices.Contains(out, LetterGone) {
		t.Fatalf("%v %v", out, err)
	}
	for _, d := range tt.takeN(1, 12) {
		if d.Event.ID != "edited" || len(d.Event.Data) != 1<<20-1000 {
			t.Errorf("took %s with %d bytes", d.Event.ID, len(d.Event.Data))
		}
	}
}

package partition

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// byUrgency is a trigger whose events say how urgent they are.
func byUrgency() Trigger {
	return Trigger{ID: 1, Namespace: "default", Name: "t", Function: "f", Topic: "a", Priority: "urgency"}
}

// urgent makes events named by what they say, "3:b" of urgency 3; "b" says nothing.
func urgent(names ...string) (events []event.Event) {
	for _, name := range names {
		e := newEvent(name, "k") // of one partition
		if urgency, _, ok := strings.Cut(name, ":"); ok {
			e.SetExtension(event.Extension{Name: "urgency", Value: urgency, Kind: event.Integer})
		}
		events = append(events, e)
	}
	return events
}

// inTurn are the ids of deliveries in the order in which they came.
func inTurn(list []Delivery) string {
	var out []string
	for _, d := range list {
		out = append(out, d.Event.ID)
	}
	return strings.Join(out, " ")
}

func TestEventsComeByTheirRank(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, byUrgency())
	tt.publish("a", urgent("a", "-5:b", "3:c", "d", "3:e", "-900:f", "100:g", "5000:h", "i")...)
	if got := inTurn(tt.takeN(1, 4)); got != "100:g 5000:h 3:c 3:e" {
		t.Errorf("first %s", got)
	}
	taken := tt.takeN(1, 1)
	if got := inTurn(taken); got != "a" {
		t.Errorf("then %s", got)
	}
	// One comes late and overtakes; one is given back; one fails and comes again when it is due.
	tt.publish("a", urgent("7:j")...)
	tt.Release(&taken[0])
	if got := inTurn(tt.takeN(1, 2)); got != "a 7:j" {
		t.Errorf("a released one, and one that came late: %s", got)
	}
	tt.reopen()
	list := tt.takeN(1, 3)
	if got := inTurn(list); got != "100:g 5000:h 7:j" {
		t.Errorf("after a restart %s", got)
	}
	tt.settle(list[0], attemptOf(list[0], abi.Failed, "no"), Next{RetryAt: time.UnixMilli(1)}, Effects{})
	tt.awaitDue(1, 1)
	for _, d := range append(list[1:], tt.takeN(1, 1)...) {
		tt.done(d, Effects{})
	}
	rest := tt.takeN(1, 7)
	if got := inTurn(rest); got != "3:c 3:e a d i -5:b -900:f" {
		t.Errorf("the rest %s", got)
	}
	for _, d := range rest {
		tt.done(d, Effects{})
	}
	tt.takeNone(1)
	for _, p := range tt.parts {
		p.mu.Lock()
		m, f := p.machine.triggers[1], p.ready.feeds[1]
		if f != nil && (len(m.ranks)+len(f.ranked)+len(f.early) > 0 || f.hasWork()) {
			t.Errorf("partition %d keeps %d ranks, %d in line, %d early", p.index, len(m.ranks), len(f.ranked), len(f.early))
		}
		p.mu.Unlock()
	}
}

func TestRanksOfRecords(t *testing.T) {
	t.Parallel()
	ev := event.Event{ID: "1", Source: "/s", Type: "t"}
	raw := ev.AppendBinary(nil)
	plain := storedEvent{namespace: "n", topic: "a", triggers: []uint64{1, 2, 3}, event: raw}
	with := plain
	with.ranks = []int8{0, -100, 7}
	want := &publishRecord{stored: []storedEvent{plain, with}}
	data := encodeRecord(header{epoch: 1, seq: 2}, want)
	if _, got, err := decodeRecord(data); err != nil || !reflect.DeepEqual(got, want) || data[4] != rankedVersion {
		t.Errorf("version %d: %+v, %v", data[4], got, err)
	}
	zero := plain
	zero.ranks = []int8{0, 0, 0}
	if data := encodeRecord(header{}, &publishRecord{stored: []storedEvent{zero}}); data[4] != recordVersion {
		t.Error("a record without ranks cannot be read by older programs")
	}
	for i, at := range []recordRank{{2, 0, 1}, {1, 3, 1}} { // no such event, no such trigger
		b := appendRanks((&publishRecord{stored: []storedEvent{plain, with}}).append(append(data[:6:6], data[6:headerSize]...)), []recordRank{at})
		seal(b)
		if _, _, err := decodeRecord(b); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), fmt.Sprintf("a rank for trigger %d of event %d", at.trigger, at.event)) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestAPriorityThatIsNone(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	bad := byUrgency()
	bad.Priority = "urgency ="
	if err := tt.SetTriggers(t.Context(), 1, []Trigger{bad}); err == nil || !strings.Contains(err.Error(), "priority of trigger t: at character 10: ") {
		t.Errorf("error %v", err)
	}
}

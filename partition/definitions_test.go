package partition

import (
	"testing"

	"github.com/evoke-run/evoke/event"
)

// TestPartitionsShareWhatIsIdle also has a trigger changed, restarted, removed and put again while it has something in one of the partitions.
func TestPartitionsShareWhatIsIdle(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"), onTopic(2, "other"))
	at := tt.publish("in", event.Event{ID: "1", Source: "/s", Type: "t", Subject: "k"})[0].Partition
	check := func(when string, pending int) {
		t.Helper()
		idle := map[*trigger]bool{}
		for i, p := range tt.parts {
			p.mu.Lock()
			tr := p.machine.triggers[1]
			if tr.shared {
				idle[tr] = true
				if tr.pending.count != 0 || len(tr.progress) != 0 || tr.gone || tr.ID != 1 {
					t.Errorf("%s: what is shared is %+v", when, tr)
				}
			} else if i != at {
				t.Errorf("%s: partition %d has one of its own", when, i)
			}
			if i == at && tr.pending.count != pending {
				t.Errorf("%s: %d pending, want %d", when, tr.pending.count, pending)
			}
			p.mu.Unlock()
		}
		if len(idle) != 1 {
			t.Errorf("%s: %d of what should be one", when, len(idle))
		}
	}
	check("at first", 1)
	changed := onTopic(1, "in")
	changed.Filter = "subject = 'k'"
	tt.triggers(2, changed, onTopic(2, "other"))
	check("with a filter", 1)
	tt.reopen()
	check("after a restart", 1)
	tt.triggers(uint64(3), onTopic(2, "other"))
	for i, p := range tt.parts {
		p.mu.Lock()
		if p.machine.triggers[1] != nil {
			t.Errorf("partition %d still has it", i)
		}
		p.mu.Unlock()
	}
	tt.triggers(4, changed, onTopic(2, "other"))
	check("put again", 0)
	tt.publish("in", event.Event{ID: "2", Source: "/s", Type: "t", Subject: "k"})
	check("with another event", 1)
}

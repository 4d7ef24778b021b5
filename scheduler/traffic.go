package scheduler

import (
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
)

// traffic says which revision of a function an event goes to. It only depends on the event's key, so that one key stays on one revision, for calls and for events
// of every trigger. Of two revisions the newer one has the upper end of the range of keys: when its share grows it keeps the keys it has.
type traffic []api.Share // sorted by revision; nil = all to the newest

// pick is 0 for the newest revision.
func (t traffic) pick(e *event.Event) int {
	if len(t) == 0 {
		return 0
	}
	d := xxhash.New()
	if key := e.Key(); key != "" {
		_, _ = d.WriteString(key) // a hash never fails
	} else {
		_, _ = d.WriteString(e.Source)
		_, _ = d.Write([]byte{0})
		_, _ = d.WriteString(e.ID)
	}
	place, _ := bits.Mul64(d.Sum64(), 100) // 0 to 99
	for _, s := range t {
		if place < uint64(s.Percent) {
			return s.Revision
		}
		place -= uint64(s.Percent)
	}
	return t[len(t)-1].Revision
}

// byRevision parts the events of a delivery by the revision that runs them; 0 is the newest.
func (f *function) byRevision(d *partition.Delivery) map[int]*partition.Delivery {
	out := map[int]*partition.Delivery{}
	t := f.currentTraffic()
	for one := range d.All() {
		revision := t.pick(&one.Event)
		if first := out[revision]; first != nil {
			first.More = append(first.More, *one)
			continue
		}
		out[revision] = one.Alone()
	}
	return out
}

func (f *function) currentTraffic() traffic {
	if t := f.traffic.Load(); t != nil {
		return *t
	}
	return nil
}

func (f *function) setTraffic(shares []api.Share) {
	if len(shares) == 0 {
		f.traffic.Store(nil)
		return
	}
	t := traffic(slices.Clone(shares))
	f.traffic.Store(&t)
}

package partition

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// Rate bounds how often something of a function may begin: once every Interval, and up to Burst times at once after a pause. All that have its namespace, function,
// name and key share it.
type Rate struct {
	Namespace, Function, Name, Key string

	Interval time.Duration // from a microsecond to maxInterval
	Burst    int           // from 1 on; Interval × Burst is at most maxInterval
}

const maxInterval = 366 * 24 * time.Hour

// admitRecord asks whether one more may begin. now is the leader's clock and not the record's time, which never goes back: a clock that was ahead for a while
// would hold up everything until it is there again.
type admitRecord struct {
	noEvents
	id       identity
	now      int64 // unix nanoseconds
	interval int64 // nanoseconds
	burst    uint64
}

func (*admitRecord) kind() kind { return kindAdmit }
func (a *admitRecord) append(b []byte) []byte {
	b = append(b, a.id[:]...)
	b = wire.AppendU64(b, uint64(a.now))
	b = wire.AppendUvarint(b, uint64(a.interval))
	return wire.AppendUvarint(b, a.burst)
}

func readAdmit(r *wire.Reader) *admitRecord {
	a := &admitRecord{}
	for i := range a.id {
		a.id[i] = r.U8()
	}
	a.now, a.interval, a.burst = int64(r.U64()), int64(r.Uvarint()), r.Uvarint()
	return a
}

// rates are those under which something has begun not long ago, the one that is forgotten first at the front of the heap.
type rates struct {
	byID   map[identity]*rate
	expiry rateHeap
}

// rate says from when on it is as if nothing had begun under it (the theoretical arrival time of GCRA).
type rate struct {
	id   identity
	free int64 // unix nanoseconds
	at   int   // in the heap
}

func newRates() rates { return rates{byID: map[identity]*rate{}} }

func (r *rates) set(id identity, free int64) {
	if known := r.byID[id]; known != nil {
		known.free = free
		heap.Fix(&r.expiry, known.at)
		return
	}
	one := &rate{id: id, free: free}
	r.byID[id] = one
	heap.Push(&r.expiry, one)
}

// applyAdmit is the judge of a rate: the generic cell rate algorithm.
func (m *machine) applyAdmit(a *admitRecord) (result, error) {
	whole := time.Duration(a.interval) * time.Duration(a.burst)
	if a.interval < int64(time.Microsecond) || a.burst < 1 || a.interval > int64(maxInterval) || a.burst > uint64(maxInterval)/uint64(a.interval) {
		return result{}, fmt.Errorf("%w: a rate of %d every %d ns", errDamaged, a.burst, a.interval)
	}
	m.forgetRates(a.now)
	free := a.now
	if known := m.rates.byID[a.id]; known != nil {
		if known.free > a.now+int64(whole) { // the clock was ahead, or the rate was lower: no more than all of it is used up
			m.setRate(a.id, a.now+int64(whole))
		}
		free = known.free
	}
	earliest := free - (int64(whole) - a.interval)
	if earliest > a.now {
		return result{outcome: Throttled, at: earliest}, nil
	}
	free += a.interval
	m.setRate(a.id, free)
	return result{at: max(a.now, earliest+a.interval)}, nil
}

func (m *machine) setRate(id identity, free int64) {
	m.rates.set(id, free)
	m.store.set(m.rateKey(id), wire.AppendU64(nil, uint64(free)))
}

func (m *machine) rateKey(id identity) []byte { return append(m.store.key(keyRate), id[:]...) }

// forgetRates drops those that are as if nothing had begun.
func (m *machine) forgetRates(now int64) {
	for len(m.rates.expiry) > 0 && m.rates.expiry[0].free <= now {
		old := heap.Pop(&m.rates.expiry).(*rate)
		delete(m.rates.byID, old.id)
		m.store.del(m.rateKey(old.id))
	}
}

func (m *machine) loadRates() error {
	return scan(m.store.db, m.store.key(keyRate), func(rest, value []byte) error {
		if len(rest) != len(identity{}) || len(value) != 8 {
			return errors.New("a rate has an entry of the wrong length")
		}
		m.rates.set(identity(rest), int64(binary.LittleEndian.Uint64(value)))
		return nil
	})
}

type rateHeap []*rate

func (h rateHeap) Len() int           { return len(h) }
func (h rateHeap) Less(i, j int) bool { return h[i].free < h[j].free }
func (h rateHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *rateHeap) Push(x any) {
	r := x.(*rate)
	r.at = len(*h)
	*h = append(*h, r)
}
func (h *rateHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

// Admit asks whether one more may begin under a rate and returns when the answer is durable, so that no restart lets more begin. next is when the next one may, or
// this one when ok is false. Whoever was admitted and does not begin has used it up.
func (t *Table) Admit(ctx context.Context, r Rate) (ok bool, next time.Time, err error) {
	if r.Interval < time.Microsecond || r.Burst < 1 || time.Duration(r.Burst) > maxInterval/r.Interval {
		return false, time.Time{}, fmt.Errorf("a rate of %d every %s is out of range", r.Burst, r.Interval)
	}
	id := identifyCall(stateScope{r.Namespace, r.Function, r.Name}, r.Key)
	p := t.place(r.Namespace, r.Key, r.Function, r.Name)
	res, err := p.do(ctx, &admitRecord{id: id, now: time.Now().UnixNano(), interval: int64(r.Interval), burst: uint64(r.Burst)})
	if err != nil {
		return false, time.Time{}, err
	}
	return res.outcome == Applied, time.Unix(0, res.at), nil
}

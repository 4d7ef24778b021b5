package partition

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evoke-run/evoke/event"
)

// InvocationState says where a delivery stands that is not done.
type InvocationState string

// The states of a delivery.
const (
	Running  InvocationState = "running"  // taken by the scheduler
	Retrying InvocationState = "retrying" // failed, and its next attempt has a time
	Delayed  InvocationState = "delayed"  // its first attempt has a time
	Waiting  InvocationState = "waiting"  // see Invocation.Why
	Dead     InvocationState = "dead"     // given up on: a dead letter
)

// stateOrder is the order of lists: what goes on before what waits.
var stateOrder = [...]InvocationState{Running, Retrying, Delayed, Waiting}

// Why an invocation waits.
const (
	WaitsForTurn = "turn"   // others of its trigger come first, or there is no room
	WaitsForKey  = "key"    // an earlier event of its key is not settled
	WaitsPaused  = "paused" // its trigger is
	WaitsForMore = "batch"  // its batch is not full, and its window has not ended
)

// Invocation is what the state knows of one delivery.
type Invocation struct {
	ID         ID
	Generation uint32
	Trigger    Trigger
	Topic      string
	State      InvocationState
	Why        string // of a waiting one: one of the constants, or the reason why it was set aside
	Finished   int    // attempts of this generation that have ended
	First      time.Time
	Due        time.Time // of a retrying or delayed one, and of one set aside for a time
	Stored     time.Time
	Attempts   []Attempt // of all generations, in order; not in lists
	Event      event.Event

	source uint64 // where Event is; 0 = at the offset of ID
}

// Name is the id that people know it by, that of Delivery.Invocation.
func (i *Invocation) Name() string { return invocationName(i.ID, i.Generation) }

func invocationName(id ID, generation uint32) string {
	if generation == 0 {
		return id.String()
	}
	return id.String() + "-g" + strconv.FormatUint(uint64(generation), 10)
}

// ParseInvocation reads the form of Delivery.Invocation, "3-1042-17" or "3-1042-17-g2". Without a generation it is 0.
func ParseInvocation(s string) (ID, uint32, error) {
	name, rest, redriven := strings.Cut(s, "-g")
	id, err := ParseID(name)
	if err != nil || !redriven {
		return id, 0, err
	}
	generation, err := strconv.ParseUint(rest, 10, 32)
	if err != nil {
		return ID{}, 0, fmt.Errorf("%q is not an id such as 3-1042-17-g2 (partition, offset, trigger, redriven twice)", s)
	}
	return id, uint32(generation), nil
}

// standing is what is in memory of a pending delivery.
type standing struct {
	offset uint64
	state  InvocationState
	why    string
	source uint64    // of an edited event
	until  time.Time // of one that is aside
	progress
}

// standing needs the partition's mu. The offset is pending.
func (f *feed) standing(offset uint64, now int64) standing {
	s := standing{offset: offset, state: Waiting, why: WaitsForTurn, source: f.trigger.special[offset].source, progress: f.trigger.at(offset)}
	_, running := f.running[offset]
	away, aside := f.aside[offset]
	switch {
	case running:
		s.state, s.why = Running, ""
	case aside:
		s.why, s.until = away.why, away.until
	case s.next > now && s.attempts > 0:
		s.state, s.why = Retrying, ""
	case s.next > now:
		s.state, s.why = Delayed, ""
	case f.trigger.Paused:
		s.why = WaitsPaused
	case f.queued(offset):
		s.why = WaitsForKey
	case f.gather.open && offset >= f.scan:
		s.why = WaitsForMore
	}
	return s
}

// queued says that an offset was looked at and waits behind another of its key.
func (f *feed) queued(offset uint64) bool {
	if f.trigger.Order != "key" || offset >= f.scan {
		return false
	}
	_, owns := f.owns[offset]
	return !owns
}

// Invocation returns a delivery that is pending or a dead letter; ErrNotFound when it is neither.
func (t *Table) Invocation(id ID) (Invocation, error) {
	if id.Partition >= t.count {
		return Invocation{}, fmt.Errorf("invocation %s: %w", id, ErrNotFound)
	}
	p := t.parts[id.Partition]
	def, s, ok := p.standingOf(id)
	if !ok {
		return t.deadInvocation(id)
	}
	value, ok, err := read(t.db, p.machine.store.key(keyProgress, id.Trigger, id.Offset))
	if err != nil {
		return Invocation{}, err
	}
	out := s.invocation(id, def)
	if ok {
		if _, out.Attempts, err = readProgress(bytes.Clone(value)); err != nil {
			return Invocation{}, fmt.Errorf("invocation %s: %w", id, err)
		}
	}
	return out, p.readInvocations([]*Invocation{&out})
}

func (p *partition) standingOf(id ID) (Trigger, standing, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.ready.feeds[id.Trigger]
	if f == nil || !f.trigger.pending.has(id.Offset) {
		return Trigger{}, standing{}, false
	}
	return *f.trigger.Trigger, f.standing(id.Offset, time.Now().UnixMilli()), true
}

func (s *standing) invocation(id ID, def Trigger) Invocation {
	out := Invocation{ID: id, Generation: s.generation, Trigger: def, State: s.state, Why: s.why, Finished: s.attempts, source: s.source}
	if s.first > 0 {
		out.First = time.UnixMilli(s.first).UTC()
	}
	switch {
	case s.state == Retrying || s.state == Delayed:
		out.Due = time.UnixMilli(s.next).UTC()
	case !s.until.IsZero():
		out.Due = s.until.UTC()
	}
	return out
}

func (t *Table) deadInvocation(id ID) (Invocation, error) {
	d, err := t.DeadLetter(id)
	if err != nil {
		return Invocation{}, err
	}
	out := Invocation{
		ID: id, Generation: d.Generation, Trigger: d.Trigger, Topic: d.Topic, State: Dead, Attempts: d.Attempts, source: d.source,
	}
	return out, t.parts[id.Partition].readInvocations([]*Invocation{&out})
}

// readInvocations fills in events. The list is of this partition, sorted by offset; several may have the same one.
func (p *partition) readInvocations(list []*Invocation) error {
	var offsets []uint64
	for _, i := range list {
		offsets = append(offsets, i.ID.Offset)
	}
	all := list
	err := p.readEvents(slices.Compact(offsets), func(offset uint64, stored time.Time, e storedEvent) error {
		decoded, err := event.Decode(bytes.Clone(e.event))
		for len(list) > 0 && list[0].ID.Offset == offset {
			list[0].Topic, list[0].Stored, list[0].Event = e.topic, stored.UTC(), decoded
			list = list[1:]
		}
		return err
	})
	for _, i := range all {
		if err == nil && i.source != 0 && i.source != i.ID.Offset { // somebody has edited it
			_, i.Event, err = p.readEvent(i.source)
		}
	}
	return err
}

// InvocationQuery selects pending deliveries; a zero field selects all.
type InvocationQuery struct {
	Namespace, Function string
	Trigger             uint64
	State               InvocationState // Running, Retrying, Delayed or Waiting
	Limit               int             // at most so many; required
}

// Invocations lists pending deliveries: running ones, then retrying and delayed ones by the time they are due, then waiting ones, those of each partition oldest first.
func (t *Table) Invocations(q InvocationQuery) ([]Invocation, error) {
	var all []Invocation
	var place []int // of each in its partition's list
	for _, p := range t.parts {
		for i, one := range p.pendingInvocations(q) {
			all, place = append(all, one), append(place, i)
		}
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(rank(all[a].State)-rank(all[b].State), all[a].Due.Compare(all[b].Due), place[a]-place[b])
	})
	order = order[:min(len(order), q.Limit)]
	out := make([]Invocation, len(order))
	byPartition := make([][]*Invocation, t.count)
	for i, from := range order {
		out[i] = all[from]
		byPartition[out[i].ID.Partition] = append(byPartition[out[i].ID.Partition], &out[i])
	}
	for p, list := range byPartition {
		slices.SortFunc(list, func(a, b *Invocation) int { return cmp.Compare(a.ID.Offset, b.ID.Offset) })
		if err := t.parts[p].readInvocations(list); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func rank(s InvocationState) int { return slices.Index(stateOrder[:], s) }

// pendingInvocations are a partition's first ones of a query, without their events.
func (p *partition) pendingInvocations(q InvocationQuery) []Invocation {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now().UnixMilli()
	var out []Invocation
	for id, f := range p.ready.feeds {
		def := *f.trigger.Trigger
		if q.Namespace != "" && def.Namespace != q.Namespace || q.Function != "" && def.Function != q.Function || q.Trigger != 0 && id != q.Trigger {
			continue
		}
		for _, s := range f.standings(q, now) {
			out = append(out, s.invocation(ID{Partition: p.index, Offset: s.offset, Trigger: id}, def))
		}
	}
	slices.SortFunc(out, func(a, b Invocation) int {
		return cmp.Or(rank(a.State)-rank(b.State), a.Due.Compare(b.Due), cmp.Compare(a.ID.Offset, b.ID.Offset), cmp.Compare(a.ID.Trigger, b.ID.Trigger))
	})
	return out[:min(len(out), q.Limit)]
}

// standings are a feed's first ones of each state that a query asks for. What has a time is looked through whole, what waits only as far as needed: there may be millions.
func (f *feed) standings(q InvocationQuery, now int64) []standing {
	var out []standing
	wanted := func(s InvocationState) bool { return q.State == "" || q.State == s }
	if wanted(Running) {
		for offset := range f.running {
			if f.trigger.pending.has(offset) {
				out = append(out, f.standing(offset, now))
			}
		}
	}
	if wanted(Retrying) || wanted(Delayed) {
		var timed []standing
		for offset, at := range f.trigger.progress {
			if at.next <= now {
				continue
			}
			if s := f.standing(offset, now); s.state != Running && wanted(s.state) {
				timed = append(timed, s)
			}
		}
		slices.SortFunc(timed, func(a, b standing) int { return cmp.Compare(a.next, b.next) })
		out = append(out, timed[:min(len(timed), q.Limit)]...)
	}
	if wanted(Waiting) {
		out = append(out, f.waiting(q.Limit, now)...)
	}
	return out
}

func (f *feed) waiting(limit int, now int64) (out []standing) {
	for from := uint64(0); len(out) < limit; {
		offset, ok := f.trigger.pending.next(from)
		if !ok {
			break
		}
		if s := f.standing(offset, now); s.state == Waiting {
			out = append(out, s)
		}
		from = offset + 1
	}
	return out
}

// Cancel settles a pending delivery without running it; the reason stays in the log. a is the attempt as it is recorded. Stale: it has gone on meanwhile.
func (t *Table) Cancel(ctx context.Context, i *Invocation, a Attempt) (Outcome, error) {
	d := Delivery{ID: i.ID, Generation: i.Generation, Trigger: i.Trigger, Event: i.Event}
	return t.Settle(ctx, &d, a, Next{Cancel: true}, Effects{})
}

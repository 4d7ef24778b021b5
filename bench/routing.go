package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/partition"
)

const (
	// routedTopic is the topic of all events here, and of most triggers.
	routedTopic = "orders.created"
	// routedEvents are so many different ones that what one needs is not in the processor's cache because of the one before.
	routedEvents = 1000
	// matchesEach is how many triggers every event is for.
	matchesEach = 3
)

// runRouting measures how long it takes to say for which triggers an event is: it is decoded, its topic and its filters are looked up, and what that leaves is asked.
func runRouting(ctx context.Context, s *session) (rows []row, err error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	if _, err := s.fsyncLoop(ctx); err != nil { // for the report
		return nil, err
	}
	w, err := openTable(ctx, filepath.Join(s.dir, "routing"), nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	many, err := s.newRouting(w.table, "route_100k_triggers_us", max(2*len(triggerKinds), int(100_000*s.slice.Seconds())))
	if err != nil {
		return nil, err
	}
	one, err := s.newRouting(w.table, "route_1_trigger_us", 1)
	if err != nil {
		return nil, err
	}
	memory, err := many.indexBytes()
	if err != nil {
		return nil, err
	}
	rows, err = s.inRounds(ctx, []roundCase{many, one})
	return append(rows, memory), err
}

// triggerKinds are the filters of the triggers, in turn. The number of the trigger is in each, so that no two are the same.
var triggerKinds = []func(i int) (topic, filter string){
	func(i int) (string, string) {
		return routedTopic, fmt.Sprintf(`{"exact": {"type": "com.shop.order.v%d"}}`, i)
	},
	func(i int) (string, string) {
		return routedTopic, fmt.Sprintf(`{"prefix": {"source": "/shop/%d/"}}`, i)
	},
	func(i int) (string, string) { return routedTopic, fmt.Sprintf(`{"suffix": {"subject": "-%d"}}`, i) },
	func(i int) (string, string) {
		return routedTopic, fmt.Sprintf("type = 'com.shop.refund.v%d' AND region = 'eu'", i)
	},
	func(i int) (string, string) { return routedTopic, fmt.Sprintf(`{"data": {"customer.id": "c%d"}}`, i) },
	func(i int) (string, string) {
		return routedTopic, fmt.Sprintf(`{"data": {"order.total": {"numeric": [">=", %d, "<", %d]}}}`, i, i+10)
	},
	func(i int) (string, string) {
		return routedTopic, fmt.Sprintf("region = 'eu' AND (subject = 's%d' OR subject LIKE 'customer-%d/%%')", i, i)
	},
	func(i int) (string, string) {
		return "orders.*", fmt.Sprintf(`[{"exact": {"region": "eu"}}, {"prefix": {"data.customer.id": "vip-%d-"}}]`, i)
	},
	func(i int) (string, string) { return fmt.Sprintf("orders.*.w%d", i), "" },
	func(i int) (string, string) {
		return "*.created", fmt.Sprintf("subject IN ('a%d', 'b%d') AND level > 3", i, i)
	},
}

// routing is a set of triggers, and events of which each is for some of them.
type routing struct {
	name     string
	session  *session
	triggers []partition.Trigger
	set      *partition.TriggerSet
	alone    []aloneTrigger
	events   []routedEvent
	matches  int // of each event

	find, change series
}

// aloneTrigger is what is asked one by one.
type aloneTrigger struct {
	id      uint64
	pattern filter.Pattern
	filter  *filter.Filter
}

type routedEvent struct {
	event event.Event
	bytes []byte
}

func (s *session) newRouting(table *partition.Table, name string, n int) (*routing, error) {
	r := &routing{
		name: name, session: s, matches: matchesEach,
		find:   series{name: name, unit: "µs/event", against: "one by one"},
		change: series{name: strings.Replace(name, "route_", "change_one_of_", 1), unit: "µs", against: "target"},
	}
	for i := range n {
		topic, text := triggerKinds[i%len(triggerKinds)](i)
		t := partition.Trigger{ID: uint64(i + 1), Namespace: "default", Name: fmt.Sprint("t", i), Function: fmt.Sprint("f", i), Topic: topic, Filter: text}
		r.triggers = append(r.triggers, t)
		pattern, err := filter.ParsePattern(topic)
		if err != nil {
			return nil, err
		}
		f, err := filter.Parse(text)
		if err != nil {
			return nil, err
		}
		r.alone = append(r.alone, aloneTrigger{t.ID, pattern, f})
	}
	var err error
	if r.set, err = table.NoTriggers().With(r.triggers, nil); err != nil {
		return nil, err
	}
	if n == 1 {
		r.matches = 1
	}
	r.makeEvents(n)
	return r, r.check()
}

// makeEvents makes each for one trigger by its type, one by its source, and one by a number in its data.
func (r *routing) makeEvents(n int) {
	kinds := len(triggerKinds)
	for i := range routedEvents {
		k := i * 7919 % max(1, n/kinds) * kinds
		e := event.Event{
			ID: fmt.Sprint(i), Source: fmt.Sprintf("/shop/%d/till", k+1), Type: fmt.Sprintf("com.shop.order.v%d", k), Subject: fmt.Sprintf("order-%d-x", i),
			DataContentType: "application/json", Time: time.Unix(1_767_225_600, 0).UTC(),
			Data: fmt.Appendf(nil, `{"order":{"lines":[{"sku":"a-17","n":2},{"sku":"b-3","n":1}],"total":%d.5,"currency":"EUR"},"customer":{"id":"x%d","name":"Ada"}}`, k+5, i),
		}
		e.SetExtension(event.Extension{Name: "region", Value: "us"})
		e.SetExtension(event.Extension{Name: "level", Value: "2", Kind: event.Integer})
		r.events = append(r.events, routedEvent{e, e.AppendBinary(nil)})
	}
}

// oneByOne asks every trigger.
func (r *routing) oneByOne(e *routedEvent) (ids []uint64, err error) {
	decoded, err := event.Decode(e.bytes)
	if err != nil {
		return nil, err
	}
	for i := range r.alone {
		if t := &r.alone[i]; t.pattern.Match(routedTopic) && t.filter.Match(&decoded) {
			ids = append(ids, t.id)
		}
	}
	return ids, nil
}

// check compares what both find, so that nobody is fast by being wrong.
func (r *routing) check() error {
	for i := 0; i < len(r.events); i += len(r.events) / 10 {
		ours, err := r.set.Match("default", routedTopic, r.events[i].bytes)
		if err != nil {
			return err
		}
		theirs, err := r.oneByOne(&r.events[i])
		if err != nil {
			return err
		}
		if !slices.Equal(ours, theirs) || len(ours) != r.matches {
			return fmt.Errorf("%s: an event is for triggers %v, one by one for %v, and should be for %d", r.name, ours, theirs, r.matches)
		}
	}
	return nil
}

func (r *routing) rows() []row {
	rows := []row{r.find.row()}
	if r.matches > 1 {
		rows = append(rows, r.change.row())
	}
	return rows
}

const changeTarget = 1000 // µs, in which a hundred thousand others stay as they are

func (r *routing) round(ctx context.Context) error {
	ours, err := r.timed(ctx, func(e *routedEvent) ([]uint64, error) { return r.set.Match("default", routedTopic, e.bytes) })
	if err != nil {
		return err
	}
	theirs, err := r.timed(ctx, r.oneByOne)
	if err != nil {
		return err
	}
	r.find.add(ours, theirs)
	const changes = 100
	start := time.Now()
	for i := range changes {
		t := r.triggers[i*len(r.triggers)/changes]
		_, t.Filter = triggerKinds[i%len(triggerKinds)](len(r.triggers) + i)
		if _, err := r.set.With([]partition.Trigger{t}, nil); err != nil {
			return err
		}
	}
	r.change.add(microseconds(time.Since(start))/changes, changeTarget)
	return nil
}

// timed answers how many microseconds an event takes.
func (r *routing) timed(ctx context.Context, match func(*routedEvent) ([]uint64, error)) (float64, error) {
	start, n := time.Now(), 0
	for time.Since(start) < r.session.slice && ctx.Err() == nil {
		e := &r.events[n%len(r.events)]
		ids, err := match(e)
		if err != nil {
			return 0, err
		}
		if len(ids) != r.matches {
			return 0, fmt.Errorf("%s: event %s is for %d triggers, not for %d", r.name, e.event.ID, len(ids), r.matches)
		}
		n++
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return microseconds(time.Since(start)) / float64(n), nil
}

// indexBytes is what the index takes of each trigger, without its definition and its filter.
func (r *routing) indexBytes() (row, error) {
	entries := make([]filter.Edit[uint64], len(r.alone))
	for i, t := range r.alone {
		entries[i].Entry = &filter.Entry[uint64]{Scope: "default", Pattern: t.pattern, ID: t.id, Filter: t.filter, Value: t.id}
	}
	before := heap()
	index := filter.NewIndex[uint64]().With(entries...)
	after := heap()
	if index.Topic("default", routedTopic).Empty() {
		return row{}, errors.New("the index is empty")
	}
	runtime.KeepAlive(entries)
	s := series{name: "route_index_bytes", unit: "bytes/trigger", ours: []float64{max(0, float64(after)-float64(before)) / float64(len(entries))}}
	return s.row(), nil
}

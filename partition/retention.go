package partition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// How long things stay when nobody says.
const (
	DefaultTopicRetention = 7 * 24 * time.Hour
	DefaultDeadLetterKeep = 14 * 24 * time.Hour
	InboxRetention        = time.Hour // of internal topics; what is not settled stays anyway
)

// retentionInterval is how often the leader looks for what has had its time. Retentions shorter than that make it look more often.
const retentionInterval = time.Minute

// Retention is how long things stay in a partition. The leader reads it with its clock and appends records of what has had its time (kinds 10 to 12 of
// docs/log.md).
type Retention struct {
	// Topics has those that are registered. Others stay for DefaultTopicRetention, internal ones for InboxRetention.
	Topics map[TopicName]TopicRetention
	// DeadLetters is how long dead letters stay, by trigger; 0 or absent = DefaultDeadLetterKeep.
	DeadLetters map[uint64]time.Duration
}

// TopicName names a topic.
type TopicName struct{ Namespace, Name string }

// TopicRetention is how long the events of a topic stay.
type TopicRetention struct {
	Keep time.Duration // 0 = DefaultTopicRetention
	// DeadLetter makes dead letters of events that are older and not settled. Otherwise they stay, and so does all that came after them.
	DeadLetter bool
}

func (r *Retention) topic(name TopicName) TopicRetention {
	t := r.Topics[name]
	if t.Keep == 0 {
		t.Keep = DefaultTopicRetention
		if name.Name[0] == '_' {
			t.Keep = InboxRetention
		}
	}
	return t
}

func (r *Retention) deadLetter(trigger uint64) time.Duration {
	if keep := r.DeadLetters[trigger]; keep > 0 {
		return keep
	}
	return DefaultDeadLetterKeep
}

// shortestTopic is the least that any event is kept.
func (r *Retention) shortestTopic() time.Duration {
	shortest := InboxRetention
	for _, t := range r.Topics {
		if t.Keep > 0 {
			shortest = min(shortest, t.Keep)
		}
	}
	return shortest
}

// shortestKeep is the least that any dead letter is kept.
func (r *Retention) shortestKeep() time.Duration {
	shortest := DefaultDeadLetterKeep
	for _, keep := range r.DeadLetters {
		if keep > 0 {
			shortest = min(shortest, keep)
		}
	}
	return shortest
}

// interval is how long to wait between two looks.
func (r *Retention) interval() time.Duration {
	return max(time.Second, min(2*retentionInterval, r.shortestKeep(), r.shortestTopic())/2)
}

// retainer removes what has had its time, and the part of the log that nothing needs any more.
type retainer struct {
	table  *Table
	now    func() time.Time
	pinned map[TopicName]bool // those that a warning has told of; only round uses it

	mu     sync.Mutex
	wanted *Retention // nil until somebody said: before, nothing is removed

	wake chan struct{} // written by SetRetention, read by run

	// trimming is held while the log is cut, and for reading while an export needs the log as it is.
	trimming sync.RWMutex
}

func newRetainer(t *Table) *retainer {
	r := &retainer{table: t, now: t.opts.Now, pinned: map[TopicName]bool{}, wake: make(chan struct{}, 1)}
	if r.now == nil {
		r.now = time.Now
	}
	return r
}

// SetRetention says how long things stay from now on. Nothing is removed before the first call.
func (t *Table) SetRetention(r Retention) {
	t.retainer.mu.Lock()
	t.retainer.wanted = &r
	t.retainer.mu.Unlock()
	wake(t.retainer.wake)
}

func (r *retainer) run() {
	var again <-chan time.Time
	for {
		select {
		case <-r.wake:
		case <-again:
		case <-r.table.closed:
			return
		}
		r.mu.Lock()
		wanted := r.wanted
		r.mu.Unlock()
		if err := r.round(wanted); errors.Is(err, ErrClosed) || errors.Is(err, ErrDeposed) {
			return
		} else if err != nil {
			r.table.opts.Logger.Warn("cannot remove what has had its time; it is tried again", "err", err)
		}
		again = time.After(wanted.interval())
	}
}

// round removes from all partitions what has had its time by now.
func (r *retainer) round(wanted *Retention) error {
	ctx := context.Background() // every wait in it ends when the table is closed
	pins := pins{}
	for _, p := range r.table.parts {
		k := &keeper{partition: p, wanted: wanted, now: r.now(), pins: pins}
		if err := k.run(ctx); err != nil {
			return fmt.Errorf("partition %d: %w", p.index, err)
		}
	}
	r.tellPins(pins)
	return r.trim(ctx)
}

// pins are the oldest events that are older than their topic keeps them and stay because they are not settled.
type pins map[TopicName]pin

type pin struct {
	trigger string
	since   time.Time // when the event was stored
	over    time.Duration
}

func (r *retainer) tellPins(found pins) {
	r.table.metrics.pinned.Reset()
	for name, p := range found {
		r.table.metrics.pinned.WithLabelValues(name.Namespace, name.Name).Set(p.over.Seconds())
		if !r.pinned[name] {
			r.table.opts.Logger.Warn("an event that is not settled keeps its topic beyond its retention, and the log with it",
				"namespace", name.Namespace, "topic", name.Name, "trigger", p.trigger, "stored", p.since)
		}
	}
	clear(r.pinned)
	for name := range found {
		r.pinned[name] = true
	}
}

// aging is what the last look at a partition has found, so that the next one can be spared.
type aging struct {
	wanted          *Retention // that it was found by
	looked          int64      // when, in unix milliseconds
	topics, letters int64      // when the next of them has had its time
	applied         uint64     // when the lowest needed offset was looked for
}

// keeper is one look at one partition.
type keeper struct {
	*partition
	wanted *Retention
	now    time.Time
	pins   pins

	interests interests
}

func (k *keeper) run(ctx context.Context) error {
	if k.aging.wanted != k.wanted || k.now.UnixMilli() < k.aging.looked { // or the clock was ahead then, and so is what it found
		k.aging = aging{wanted: k.wanted}
	}
	k.aging.looked = k.now.UnixMilli()
	if err := k.expireTopics(ctx); err != nil {
		return err
	}
	return k.expireLetters(ctx)
}

func (k *keeper) expireTopics(ctx context.Context) error {
	if k.now.UnixMilli() < k.aging.topics {
		return nil
	}
	k.interests = k.findInterests()
	expired, due, err := k.expiredTopics(ctx)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(expired, maxLetters) {
		if _, err := k.do(ctx, &expireRecord{topics: part}); err != nil {
			return err
		}
	}
	k.aging.topics = due
	return nil
}

// expiredTopics finds up to where each topic can go, and when to look again.
func (k *keeper) expiredTopics(ctx context.Context) (out []expiredTopic, due int64, err error) {
	due = k.now.Add(k.wanted.shortestTopic()).UnixMilli() // for events that come after this look
	err = eachTopic(k.table.db, k.machine.store, func(at topicStart) error {
		policy := k.wanted.topic(at.name)
		due = min(due, at.time+policy.Keep.Milliseconds())
		deadline := k.now.Add(-policy.Keep).UnixMilli()
		if at.time > deadline || at.first >= k.interests.applied {
			return nil
		}
		before, err := k.endOf(at, deadline)
		if err != nil {
			return err
		}
		if before, err = k.settledUpTo(ctx, at, before, policy); err != nil {
			return err
		}
		if before > at.first {
			out = append(out, expiredTopic{at.name.Namespace, at.name.Name, before})
		}
		return nil
	})
	return out, due, err
}

// endOf is the offset behind the last event of a topic that was stored at or before deadline, and before anyone asked who waits for what. Times of a partition never go
// back, so it can be searched.
func (k *keeper) endOf(at topicStart, deadline int64) (uint64, error) {
	s := k.machine.store
	it, err := k.table.db.NewIter(&pebble.IterOptions{
		LowerBound: s.indexKey(at.name.Namespace, at.name.Name, 0), UpperBound: s.indexKey(at.name.Namespace, at.name.Name, k.interests.applied),
	})
	if err != nil {
		return 0, fmt.Errorf("search index of topic %s: %w", at.name.Name, err)
	}
	low, high := at.first, ^uint64(0) // the event at low has had its time; none at or above high has
	if it.Last() {
		high = indexOffset(it.Key()) + 1
	}
	for low+1 < high {
		mid := low + (high-low)/2
		if !it.SeekGE(s.indexKey(at.name.Namespace, at.name.Name, mid)) {
			high = mid
			continue
		}
		if found := indexOffset(it.Key()); found < high && int64(readU64(it.Value()[:8])) <= deadline {
			low = found
		} else {
			high = mid
		}
	}
	if err := it.Close(); err != nil {
		return 0, fmt.Errorf("search index of topic %s: %w", at.name.Name, err)
	}
	return low + 1, nil
}

// settledUpTo is how far of the range up to end every trigger has settled the topic. With the policy to do so, what is not settled becomes dead letters first.
func (k *keeper) settledUpTo(ctx context.Context, at topicStart, end uint64, policy TopicRetention) (before uint64, err error) {
	before = end
	for _, id := range k.interests.in(at.name) {
		if policy.DeadLetter {
			if err := k.lapse(ctx, id, at, end, policy.Keep); err != nil {
				return 0, err
			}
		}
		err := k.eachPending(id, at, before, func(offset uint64, _ progress) bool {
			before = offset
			return false
		}, func(offset uint64, stored int64) { k.pin(at.name, id, stored, policy.Keep) })
		if err != nil {
			return 0, err
		}
	}
	return before, nil
}

// pin notes the oldest event that pins a topic.
func (k *keeper) pin(name TopicName, trigger uint64, stored int64, keep time.Duration) {
	since := time.UnixMilli(stored).UTC()
	if old, ok := k.pins[name]; ok && !since.Before(old.since) {
		return
	}
	def, _ := k.triggerOf(trigger) // one that has just gone has no name and no pending events
	k.pins[name] = pin{trigger: def.Name, since: since, over: k.now.Sub(since) - keep}
}

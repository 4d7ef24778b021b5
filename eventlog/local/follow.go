package local

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/evoke-run/evoke/eventlog"
)

// follower is one that hears of what becomes durable in a partition.
type follower struct{ apply func([]eventlog.Record) }

// replayRounds is how often Follow reads what was stored meanwhile before it holds up the log to read the rest. Reading is faster than storing, so the rest is little.
const replayRounds = 4

// Follow implements eventlog.Log.
func (l *Log) Follow(partition int, from uint64, apply func([]eventlog.Record)) (stop func(), err error) {
	if err := l.users.enter(); err != nil {
		return nil, fmt.Errorf("follow partition %d: %w", partition, err)
	}
	defer l.users.leave()
	p, f := l.parts[partition], &follower{apply}
	for range replayRounds {
		end := p.durable.Load()
		if err := l.replay(p, from, end, apply); err != nil {
			return nil, err
		}
		if from = end; p.join(f, end) {
			return func() { p.leave(f) }, nil
		}
	}
	p.following.Lock()
	defer p.following.Unlock()
	if err := l.replay(p, from, p.durable.Load(), apply); err != nil {
		return nil, err
	}
	p.followers = append(p.followers, f)
	return func() { p.leave(f) }, nil
}

// replay applies what is stored between two offsets.
func (l *Log) replay(p *partition, from, end uint64, apply func([]eventlog.Record)) error {
	err := l.scan(p, from, end, func(frame []byte, records []eventlog.Record) bool {
		// The callback may keep the data, and frame is only ours until the next step.
		own := bytes.Clone(frame)
		at := frameHeader
		for i := range records {
			n := len(records[i].Data)
			records[i].Data = own[at+recordHeader : at+recordHeader+n : at+recordHeader+n]
			at += recordHeader + n
		}
		if records = ownersOf(from, records); len(records) > 0 {
			apply(records)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("follow partition %d from %d: %w", p.id, from, err)
	}
	return nil
}

// join lets a follower in that has had all below the offset end, unless there is more by now.
func (p *partition) join(f *follower, end uint64) bool {
	p.following.Lock()
	defer p.following.Unlock()
	if p.durable.Load() != end {
		return false
	}
	p.followers = append(p.followers, f)
	return true
}

func (p *partition) leave(f *follower) {
	p.following.Lock()
	defer p.following.Unlock()
	p.followers = slices.DeleteFunc(p.followers, func(o *follower) bool { return o == f })
}

// deliver tells the followers of records that have become durable.
func (p *partition) deliver(records []eventlog.Record) {
	p.following.Lock()
	defer p.following.Unlock()
	p.durable.Store(p.next)
	for _, f := range p.followers {
		f.apply(records)
	}
}

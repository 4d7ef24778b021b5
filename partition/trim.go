package partition

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// trimStep is how many offsets a trim must free. Above 1, or the record of each trim would be a reason for the next.
const trimStep = 16

// trim cuts off the part of each partition's log that nothing needs: neither the topic index, pending events, dead letters or the outbox, nor a start after a
// loss of power. An export that is under way puts it off.
//
// It is a record first: once that is applied, nothing below the floor can be made to be needed again (m.floor). Then the state is put on stable storage, for
// what it still lacked would have to come from the log. Only then the log is cut.
func (r *retainer) trim(ctx context.Context) error {
	if !r.trimming.TryLock() {
		return nil
	}
	defer r.trimming.Unlock()
	t := r.table
	view := t.db.NewSnapshot()
	var trims []partTrim
	var errs []error
	for _, p := range t.parts {
		if !p.moved() {
			continue
		}
		floor, _, err := needed(view, p.machine.store)
		errs = append(errs, err)
		if err == nil && floor >= p.floor()+trimStep {
			trims = append(trims, partTrim{p, floor, nil})
		}
	}
	err := errors.Join(append(errs, view.Close())...)
	if err != nil || len(trims) == 0 {
		return err
	}
	for i := range trims { // all of them with one fsync
		if trims[i].done, err = trims[i].append(&trimRecord{before: trims[i].before}); err != nil {
			return err
		}
	}
	for _, c := range trims {
		if _, err := c.wait(ctx, c.done); err != nil {
			return err
		}
	}
	if err := t.syncState(); err != nil {
		return err
	}
	for _, c := range trims {
		if err := c.cut(); err != nil {
			return err
		}
	}
	return nil
}

// partTrim is the trim of one partition under way.
type partTrim struct {
	*partition
	before uint64
	done   chan result
}

// moved says whether anything was applied since the last call: only then the floor can have.
func (p *partition) moved() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.aging.applied
	p.aging.applied = p.machine.next
	return p.machine.next != before
}

func (p *partition) floor() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.machine.floor
}

// cut removes the log below the floor. A take that picked events before the trim was applied has read them first.
func (p *partition) cut() error {
	p.takeMu.Lock()
	defer p.takeMu.Unlock()
	return p.log.Trim(p.index, p.floor())
}

// syncState returns when all that was committed to the state is on stable storage. Commits do not wait for that; this write does, and it comes behind them.
func (t *Table) syncState() error {
	if err := t.db.LogData([]byte("sync"), pebble.Sync); err != nil {
		return fmt.Errorf("sync state: %w", err)
	}
	return nil
}

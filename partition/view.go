package partition

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/archive"
	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/wire"
)

// View is all partitions as they are at one moment, to be written to an archive while they go on.
//
// The state of all partitions is one database, so one snapshot of it is one moment for all of them. No partition has taken an event there that another has not
// sent, and none has forgotten one that has not arrived: what a partition commits because of another it commits later. From the log comes what that state needs
// and no more.
type View struct {
	table   *Table
	state   *pebble.Snapshot
	extents []extent
}

// extent is the part of a partition's log that a view needs: from the record that owns first to what is applied.
type extent struct {
	first, applied uint64
	epoch          uint64 // or the generation of its triggers, whichever is higher
}

// View takes a view. While it is open the log is not trimmed. Everything that was acknowledged before the call is in it.
func (t *Table) View() (*View, error) {
	t.retainer.trimming.RLock()
	v := &View{table: t, state: t.db.NewSnapshot()}
	for _, p := range t.parts {
		e, err := v.extent(p)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("view partition %d: %w", p.index, err), v.Close())
		}
		v.extents = append(v.extents, e)
	}
	return v, nil
}

func (v *View) extent(p *partition) (extent, error) {
	m := newMachine(p.machine.store, v.table.count, nil) // for its meta only
	value, closer, err := v.state.Get(m.store.key(keyMeta))
	if err != nil {
		return extent{}, fmt.Errorf("read state: %w", err)
	}
	if err := errors.Join(m.readMeta(value), closer.Close()); err != nil {
		return extent{}, err
	}
	first, applied, err := needed(v.state, m.store)
	// The last record comes along in any case: it is where the next offset comes from.
	return extent{first: min(first, applied-1), applied: applied, epoch: max(m.epoch, m.generation)}, err
}

// Close lets trims go on.
func (v *View) Close() error {
	v.table.retainer.trimming.RUnlock()
	return v.state.Close()
}

// Base is the number that epochs and generations of triggers must be above for what is in this view to accept them.
func (v *View) Base() (base uint64) {
	for _, e := range v.extents {
		base = max(base, e.epoch)
	}
	return base
}

// Partitions is how many there are.
func (v *View) Partitions() int { return v.table.count }

// Write writes all partitions, each with what its state needs of the log.
func (v *View) Write(w *archive.Writer) error { return v.writeAll(w, true) }

// WriteState writes all partitions without their logs, for a node that shares the log. While the view is open the log has all that comes next, and once the other node
// follows it keeps in step by itself.
func (v *View) WriteState(w *archive.Writer) error { return v.writeAll(w, false) }

func (v *View) writeAll(w *archive.Writer, withLog bool) error {
	for i, p := range v.table.parts {
		if err := v.write(w, p, v.extents[i], withLog); err != nil {
			return fmt.Errorf("export partition %d: %w", i, err)
		}
	}
	return nil
}

// partitionBlock begins a partition in an archive, as JSON.
type partitionBlock struct {
	Index   int    `json:"index"`
	Applied uint64 `json:"applied"` // the offset behind the last record

	// Directory is there without a log: offsets of the one that goes on mean the same to both nodes.
	Directory uint64 `json:"directory,omitempty"`
}

func (v *View) write(w *archive.Writer, p *partition, e extent, withLog bool) error {
	block := partitionBlock{Index: p.index, Applied: e.applied}
	if !withLog {
		block.Directory = v.table.directory
	}
	head, err := json.Marshal(block)
	if err != nil {
		return err
	}
	if err := w.Block(archive.Partition, head); err != nil {
		return err
	}
	if err := v.writeState(w, p); err != nil || !withLog {
		return err
	}
	return v.writeLog(w, p, e)
}

// blockSize is about how large blocks of state and log become.
const blockSize = 1 << 20

// writeState writes entries as lists of (key behind the partition bytes, value bytes).
func (v *View) writeState(w *archive.Writer, p *partition) error {
	prefix := p.machine.store.key(0)[:2]
	it, err := v.state.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	var block []byte
	for ok := it.First(); ok; ok = it.Next() {
		block = wire.AppendBytes(wire.AppendBytes(block, it.Key()[len(prefix):]), it.Value())
		if len(block) >= blockSize {
			if err := w.Block(archive.State, block); err != nil {
				return errors.Join(err, it.Close())
			}
			block = block[:0]
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if len(block) == 0 {
		return nil
	}
	return w.Block(archive.State, block)
}

// writeLog writes records as lists of (offset u64, span u32, data bytes).
func (v *View) writeLog(w *archive.Writer, p *partition, e extent) error {
	var block []byte
	var inner error
	err := p.log.Read(p.index, e.first, func(rec eventlog.Record) bool {
		if rec.Offset >= e.applied {
			return false
		}
		block = wire.AppendU32(wire.AppendU64(block, rec.Offset), rec.Span)
		block = wire.AppendBytes(block, rec.Data)
		if len(block) >= blockSize {
			inner = w.Block(archive.Log, block)
			block = block[:0]
		}
		return inner == nil
	})
	if err := errors.Join(err, inner); err != nil || len(block) == 0 {
		return err
	}
	return w.Block(archive.Log, block)
}

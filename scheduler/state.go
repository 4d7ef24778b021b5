package scheduler

import (
	"slices"

	"github.com/evoke-run/evoke/partition"
)

// stateView is what a delivery has seen and done of one function's keyed state.
type stateView struct {
	state  []stateEntry // in the order of first use
	lists  []partition.StateList
	listed int // names in them
}

// stateEntry is an entry the attempt has read or written.
type stateEntry struct {
	name    string
	version uint64 // when it was first looked at
	first   []byte // what it was then
	value   []byte // nil = absent
	changed bool
}

// copied is for who goes on from there.
func (v stateView) copied() stateView {
	v.state, v.lists = slices.Clone(v.state), slices.Clip(v.lists)
	return v
}

// withoutWrites is what was seen, and of what had been known before no more than that.
func (v stateView) withoutWrites(before stateView) stateView {
	out := stateView{lists: v.lists, listed: v.listed}
	for i := range v.state {
		e := v.state[i]
		if i < len(before.state) { // it began with them
			e = before.state[i]
		} else {
			e.value, e.changed = e.first, false
		}
		out.state = append(out.state, e)
	}
	return out
}

// effects are the reads and writes, and how many bytes the latter have.
func (v stateView) effects() (reads []partition.StateRead, writes []partition.StateWrite, size int) {
	for _, s := range v.state {
		reads = append(reads, partition.StateRead{Name: s.name, Version: s.version})
		if s.changed {
			writes = append(writes, partition.StateWrite{Name: s.name, Value: s.value, Delete: s.value == nil})
			size += len(s.name) + len(s.value)
		}
	}
	return reads, writes, size
}

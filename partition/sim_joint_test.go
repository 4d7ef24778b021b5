package partition

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// This file is what the simulation knows of joint records: docs/log.md sections 3 and 4.

type simJoint struct {
	function string
	reads    []simRead
	lists    []simNames
	writes   []simWrite
}

type simNames struct {
	prefix, after, upTo string
	digest              uint64
}

func (r *simReader) joint() simJoint {
	return simJoint{
		function: r.str(), reads: r.reads(),
		lists:  simList(r, func() simNames { return simNames{r.str(), r.str(), r.str(), r.u64()} }),
		writes: r.writes(),
	}
}

func init() {
	simBodies[21] = func(r *simReader, rec *simRecord) {
		rec.kind = r.u8()
		simBodies[rec.kind](r, rec)
		rec.effects.joints = simList(r, r.joint)
	}
}

// joined says whether what is beside the effects is as it was seen.
func (s *simState) joined(e simEffects) bool {
	for _, j := range e.joints {
		if !s.unchanged([3]string{e.scope[0], j.function, e.scope[2]}, j.reads) {
			return false
		}
		for _, l := range j.lists {
			if s.holds("list") && s.digest([3]string{e.scope[0], j.function, e.scope[2]}, l) != l.digest {
				return false
			}
		}
	}
	return true
}

func (s *simState) digest(scope [3]string, l simNames) uint64 {
	var text []byte
	for _, key := range slices.SortedFunc(maps.Keys(s.state), func(a, b [4]string) int { return strings.Compare(a[3], b[3]) }) {
		name := key[3]
		if [3]string(key[:3]) != scope || !strings.HasPrefix(name, l.prefix) || name <= l.after && l.after != "" || l.upTo != "" && name > l.upTo {
			continue
		}
		text = append(binary.AppendUvarint(text, uint64(len(name))), name...)
		text = binary.LittleEndian.AppendUint64(text, s.state[key].version)
	}
	return xxhash.Sum64(text)
}

// joints are sometimes a list of a function's own names, and what a function that it invoked has read and written.
func (w *simWorld) joints(n *simNode, function, key, nonce string) (list []Joint) {
	if key == "" || w.rng.IntN(2) == 0 {
		return nil
	}
	own := Joint{Function: function}
	for range 1 + w.rng.IntN(2) {
		l := StateList{Prefix: []string{"", "s", "s1"}[w.rng.IntN(3)], After: []string{"", "s0", "t"}[w.rng.IntN(3)]}
		var more bool
		l.Seen, more, _ = n.table.StateNames("default", function, key, l.Prefix, l.After, 1+w.rng.IntN(3))
		if more {
			l.UpTo = l.Seen[len(l.Seen)-1].Name
		}
		own.Lists = append(own.Lists, l)
	}
	other, name := fmt.Sprint("invoked", w.rng.IntN(2)), fmt.Sprint("s", w.rng.IntN(3))
	_, version, _ := n.table.State("default", other, key, name)
	return []Joint{own, {
		Function: other, Reads: []StateRead{{name, version}}, Writes: []StateWrite{{Name: name, Value: []byte(nonce), Delete: w.rng.IntN(4) == 0}},
	}}
}

package partition

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/evoke-run/evoke/wire"
)

// Joint is what an invocation saw and did of keyed state where reads and writes of its own entries say too little: entries of a function that it invoked, which are kept
// under the same key, and lists of names.
type Joint struct {
	Function string
	Reads    []StateRead
	Lists    []StateList
	Writes   []StateWrite
}

// StateList is a part of the names of a function's entries under a key, in order: those that begin with Prefix and are behind After, up to UpTo or, if that is "", to the
// last. Seen are the entries that were there.
type StateList struct {
	Prefix, After, UpTo string
	Seen                []StateRead
}

// joint is a Joint in a record, of the namespace and key of the effects that it belongs to.
type joint struct {
	function string
	reads    []StateRead
	lists    []stateList
	writes   []StateWrite
}

// stateList has instead of what was seen a digest of it: names are many, and all that is asked of them is whether they are the same.
type stateList struct {
	prefix, after, upTo string
	digest              uint64
}

func jointOf(list []Joint) (out []joint) {
	for _, j := range list {
		lists := make([]stateList, len(j.Lists))
		for i, l := range j.Lists {
			d := newDigest()
			for _, e := range l.Seen {
				d.add(e.Name, e.Version)
			}
			lists[i] = stateList{prefix: l.Prefix, after: l.After, upTo: l.UpTo, digest: d.sum()}
		}
		out = append(out, joint{function: j.Function, reads: j.Reads, lists: lists, writes: j.Writes})
	}
	return out
}

// jointsOf is what the record of a body holds beside it; such a record is of kindJoint.
func jointsOf(b body) []joint {
	if b, ok := b.(bringer); ok {
		return b.brings().joints
	}
	return nil
}

func appendJoints(b []byte, list []joint) []byte {
	b = wire.AppendUvarint(b, uint64(len(list)))
	for i := range list {
		j := &list[i]
		b = wire.AppendBytes(b, j.function)
		b = appendReads(b, j.reads)
		b = wire.AppendUvarint(b, uint64(len(j.lists)))
		for _, l := range j.lists {
			b = wire.AppendBytes(wire.AppendBytes(wire.AppendBytes(b, l.prefix), l.after), l.upTo)
			b = wire.AppendU64(b, l.digest)
		}
		b = appendWrites(b, j.writes)
	}
	return b
}

// readJoint reads the body of another kind, and what is beside it.
func readJoint(r *wire.Reader) (body, error) {
	k := kind(r.U8())
	if k == kindJoint {
		return nil, fmt.Errorf("%w: a joint record in a joint record", errDamaged)
	}
	b, err := decodeBody(k, r)
	if err != nil {
		return nil, err
	}
	effects, ok := b.(bringer)
	if !ok {
		return nil, fmt.Errorf("%w: a joint record of kind %d, which has no effects", errDamaged, k)
	}
	effects.brings().joints = readList(r, func(r *wire.Reader) joint {
		return joint{function: r.String(), reads: readReads(r), lists: readList(r, func(r *wire.Reader) stateList {
			return stateList{prefix: r.String(), after: r.String(), upTo: r.String(), digest: r.U64()}
		}), writes: readWrites(r)}
	})
	if len(effects.brings().joints) == 0 && r.Err() == nil {
		return nil, fmt.Errorf("%w: a joint record with nothing beside its body", errDamaged)
	}
	return b, nil
}

func (m *machine) currentJoint(e *effects) bool {
	for i := range e.joints {
		j := &e.joints[i]
		scope := stateScope{e.namespace, j.function, e.key}
		if !m.currentReads(scope, j.reads) {
			return false
		}
		for _, l := range j.lists {
			d := newDigest()
			m.store.eachState(scope, l, d.add)
			if d.sum() != l.digest {
				return false
			}
		}
	}
	return true
}

// digest is xxhash64 over names and versions.
type digest struct {
	hash xxhash.Digest
	room []byte
}

func newDigest() *digest {
	d := &digest{}
	d.hash.Reset()
	return d
}

func (d *digest) add(name string, version uint64) {
	d.room = wire.AppendU64(wire.AppendBytes(d.room[:0], name), version)
	_, _ = d.hash.Write(d.room) // never fails
}

func (d *digest) sum() uint64 { return d.hash.Sum64() }

// bounds are the keys between which the entries of a list are.
func (s *store) bounds(scope stateScope, l stateList) (prefix, from, end []byte) {
	prefix = s.stateKey(scope, "")
	from = append(slices.Clip(prefix), l.prefix...)
	end = prefixEnd(from)
	if l.after >= l.prefix && l.after != "" {
		from = append(append(slices.Clip(prefix), l.after...), 0)
	}
	if l.upTo != "" {
		end = append(append(slices.Clip(prefix), l.upTo...), 0)
	}
	if bytes.Compare(from, end) > 0 { // nothing is behind after
		end = from
	}
	return prefix, from, end
}

// eachState hands out the entries of a list, with what the records since the last commit have changed, in order. An error is kept for commit.
func (s *store) eachState(scope stateScope, l stateList, each func(name string, version uint64)) {
	prefix, from, end := s.bounds(scope, l)
	found := map[string]uint64{}
	if err := scanState(s.db, prefix, from, end, func(name string, version uint64) bool { found[name] = version; return true }); err != nil {
		s.keep(err)
		return
	}
	for key, value := range s.fresh {
		if k := []byte(key); bytes.Compare(k, from) < 0 || bytes.Compare(k, end) >= 0 {
			continue
		}
		name := key[len(prefix):]
		if value == nil {
			delete(found, name)
			continue
		}
		_, version, err := splitState(value)
		s.keep(err)
		found[name] = version
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		each(name, found[name])
	}
}

// scanState hands out committed entries until each says that it has enough; any goroutine may call it.
func scanState(db *pebble.DB, prefix, from, end []byte, each func(name string, version uint64) bool) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return fmt.Errorf("list state: %w", err)
	}
	for it.First(); it.Valid(); it.Next() {
		_, version, err := splitState(it.Value())
		if err != nil {
			_ = it.Close() // the error is what counts
			return err
		}
		if !each(string(it.Key()[len(prefix):]), version) {
			break
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("list state: %w", err)
	}
	return nil
}

// StateNames lists entries of a function's state under a key by their names: the first n of those that begin with prefix and are behind after. more says that there are
// others behind them.
func (t *Table) StateNames(namespace, function, key, prefix, after string, n int) (entries []StateRead, more bool, err error) {
	s := t.place(namespace, key, "", "").machine.store
	all, from, end := s.bounds(stateScope{namespace, function, key}, stateList{prefix: prefix, after: after})
	err = scanState(t.db, all, from, end, func(name string, version uint64) bool {
		if more = len(entries) == n; !more {
			entries = append(entries, StateRead{Name: name, Version: version})
		}
		return !more
	})
	return entries, more, err
}

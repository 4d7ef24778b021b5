// Package ordered has a sorted set that is never changed: an edit makes a new one, which shares all but the edited parts with the one before. So readers need no lock,
// many holders cost as little as one, and two sets that came from each other are compared in the time that their difference takes.
package ordered

import (
	"iter"
	"slices"
	"sort"
)

// Set is immutable. Its values carry their keys; what order they have is up to whoever makes the set. The zero value of T stands for none and is in no set.
//
// The values stand in chunks of up to maxChunk. An edit copies the chunks that it changes and the list of chunks.
type Set[T comparable] struct {
	compare func(a, b T) int
	chunks  [][]T // none is empty
	length  int
}

// maxChunk is about the root of a hundred thousand: so many values are copied to change one, in a list of as many chunks.
const maxChunk = 256

// Edit is one change of a set.
type Edit[T comparable] struct {
	Value T    // takes the place of the one of the same key, if there is one
	Gone  bool // the value of that key leaves
}

// New makes a set by compare, which looks at keys only. Of values that have the same key the last stays.
func New[T comparable](compare func(a, b T) int, values ...T) Set[T] {
	edits := make([]Edit[T], len(values))
	for i, v := range values {
		edits[i].Value = v
	}
	return Set[T]{compare: compare}.With(edits...)
}

// Len is the number of values.
func (s Set[T]) Len() int { return s.length }

// With is the set after the edits, of which the last one counts for each key.
func (s Set[T]) With(edits ...Edit[T]) Set[T] {
	if len(edits) == 0 {
		return s
	}
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit[T]) int { return s.compare(a.Value, b.Value) })
	out := Set[T]{compare: s.compare, chunks: make([][]T, 0, len(s.chunks)+1)}
	old := s.chunks
	if len(old) == 0 {
		old = [][]T{nil}
	}
	for i, chunk := range old {
		mine := len(edits)
		if i+1 < len(old) {
			next := old[i+1][0]
			mine = sort.Search(len(edits), func(n int) bool { return s.compare(edits[n].Value, next) >= 0 })
		}
		if mine > 0 {
			out.append(s.merge(chunk, edits[:mine]))
		} else {
			out.chunks = append(out.chunks, chunk)
			out.length += len(chunk)
		}
		edits = edits[mine:]
	}
	return out
}

// append takes over values that were merged: in several chunks when they are many, as part of the last one when they are few.
func (s *Set[T]) append(values []T) {
	s.length += len(values)
	if n := len(s.chunks) - 1; n >= 0 && len(s.chunks[n])+len(values) <= maxChunk/2 {
		s.chunks[n] = slices.Concat(s.chunks[n], values)
		return
	}
	if len(values) > maxChunk {
		pieces := (len(values)-1)/(maxChunk/2) + 1
		for i := range pieces {
			s.chunks = append(s.chunks, slices.Clone(values[i*len(values)/pieces:(i+1)*len(values)/pieces]))
		}
	} else if len(values) > 0 {
		s.chunks = append(s.chunks, slices.Clip(values))
	}
}

func (s Set[T]) merge(chunk []T, edits []Edit[T]) []T {
	out := make([]T, 0, len(chunk)+len(edits))
	for i, e := range edits {
		if i+1 < len(edits) && s.compare(e.Value, edits[i+1].Value) == 0 {
			continue
		}
		at, found := slices.BinarySearchFunc(chunk, e.Value, s.compare)
		out = append(out, chunk[:at]...)
		if chunk = chunk[at:]; found {
			chunk = chunk[1:]
		}
		if !e.Gone {
			out = append(out, e.Value)
		}
	}
	return append(out, chunk...)
}

// Get returns the value that has the key of another.
func (s Set[T]) Get(key T) (v T, ok bool) {
	return s.Find(func(v T) int { return s.compare(v, key) })
}

// Find returns the value at which at is 0. at is how a value compares with what is looked for: below 0 before it, above 0 behind.
func (s Set[T]) Find(at func(T) int) (v T, ok bool) {
	first := sort.Search(len(s.chunks), func(i int) bool { return at(s.chunks[i][len(s.chunks[i])-1]) >= 0 })
	if first == len(s.chunks) {
		return v, false
	}
	chunk := s.chunks[first]
	if found := chunk[sort.Search(len(chunk), func(n int) bool { return at(chunk[n]) >= 0 })]; at(found) == 0 {
		return found, true
	}
	return v, false
}

// From yields in order the values at which at, as in Find, is not below 0.
func (s Set[T]) From(at func(T) int) iter.Seq[T] {
	return func(yield func(T) bool) {
		first := sort.Search(len(s.chunks), func(i int) bool { return at(s.chunks[i][len(s.chunks[i])-1]) >= 0 })
		for i := first; i < len(s.chunks); i++ {
			chunk := s.chunks[i]
			if i == first {
				chunk = chunk[sort.Search(len(chunk), func(n int) bool { return at(chunk[n]) >= 0 }):]
			}
			for _, v := range chunk {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// All yields the values in order.
func (s Set[T]) All() iter.Seq[T] { return s.From(func(T) int { return 0 }) }

// Since yields what is not as it was in a set of the same order: the value of before, and that of now, zero where there is none.
func (s Set[T]) Since(before Set[T]) iter.Seq2[T, T] {
	return func(yield func(before, now T) bool) {
		var zero T
		a, b := cursor[T]{chunks: before.chunks}, cursor[T]{chunks: s.chunks}
		for !a.end() || !b.end() {
			if a.skip(&b) {
				continue
			}
			order := 0
			switch {
			case a.end():
				order = 1
			case b.end():
				order = -1
			default:
				order = s.compare(a.value(), b.value())
			}
			was, is := zero, zero
			if order <= 0 {
				was = a.value()
				a.step()
			}
			if order >= 0 {
				is = b.value()
				b.step()
			}
			if was != is && !yield(was, is) {
				return
			}
		}
	}
}

// cursor is a place in a set.
type cursor[T comparable] struct {
	chunks [][]T
	at     int // in the first chunk
}

func (c *cursor[T]) end() bool { return len(c.chunks) == 0 }
func (c *cursor[T]) value() T  { return c.chunks[0][c.at] }

func (c *cursor[T]) step() {
	if c.at++; c.at == len(c.chunks[0]) {
		c.chunks, c.at = c.chunks[1:], 0
	}
}

// skip passes over a chunk that both have.
func (c *cursor[T]) skip(other *cursor[T]) bool {
	if c.end() || other.end() || c.at+other.at > 0 {
		return false
	}
	a, b := c.chunks[0], other.chunks[0]
	if len(a) != len(b) || &a[0] != &b[0] {
		return false
	}
	c.chunks, other.chunks = c.chunks[1:], other.chunks[1:]
	return true
}

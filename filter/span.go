package filter

import "cmp"

// span is an entry under a range of numbers, and the root of a tree of them: a treap by where they begin, in which each node knows where the last one below it ends. Trees
// are never changed; they share nodes.
type span[T any] struct {
	from, to    float64
	max         float64 // of the ends in this tree
	filed       *filed[T]
	left, right *span[T]
}

func (s *span[T]) compare(other *span[T]) int {
	return cmp.Or(cmp.Compare(s.from, other.from), cmp.Compare(s.to, other.to), cmp.Compare(s.filed.entry.ID, other.filed.entry.ID))
}

// rank is random enough to keep the tree flat, and the same for the same entry.
func (s *span[T]) rank() uint64 {
	x := s.filed.entry.ID + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// over is the node with other trees below it.
func (s *span[T]) over(left, right *span[T]) *span[T] {
	next := &span[T]{from: s.from, to: s.to, max: s.to, filed: s.filed, left: left, right: right}
	if left != nil {
		next.max = max(next.max, left.max)
	}
	if right != nil {
		next.max = max(next.max, right.max)
	}
	return next
}

// with is the tree with one more node, which is not in it.
func (s *span[T]) with(n *span[T]) *span[T] {
	switch {
	case s == nil:
		return n.over(nil, nil)
	case n.rank() > s.rank():
		left, right := s.split(n)
		return n.over(left, right)
	case n.compare(s) < 0:
		return s.over(s.left.with(n), s.right)
	}
	return s.over(s.left, s.right.with(n))
}

// split divides a tree into what is before a node and what is behind it.
func (s *span[T]) split(n *span[T]) (before, behind *span[T]) {
	if s == nil {
		return nil, nil
	}
	if s.compare(n) < 0 {
		before, behind = s.right.split(n)
		return s.over(s.left, before), behind
	}
	before, behind = s.left.split(n)
	return before, s.over(behind, s.right)
}

// without is the tree without the node of the same range and entry.
func (s *span[T]) without(n *span[T]) *span[T] {
	if s == nil {
		return nil
	}
	switch order := n.compare(s); {
	case order < 0:
		return s.over(s.left.without(n), s.right)
	case order > 0:
		return s.over(s.left, s.right.without(n))
	}
	return joinSpans(s.left, s.right)
}

// joinSpans makes one tree of two, of which all of the first is before the second.
func joinSpans[T any](a, b *span[T]) *span[T] {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.rank() > b.rank():
		return a.over(a.left, joinSpans(a.right, b))
	}
	return b.over(joinSpans(a, b.left), b.right)
}

// stab yields the entries whose range has a number, until yield says no.
func (s *span[T]) stab(x float64, yield func(*filed[T]) bool) bool {
	for s != nil && s.max >= x {
		if !s.left.stab(x, yield) {
			return false
		}
		if s.from > x {
			return true
		}
		if s.to >= x && !yield(s.filed) {
			return false
		}
		s = s.right
	}
	return true
}

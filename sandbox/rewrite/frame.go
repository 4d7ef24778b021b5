package rewrite

import "math/bits"

// frame estimates the native stack a function's frame takes. wazero's compiler gives every value that lies over a call, or finds no register, a slot
// of its own and never uses a slot twice, so a frame grows with the code and not with the locals: a local that changes between a thousand calls takes a
// thousand slots. The estimate counts what is alive where something else is called, each value once.
type frame struct {
	operands int  // most operands at once
	spilled  int  // operands that wait over a call, each counted once
	kept     int  // operands of those on the stack now
	out      int  // most parameters and results of a callee
	locals   int  // values of locals that wait over a call or find no register
	fuel     int  // values of the fuel that may find no register
	wide     bool // vectors are used: a slot may take 16 bytes
}

const (
	frameBytes = 64 // return address, saved registers, alignment
	slotBytes  = 8
	// registers is how many values find one, counted low.
	registers = 12
	// maxLivenessWords bounds the memory of one function's liveness. Beyond it every value counts.
	maxLivenessWords = 1 << 21
	// joinSlots is what the compiler needs to put values in order where the ways of shortcuts meet.
	joinSlots = 4
	// maxRounds bounds how often loops are walked until what is alive at their heads is known.
	maxRounds = 4
)

// size in bytes.
func (f frame) size() int {
	slots := 1 + f.locals + f.fuel + max(f.operands, f.spilled) + f.out // 1 for the account
	if f.wide {
		slots *= 2
	}
	return frameBytes + slotBytes*slots
}

// pausedOperands counts the operands that wait over a charge, each once as long as it stays.
func (b *body) pausedOperands() (n int) {
	kept := 0
	for i, p := range b.points {
		height := int(p.height)
		kept = min(kept, height)
		if b.charges[i].check {
			n += height - kept
			kept = height
		}
	}
	return n
}

// fuelSlots counts the values of the fuel in loops where it is in a local. Where ways meet it is a new one.
func (b *body) fuelSlots() (n int) {
	if b.locals+b.frame.operands < registers {
		return 0
	}
	tight := int32(-1)
	for i, p := range b.points {
		switch p.op {
		case opLoop:
			if tight < 0 && p.tight && p.again {
				tight = int32(i)
			}
		case opEnd:
			if tight >= 0 {
				n += 2 // the head of a loop is such a place, too
			}
			if p.match == tight {
				tight = -1
			}
		}
	}
	return n
}

// set is a set of locals.
type set []uint64

func (s set) add(local uint32)      { s[local/64] |= 1 << (local % 64) }
func (s set) remove(local uint32)   { s[local/64] &^= 1 << (local % 64) }
func (s set) has(local uint32) bool { return s[local/64]>>(local%64)&1 == 1 }

func (s set) union(t set) (grew bool) {
	for i, w := range t {
		grew = grew || w&^s[i] != 0
		s[i] |= w
	}
	return grew
}

func (s set) minus(t set) {
	for i, w := range t {
		s[i] &^= w
	}
}

func (s set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// liveness walks a body backwards and counts the values of locals that need a slot.
type liveness struct {
	b       *body
	words   int
	written map[int32]set // locals a block sets, by its opener; where blocks join, each such local is a new value
	heads   map[int]set   // alive at a loop's head, by its opener
	live    set
	counted set // the value a local has here has its slot
	open    []joint
	free    []set
	grew    bool
	slots   int
	joins   bool // there are shortcuts
}

// joint is an open construct on the way back.
type joint struct {
	label, after, other set // alive where a branch to it leads, behind it, and from its else on
	written             set
}

// localSlots counts the slots that locals take.
func (b *body) localSlots() int {
	words := (b.locals + 63) / 64
	blocks := 0
	sets := 0
	for _, p := range b.points {
		switch p.op {
		case opBlock, opLoop, opIf:
			blocks++
		case opLocalSet, opLocalTee:
			sets++
		}
	}
	if (2*blocks+8)*words > maxLivenessWords {
		return b.locals + sets
	}
	l := &liveness{b: b, words: words, written: map[int32]set{}, heads: map[int]set{}, live: make(set, words), counted: make(set, words)}
	l.findWritten()
	for range maxRounds {
		if l.round(); !l.grew {
			if l.joins {
				l.slots += joinSlots
			}
			return l.slots
		}
	}
	return b.locals + sets
}

// findWritten fills written.
func (l *liveness) findWritten() {
	var open []int32
	for i, p := range l.b.points {
		switch p.op {
		case opBlock, opLoop, opIf:
			open = append(open, int32(i))
			l.written[int32(i)] = make(set, l.words)
		case opLocalSet, opLocalTee:
			if len(open) > 0 {
				l.written[open[len(open)-1]].add(p.imm)
			}
		case opEnd:
			if n := len(open); n > 1 {
				l.written[open[n-2]].union(l.written[open[n-1]])
			}
			open = open[:max(len(open)-1, 0)]
		}
	}
}

func (l *liveness) round() {
	l.grew, l.slots = false, 0
	clear(l.live)
	clear(l.counted)
	for i := len(l.b.points) - 1; i >= 0; i-- {
		l.step(i)
		if l.b.charges[i].check {
			l.wait() // it may yield
		}
	}
}

// copyOf takes a set from the free ones.
func (l *liveness) copyOf(s set) set {
	if n := len(l.free); n > 0 {
		c := l.free[n-1]
		l.free = l.free[:n-1]
		copy(c, s)
		return c
	}
	return append(set(nil), s...)
}

func (l *liveness) step(i int) {
	p := l.b.points[i]
	switch op := int(p.op); op {
	case opLocalGet:
		l.live.add(p.imm)
	case opLocalSet, opLocalTee:
		if l.live.has(p.imm) && !l.counted.has(p.imm) && l.live.count() > registers {
			l.slots++
		}
		l.live.remove(p.imm)
		l.counted.remove(p.imm)
	case opCall, opCallIndirect, opMemoryGrow:
		l.wait()
	case opEnd:
		l.join(p)
	case opElse:
		top := &l.open[len(l.open)-1]
		copy(top.other, l.live)
		copy(l.live, top.after)
		l.counted.minus(top.written)
	case opBlock, opLoop, opIf:
		l.leave(i, op)
	case opBr, opReturn, opUnreachable, opBrTable, opReturnCall, opReturnCallInd:
		clear(l.live)
		l.branch(p)
	case opBrIf:
		l.branch(p)
	default:
		if isBulk(op) {
			l.wait()
		}
	}
}

// wait counts what is alive over a call and has no slot yet.
func (l *liveness) wait() {
	for i, w := range l.live {
		l.slots += bits.OnesCount64(w &^ l.counted[i])
		l.counted[i] |= w
	}
}

// meet counts what ways bring to a place that is alive there: the compiler may let it lie on the stack, without any call.
func (l *liveness) meet(written set) {
	l.joins = true
	for i, w := range l.live {
		w &= written[i] &^ l.counted[i]
		l.slots += bits.OnesCount64(w)
		l.counted[i] |= w
	}
}

func (l *liveness) join(p point) {
	j := joint{after: l.copyOf(l.live), other: l.copyOf(l.live), written: l.written[p.match]}
	j.label = j.after
	if p.match >= 0 && l.b.points[p.match].op == opLoop {
		head := l.heads[int(p.match)]
		if head == nil {
			head = make(set, l.words)
			l.heads[int(p.match)] = head
		}
		j.label = head
	}
	if p.match >= 0 && l.b.points[p.match].joined {
		l.meet(j.written)
	}
	l.counted.minus(j.written)
	l.open = append(l.open, j)
}

// leave crosses the opener of a construct.
func (l *liveness) leave(i, op int) {
	top := l.open[len(l.open)-1]
	l.open = l.open[:len(l.open)-1]
	switch op {
	case opIf:
		l.live.union(top.other)
	case opLoop:
		if l.b.points[i].again {
			l.grew = l.heads[i].union(l.live) || l.grew
		}
		l.counted.minus(top.written)
	}
	l.free = append(l.free, top.after, top.other)
}

func (l *liveness) branch(p point) {
	label := func(n uint32) { l.live.union(l.open[len(l.open)-1-int(n)].label) }
	switch p.op {
	case opBr, opBrIf:
		label(p.imm)
	case opBrTable:
		for n := range l.b.targets(p) {
			label(n)
		}
	}
}

package rewrite

// How code pays: afterwards, for what it has done since it last paid. A charge stands before every branch back to a loop, before every return, and where
// the work since the last one grew large, so nothing repeats unpaid, and what a charge takes was done. Only where two ways meet can one of them
// pay more than it did: the dearer one's work, up to maxSlack.
//
// Not every charge looks whether fuel is left, because looking costs twice what paying does. Those before a branch back do, and those before the return of a
// function that calls others, is long or may be called through a table, and in straight lines one now and then: whatever goes on for long comes by one of them.
//
// A small function that calls nothing and never loops has no charge of its own: whoever
// calls it by name pays for it. What a guest did since its last charge is not paid when it traps.
const (
	// maxCharge bounds the work between two charges in a straight line.
	maxCharge = 256
	// maxSlack bounds what a way into a place where ways meet may owe.
	maxSlack = 64
	// maxUnseen bounds the work between two looks, and maxDescent what of it may lie before a call, since calls can lie in each other by the thousand.
	maxUnseen  = 2048
	maxDescent = 256
	// maxQuiet is the most instructions of a function without calls that returns without a look.
	maxQuiet = 256
	// maxFolded is the most expensive function that its callers pay for.
	maxFolded = 16
	// growCost is what memory.grow costs: it leaves the guest for the host's allocator.
	growCost = 64
)

// weight is the fuel one instruction takes, without what a callee or a length adds.
func weight(op int) int32 {
	switch op {
	case opBlock, opLoop, opElse, opEnd, opNop:
		return 0
	case opMemoryGrow, opTableGrow:
		return growCost
	}
	return 1
}

// charge is what is done before a point, nothing when it is zero.
type charge struct {
	fuel  int32 // to pay
	check bool  // wait for more when none is left
	again bool  // before a branch back to a loop
	back  bool  // the same, and both are done only where it is taken
}

// biller walks a body and places its charges.
type biller struct {
	*body
	folded []int32 // cost of functions that have no charge of their own, by index; nil = the body itself is to be one
	quiet  []int32 // most work of functions that return without a look, by index
	looks  bool    // before it returns
	owed   int32   // work since the last charge
	unseen int32   // most work since the last look
	dead   bool    // nothing comes here
	ways   []way
	stuck  bool  // a charge would be needed inside of a function that is to have none
	out    int32 // most that is owed where it ends, when it is to have none
}

// way is an open construct; the first is the function.
type way struct {
	op    int
	at    int   // its point
	label int32 // of a loop: owed at its head. Else: the most that is owed by those who branch to its end, -1 without any
	other int32 // of an if: owed where its condition is false, -1 when nothing comes there
	// unseen is the most of those who come to its end, otherUnseen of an if whose condition is false.
	unseen, otherUnseen int32
}

// bill places the charges. A function that its callers pay for has none.
func (b *body) bill(f *facts) {
	if f.fold[b.index] {
		b.charges = append(b.charges[:0], make([]charge, len(b.points))...)
		return
	}
	w := biller{body: b, folded: f.folded, quiet: f.quiet, looks: f.quiet[b.index] < 0, ways: []way{{op: -1, label: -1, other: -1}}}
	w.walk()
	if f.engine {
		w.onlyLoops()
	}
}

// onlyLoops leaves the charges before branches back to loops. What others would have taken is not paid.
func (w *biller) onlyLoops() {
	for i, c := range w.charges {
		if !c.again {
			w.charges[i] = charge{}
		}
	}
}

// foldable says what the function costs when its callers can pay for it.
func (b *body) foldable() (int32, bool) {
	if len(b.calls)+len(b.through) > 0 || len(b.points) > 4*maxFolded {
		return 0, false
	}
	w := biller{body: b, ways: []way{{op: -1, label: -1, other: -1}}}
	w.walk()
	return w.out, !w.stuck && w.out <= maxFolded
}

func (w *biller) walk() {
	w.charges = append(w.charges[:0], make([]charge, len(w.points))...)
	for i := range w.points {
		switch p := &w.points[i]; int(p.op) {
		case opBlock, opLoop, opIf:
			w.enter(i, p)
		case opElse:
			w.otherwise(i)
		case opEnd:
			w.leave(i)
		default:
			if !w.dead {
				w.step(i, p)
			}
		}
	}
}

// pay puts a charge before a point. One that checks is there even when all has been paid: by charges that did not.
func (w *biller) pay(i int, n int32, check bool) {
	if n <= 0 && !check {
		return
	}
	n = max(n, 0)
	w.charges[i].fuel += n
	w.charges[i].check = w.charges[i].check || check
	w.owed -= n
	w.stuck = true
	if check {
		w.unseen = 0
	}
}

// meet is before a point from which a way goes on to where others come too.
func (w *biller) meet(i int) {
	if w.owed > maxSlack {
		w.pay(i, w.owed, false)
	}
}

// exit is before a point that leaves the function.
func (w *biller) exit(i int) {
	if w.folded == nil {
		w.out = max(w.out, w.owed)
		return
	}
	w.pay(i, w.owed, w.looks)
}

func (w *biller) enter(i int, p *point) {
	n := way{op: int(p.op), at: i, label: -1, other: -1}
	if !w.dead {
		w.work(weight(int(p.op)))
		switch {
		case n.op == opIf:
			n.other, n.otherUnseen = w.owed, w.unseen
		case n.op == opLoop && p.again:
			w.meet(i) // whoever comes back owes what is owed here
			n.label = w.owed
		}
	}
	w.ways = append(w.ways, n)
}

func (w *biller) otherwise(i int) {
	top := &w.ways[len(w.ways)-1]
	w.arrive(i, top)
	w.dead, w.owed, w.unseen = top.other < 0, max(top.other, 0), top.otherUnseen
	top.other = -1
}

// arrive is the end of a way that nothing branches away from.
func (w *biller) arrive(i int, to *way) {
	if !w.dead {
		w.meet(i)
		to.comes(w)
	}
}

// comes is one more way to the end.
func (to *way) comes(w *biller) {
	to.label, to.unseen = max(to.label, w.owed), max(to.unseen, w.unseen)
}

func (w *biller) leave(i int) {
	top := w.ways[len(w.ways)-1]
	w.ways = w.ways[:len(w.ways)-1]
	switch top.op {
	case opLoop:
		return // nobody else comes to its end
	case -1:
		if !w.dead {
			w.exit(i)
		}
		return
	}
	w.arrive(i, &top)
	label := max(top.label, top.other)
	w.dead, w.owed, w.unseen = label < 0, max(label, 0), max(top.unseen, top.otherUnseen)
}

func (w *biller) step(i int, p *point) {
	cost := weight(int(p.op))
	if w.folded != nil && (p.op == opCall || p.op == opReturnCall) {
		cost += w.folded[p.imm]
	}
	if p.short {
		cost += dispatchCost
	}
	late := w.unseen > maxUnseen || w.unseen > maxDescent && w.descends(p)
	if (late || w.owed > 0 && w.owed+cost > maxCharge) && !w.goesBack(i) {
		w.pay(i, w.owed, late)
	}
	w.work(cost)
	switch p.op {
	case opBr:
		w.branch(i, func(yield func(uint32) bool) { yield(p.imm) })
		w.dead = true
	case opBrIf:
		w.branch(i, func(yield func(uint32) bool) { yield(p.imm) })
	case opBrTable:
		w.branch(i, w.targets(*p))
		w.dead = true
	case opReturn, opReturnCall, opReturnCallInd:
		w.exit(i)
		w.dead = true
	case opUnreachable:
		w.dead = true
	case opCall:
		if w.descends(p) {
			w.unseen = 0
		} else if w.folded != nil {
			w.unseen += w.quiet[p.imm]
		}
	case opCallIndirect:
		w.unseen = 0
	}
}

// work is done.
func (w *biller) work(cost int32) {
	w.owed += cost
	w.unseen += cost
}

// descends says that a point calls what may call again, and looks before it returns.
func (w *biller) descends(p *point) bool {
	switch p.op {
	case opCall, opReturnCall:
		return w.folded != nil && w.quiet[p.imm] < 0
	case opCallIndirect, opReturnCallInd:
		return true
	}
	return false
}

// branch pays before a branch, whether it is taken or not, so far that it can go to each of its labels: to a loop's head owing what is owed there, out of
// the function owing nothing.
func (w *biller) branch(i int, labels func(func(uint32) bool)) {
	may, again, out := w.owed, false, false
	for n := range labels {
		switch to := &w.ways[len(w.ways)-1-int(n)]; to.op {
		case opLoop:
			may, again = min(may, to.label), true
		case -1:
			if w.folded == nil {
				w.out = max(w.out, w.owed)
			} else {
				may, out = 0, w.looks
			}
		default:
			if w.points[i].short {
				may = min(may, max(to.label, 0)) // what those owe whom the loop's head sends there
			} else if w.owed > maxSlack {
				may = 0
			}
		}
	}
	switch {
	case again && w.folded == nil:
		w.stuck = true
	case w.goesBack(i):
		w.back(i, may)
		return
	}
	w.pay(i, w.owed-may, again || out)
	w.charges[i].again = again
	for n := range labels {
		if to := &w.ways[len(w.ways)-1-int(n)]; to.op != opLoop {
			to.comes(w)
		}
	}
}

// goesBack says that a point branches back to one loop and passes nothing.
func (w *biller) goesBack(i int) bool {
	p := w.points[i]
	if p.op != opBr && p.op != opBrIf {
		return false
	}
	to := w.ways[len(w.ways)-1-int(p.imm)]
	return to.op == opLoop && w.points[to.at].plain
}

// back pays where a branch back is taken. Where it is not, all is owed as before.
func (w *biller) back(i int, may int32) {
	owed, unseen := w.owed, w.unseen
	w.pay(i, w.owed-may, true)
	w.charges[i].again, w.charges[i].back = true, true
	w.owed, w.unseen = owed, unseen
}

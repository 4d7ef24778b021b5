package rewrite

// How code pays: a charge stands at every function's entry, at the head of every loop that is branched back to, behind it, and wherever else the way
// since the last charge grew to maxCharge. A charge pays ahead for the most expensive way from there to the next charge, so nothing runs unpaid, a straight line
// pays exactly its instructions, and what a branch not taken is charged too much stays under maxCharge for each charge. A small function that calls
// nothing and never loops has no charge of its own: whoever calls it by name pays for it.
const (
	// maxCharge bounds one charge. Interpreters are one large loop around a br_table: charged as a whole they would yield at every turn.
	maxCharge = 64
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

// ahead is an open construct on the way back through the code.
type ahead struct {
	after int32 // unpaid behind it
	label int32 // unpaid where a branch to it leads
	other int32 // unpaid from its else on, or behind it when it has none
}

// bill walks the code backwards and places the charges. folded is the cost of functions that have no charge of their own, by index.
func (b *body) bill(folded []int32) (entry int32) {
	b.charges = append(b.charges[:0], make([]int32, len(b.points))...)
	var open []ahead
	var need int32
	for i := len(b.points) - 1; i >= 0; i-- {
		p := b.points[i]
		cost := weight(int(p.op))
		if p.op == opCall || p.op == opReturnCall {
			cost += folded[p.imm]
		}
		switch p.op {
		case opEnd:
			loop := p.match >= 0 && b.points[p.match].op == opLoop
			if p.match >= 0 && need > 0 && (b.points[p.match].left || loop && b.points[p.match].again) {
				b.charges[i+1] = need
				need = 0
			}
			o := ahead{after: need, label: need, other: need}
			if loop {
				o.label = 0
			}
			open = append(open, o)
		case opElse:
			top := &open[len(open)-1]
			need, top.other = top.after, need
		case opBlock, opLoop, opIf:
			top := open[len(open)-1]
			open = open[:len(open)-1]
			if p.op == opIf {
				need = cost + max(need, top.other)
			}
			if p.op == opLoop && p.again {
				b.charges[i+1] = max(need, 1)
				need = 0
			}
		case opBr:
			need = cost + open[len(open)-1-int(p.imm)].label
		case opBrIf:
			need = cost + max(need, open[len(open)-1-int(p.imm)].label)
		case opBrTable:
			need = 0
			for label := range b.targets(p) {
				need = max(need, open[len(open)-1-int(label)].label)
			}
			need += cost
		case opReturn, opUnreachable, opReturnCall, opReturnCallInd:
			need = cost
		default:
			if need > 0 && cost+need > maxCharge {
				b.charges[i+1] = need
				need = 0
			}
			need += cost
		}
	}
	return need
}

// foldable says what the function costs when its callers can pay for it.
func (b *body) foldable() (int32, bool) {
	if len(b.calls)+len(b.through) > 0 || len(b.points) > 4*maxFolded {
		return 0, false
	}
	cost := b.bill(nil)
	for i, p := range b.points {
		if b.charges[i] > 0 || isBulk(int(p.op)) {
			return 0, false
		}
	}
	return cost, cost <= maxFolded
}

// appendCharge takes fuel and calls slow when none is left. scratch is an i64 local.
func (m *module) appendCharge(code []byte, fuel int32, scratch, slow uint32) []byte {
	code = appendU(append(code, opGlobalGet), m.fuelGlobal())
	code = appendS(append(code, opI64Const), int64(fuel))
	code = appendU(append(code, opI64Sub, opLocalTee), scratch)
	code = appendU(append(code, opGlobalSet), m.fuelGlobal())
	code = appendU(append(code, opLocalGet), scratch)
	code = append(code, opI64Const, 0, opI64LtS, opIf, 0x40)
	code = appendU(append(code, opCall), slow)
	return append(code, opEnd)
}

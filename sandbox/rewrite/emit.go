package rewrite

// rewriter holds what is added to a module while its code is written.
type rewriter struct {
	*module
	facts  *facts
	stack  accounts
	added  []addedFunc
	bulks  map[bulk]uint32
	types  map[string]uint32 // index by signature
	extra  []signature       // types added
	slow   uint32            // function that yields
	charge uint32            // function that takes its parameter from the fuel
}

// addedFunc is a function of ours, behind the guest's.
type addedFunc struct {
	name string
	typ  uint32
	code []byte
}

// regularCall is how many parameters and results together a tail call may have. Beyond it wazero makes a call of it that keeps the frame, so it is
// written as one and keeps account.
const regularCall = 5

func newRewriter(m *module, f *facts) *rewriter {
	w := &rewriter{module: m, facts: f, stack: m.accounts(f), bulks: map[bulk]uint32{}, types: map[string]uint32{}}
	for i, t := range m.types {
		if _, ok := w.types[t.key()]; !ok {
			w.types[t.key()] = uint32(i)
		}
	}
	w.slow = w.add("evoke.yield", signature{}, appendU([]byte{0, opCall}, m.importFuncs))
	w.added[0].code = append(w.added[0].code, opEnd)
	pay := appendU([]byte{1, 1, byte(I64), opGlobalGet}, m.fuelGlobal())
	pay = append(pay, opLocalGet, 0, opI64ExtendU, opI64Sub, opLocalTee, 1)
	pay = appendU(append(pay, opGlobalSet), m.fuelGlobal())
	pay = append(pay, opLocalGet, 1, opI64Const, 0, opI64LtS, opIf, 0x40)
	pay = append(appendU(append(pay, opCall), m.importFuncs), opEnd, opEnd)
	w.charge = w.add("evoke.charge", signature{params: []ValueType{I32}}, pay)
	return w
}

// add appends a function and says its index.
func (w *rewriter) add(name string, s signature, code []byte) uint32 {
	w.added = append(w.added, addedFunc{name, w.typeOf(s), code})
	return w.shift(uint32(len(w.funcs) + len(w.added) - 1))
}

// typeOf finds or adds a function type.
func (w *rewriter) typeOf(s signature) uint32 {
	key := s.key()
	if i, ok := w.types[key]; ok {
		return i
	}
	i := uint32(len(w.module.types) + len(w.extra))
	w.extra = append(w.extra, s)
	w.types[key] = i
	return i
}

// shift is a function's new index: two imports came in between.
func (m *module) shift(fn uint32) uint32 {
	if fn < m.importFuncs {
		return fn
	}
	return fn + 2
}

func (m *module) fuelGlobal() uint32  { return uint32(len(m.globals)) }
func (m *module) depthGlobal() uint32 { return uint32(len(m.globals)) + 1 }

// function writes one body anew.
//
//	locals, two more for fuel and depth
//	account = depth; below frame: overflow   (deep functions)
//	depth = account - frame                  (deep functions)
//	block                                    (deep functions: the one way out)
//	  the guest's code, its charges
//	end
//	depth = account                          (deep functions)
func (w *rewriter) function(out []byte, b *body) []byte {
	b.bill(w.facts)
	deep := w.stack.deep[b.index]
	out = appendU(out, b.groups+2)
	out = append(out, b.b[b.groupAt:b.code]...)
	out = append(out, 1, byte(I64), 1, byte(I32))
	if deep {
		out = w.appendEnter(out, b)
	}
	pay := payer{fuel: w.fuelGlobal(), local: b.scratch(), slow: w.slow, tight: -1}
	nesting := uint32(0)
	for i, p := range b.points {
		switch c := b.charges[i]; {
		case c.back:
			out = pay.appendBack(out, p, c)
			continue
		case c != charge{}:
			out = pay.appendCharge(out, c)
		}
		switch p.op {
		case opLoop:
			out = pay.loop(out, p, i)
			nesting++
		case opBlock, opIf:
			nesting++
		case opEnd:
			pay.end(p)
			nesting--
		}
		out = w.instruction(out, b, i, nesting, deep)
	}
	if deep {
		out = append(w.appendLeave(out, b), opEnd)
	}
	return out
}

func (w *rewriter) instruction(out []byte, b *body, i int, nesting uint32, deep bool) []byte {
	p := b.points[i]
	op := int(p.op)
	switch {
	case p.short:
		return appendU(append(out, opBr), p.imm)
	case op == opReturn && deep:
		return appendU(append(out, opBr), nesting)
	case op == opReturnCall || op == opReturnCallInd:
		return w.tailCall(out, b, i, nesting)
	case op == opCall || op == opRefFunc:
		return appendU(append(out, byte(op)), w.shift(p.imm))
	case isBulk(op):
		return appendU(append(out, opCall), w.bulkFunction(bulk{op, p.imm, p.imm2}))
	}
	return append(out, b.instruction(i)...)
}

func (w *rewriter) tailCall(out []byte, b *body, i int, nesting uint32) []byte {
	p := b.points[i]
	typ := p.imm
	if p.op == opReturnCall {
		typ = w.funcs[p.imm]
	}
	s, op := w.module.types[typ], byte(p.op)
	regular := len(s.params)+len(s.results) > regularCall || p.op == opReturnCall && p.imm < w.importFuncs
	if regular {
		op -= opReturnCall - opCall
	} else if w.stack.deep[b.index] {
		out = w.appendLeave(out, b)
	}
	if p.op == opReturnCall {
		out = appendU(append(out, op), w.shift(p.imm))
	} else {
		out = appendU(appendU(append(out, op), p.imm), p.imm2)
	}
	if regular {
		out = appendU(append(out, opBr), nesting)
	}
	return out
}

// appendEnter keeps account of the frame and opens the block that is the one way out. The account as it was waits in a local: putting it back is
// one store, and a sum would have to wait for the account that the last callee stored.
func (w *rewriter) appendEnter(out []byte, b *body) []byte {
	frame := appendS([]byte{opI32Const}, int64(w.stack.bytes[b.index]))
	out = appendU(append(out, opGlobalGet), w.depthGlobal())
	out = appendU(append(out, opLocalTee), b.account())
	out = append(append(out, frame...), opI32LtS, opIf, 0x40)
	out = appendU(append(out, opCall), w.importFuncs+1)
	out = appendU(append(out, opEnd, opLocalGet), b.account())
	out = append(append(out, frame...), opI32Sub, opGlobalSet)
	out = append(appendU(out, w.depthGlobal()), opBlock)
	switch r := b.sig.results; len(r) {
	case 0:
		return append(out, 0x40)
	case 1:
		return append(out, byte(r[0]))
	default:
		return appendS(out, int64(w.typeOf(signature{results: r})))
	}
}

func (w *rewriter) appendLeave(out []byte, b *body) []byte {
	out = appendU(append(out, opLocalGet), b.account())
	return appendU(append(out, opGlobalSet), w.depthGlobal())
}

package rewrite

// body is one function's code, decoded. It is reused from function to function.
type body struct {
	reader
	index   int
	sig     signature
	locals  int    // parameters included
	groups  uint32 // of locals
	groupAt int    // position of the first of them
	code    int    // position of the first instruction
	points  []point
	open    []block
	calls   []uint32 // functions called
	through []uint32 // types called indirectly
	refs    []uint32 // functions whose reference is taken
	height  int      // operand stack while decoding
	frame   frame
	leaves  int      // instructions that call something, so far
	passed  int      // values that calls, blocks and branches pass when they are many
	why     string   // what makes the module not resettable
	charges []charge // to pay before each point
	opened  []int32  // points of the constructs open, while shortcuts are looked for
	heads   map[int32]dispatch
}

// point is one instruction in its place.
type point struct {
	start  uint32 // position in the body
	imm    uint32 // of a branch with a shortcut: its new label; of an i32.const: the value
	imm2   uint32
	match  int32 // of an end: its opener, -1 for the function's
	height int32 // of the operand stack before it
	op     uint16
	again  bool // of a loop: something branches back to it
	plain  bool // of a loop: it takes no values
	tight  bool // of a loop: nothing in it calls
	short  bool // of a branch: it goes where the head of a loop would send it
	joined bool // of a block: such a branch comes to its end
}

// block is a construct that is open while decoding.
type block struct {
	op              int
	at              int // its point, -1 for the function
	base            int // height of the operand stack below it
	leaves          int // of the body when it was opened
	params, results int
}

// decode reads a function and checks all that rewriting relies on: nesting, labels and indices. It does not check types.
func (m *module) decode(index int, b *body) *Error {
	src := m.bodies[index-int(m.importFuncs)]
	*b = body{reader: src, index: index, sig: m.signature(uint32(index)), points: b.points[:0], open: b.open[:0], charges: b.charges[:0],
		opened: b.opened}
	if len(src.b) > m.limits.MaxBodyBytes {
		b.fail(refused(src.base, "split it, or compile with optimisation for size", "its code has %d bytes and %d are allowed", len(src.b), m.limits.MaxBodyBytes))
	}
	m.readLocals(b)
	b.code = b.pos
	b.open = append(b.open, block{op: opBlock, at: -1, results: len(b.sig.results)})
	for b.more() && len(b.open) > 0 {
		start, at := b.pos, b.at()
		in := readInstr(&b.reader)
		if b.err != nil {
			break
		}
		if in.op == opI32Const {
			in.imm = uint32(in.value)
		}
		b.points = append(b.points, point{start: uint32(start), imm: in.imm, imm2: in.imm2, height: int32(b.height), op: uint16(in.op)})
		if err := m.admit(b, &in, at); err != nil {
			b.fail(err)
		}
	}
	if b.err == nil && len(b.open) > 0 {
		b.fail(broken(b.at(), "its code ends inside of a block"))
	}
	if b.end("its code") != nil {
		b.err.Function, b.err.Name = index, m.names.of(index)
		return b.err
	}
	b.takeShortcuts()
	return nil
}

func (m *module) readLocals(b *body) {
	b.locals = len(b.sig.params)
	b.groups = uint32(b.count())
	b.groupAt = b.pos
	for range b.groups {
		at, n := b.at(), b.u32()
		t := readValueType(&b.reader)
		if b.err == nil && uint64(b.locals)+uint64(n) > uint64(m.limits.MaxLocals) {
			b.fail(refused(at, "split the function", "it has more than %d locals", m.limits.MaxLocals))
		}
		if b.err != nil {
			return
		}
		b.locals += int(n)
		b.frame.wide = b.frame.wide || t == V128 && n > 0
	}
}

// admit checks one instruction against the module and follows blocks and the operand stack.
func (m *module) admit(b *body, in *instr, at int) *Error {
	o := operations[in.op]
	b.frame.wide = b.frame.wide || in.op >= prefixVector
	if err := m.indices(b, in, o.imm, at); err != nil {
		return err
	}
	if b.why == "" {
		b.why = m.mutation(in)
	}
	if o.pops >= 0 {
		b.pop(int(o.pops))
		if isBulk(in.op) || in.op == opMemoryGrow {
			b.spill()
			b.leaves++
		}
		b.push(int(o.pushes))
	}
	return m.control(b, in, at)
}

// indices checks what an instruction's immediates name.
func (m *module) indices(b *body, in *instr, imm immediate, at int) *Error {
	missing := func(what string, i uint32, n int) *Error {
		if uint64(i) < uint64(n) {
			return nil
		}
		return broken(at, "%s %d does not exist", what, i)
	}
	switch imm {
	case immFunc:
		return missing("function", in.imm, len(m.funcs))
	case immLocal:
		return missing("local", in.imm, b.locals)
	case immGlobal:
		return missing("global", in.imm, len(m.globals))
	case immLabel:
		return missing("label", in.imm, len(b.open))
	case immTypeTab:
		if err := missing("type", in.imm, len(m.types)); err != nil {
			return err
		}
		return missing("table", in.imm2, len(m.tables))
	case immTable:
		return missing("table", in.imm, len(m.tables))
	case immTable2:
		if err := missing("table", in.imm, len(m.tables)); err != nil {
			return err
		}
		return missing("table", in.imm2, len(m.tables))
	case immElemTab:
		if err := missing("table", in.imm2, len(m.tables)); err != nil {
			return err
		}
		return missing("element segment", in.imm, len(m.elems))
	case immElem:
		return missing("element segment", in.imm, len(m.elems))
	case immData, immDataMem:
		return missing("data segment", in.imm, len(m.data))
	}
	return nil
}

// control follows blocks, branches and calls.
func (m *module) control(b *body, in *instr, at int) *Error {
	here := len(b.points) - 1
	switch in.op {
	case opBlock, opLoop, opIf:
		return m.enter(b, in, at)
	case opElse:
		top := &b.open[len(b.open)-1]
		if top.op != opIf {
			return broken(at, "an else stands outside of an if")
		}
		top.op = opElse
		b.height = top.base + top.params
	case opEnd:
		top := b.open[len(b.open)-1]
		b.points[here].match = int32(top.at)
		if top.op == opLoop {
			b.points[top.at].tight = b.leaves == top.leaves
		}
		b.open = b.open[:len(b.open)-1]
		b.height = top.base
		b.push(top.results)
	case opBr, opReturn, opUnreachable:
		if in.op == opBr {
			b.branch(in.imm)
		}
		b.unreachable()
	case opBrIf:
		b.branch(in.imm)
	case opBrTable:
		return m.branches(b, in, at)
	default:
		m.call(b, in)
	}
	return nil
}

func (m *module) enter(b *body, in *instr, at int) *Error {
	if len(b.open) > m.limits.MaxNesting {
		return refused(at, "split the function", "blocks are nested deeper than %d", m.limits.MaxNesting)
	}
	bl := block{op: in.op, at: len(b.points) - 1, leaves: b.leaves}
	switch t := in.block; {
	case t >= 0 && t < int64(len(m.types)):
		bl.params, bl.results = len(m.types[t].params), len(m.types[t].results)
	case t == emptyBlock:
	case t < 0 && t > emptyBlock:
		one := reader{b: []byte{byte(t & 0x7f)}, base: at}
		if readValueType(&one); one.err != nil {
			return one.err
		}
		bl.results = 1
	default:
		return broken(at, "block type %d does not exist", t)
	}
	b.points[bl.at].plain = bl.params == 0
	if in.op == opIf {
		b.pop(1)
	}
	b.pop(bl.params)
	bl.base = b.height
	b.open = append(b.open, bl)
	b.push(bl.params)
	b.pass(bl.params + bl.results)
	return nil
}

func (m *module) branches(b *body, in *instr, at int) *Error {
	if int(in.imm) > m.limits.MaxBranchTargets {
		return refused(at, "split the switch", "a br_table has %d targets and %d are allowed", in.imm, m.limits.MaxBranchTargets)
	}
	for label := range b.targets(b.points[len(b.points)-1]) {
		if int(label) >= len(b.open) {
			return broken(at, "label %d does not exist", label)
		}
		b.branch(label)
	}
	b.unreachable()
	return nil
}

// targets yields the labels of a br_table, the default last.
func (b *body) targets(p point) func(func(uint32) bool) {
	return func(yield func(uint32) bool) {
		r := reader{b: b.b, pos: int(p.start) + 1}
		for n := uint64(r.u32()) + 1; n > 0; n-- {
			if !yield(r.u32()) {
				return
			}
		}
	}
}

// branch marks a loop that is branched to.
func (b *body) branch(label uint32) {
	to := b.open[len(b.open)-1-int(label)]
	if to.op != opLoop {
		b.pass(to.results)
		return
	}
	b.pass(to.params)
	b.points[to.at].again = true
}

func (m *module) call(b *body, in *instr) {
	var s signature
	switch in.op {
	case opRefFunc:
		b.refs = append(b.refs, in.imm)
		return
	case opCall, opReturnCall:
		s = m.signature(in.imm)
		b.calls = append(b.calls, in.imm)
	case opCallIndirect, opReturnCallInd:
		s = m.types[in.imm]
		b.through = append(b.through, in.imm)
		b.pop(1)
	default:
		return
	}
	b.leaves++
	b.pop(len(s.params))
	b.pass(len(s.params) + len(s.results))
	b.frame.out = max(b.frame.out, len(s.params)+len(s.results))
	b.spill()
	if in.op == opReturnCall || in.op == opReturnCallInd {
		b.unreachable()
		return
	}
	b.push(len(s.results))
}

// pass counts values that are passed on, where they are more than compilers pass: each is a register or a copy to the engine's compiler, and takes it
// microseconds.
func (b *body) pass(values int) {
	const few = 16
	if values > few {
		b.passed += values
	}
}

func (b *body) unreachable() { b.height = b.open[len(b.open)-1].base }

func (b *body) push(n int) {
	b.height += n
	if n > 0 && b.height > registers {
		b.frame.spilled++
	}
	b.frame.operands = max(b.frame.operands, b.height)
}

// pop never goes below the open block: code that cannot be reached may pop what is not there.
func (b *body) pop(n int) {
	b.height = max(b.height-n, b.open[len(b.open)-1].base)
	b.frame.kept = min(b.frame.kept, b.height)
}

// spill counts the operands that lie on the stack while something else runs: the compiler gives each a slot of its own.
func (b *body) spill() {
	if b.height > b.frame.kept {
		b.frame.spilled += b.height - b.frame.kept
		b.frame.kept = b.height
	}
}

// scratch and account are the locals added for fuel and depth.
func (b *body) scratch() uint32 { return uint32(b.locals) }
func (b *body) account() uint32 { return uint32(b.locals) + 1 }

// instruction is a point's bytes.
func (b *body) instruction(i int) []byte {
	end := uint32(len(b.b))
	if i+1 < len(b.points) {
		end = b.points[i+1].start
	}
	return b.b[b.points[i].start:end]
}

// mutation names what an instruction changes that no reset from outside puts back. Dropping a segment that was copied at the start changes nothing.
func (m *module) mutation(in *instr) string {
	switch in.op {
	case opTableSet:
		return "table.set"
	case opTableInit, opTableCopy, opTableGrow, opTableFill:
		return bulkNames[in.op]
	case opElemDrop:
		if m.elems[in.imm].flags&3 == elemPassive {
			return "elem.drop"
		}
	case opDataDrop:
		if m.data[in.imm].passive {
			return "data.drop"
		}
	}
	return ""
}

package rewrite

// expr is a constant expression: its instructions without the end, cut at those that name functions.
type expr struct{ steps []step }

type step struct {
	op    int
	bytes []byte // the instruction as it is encoded
	imm   uint32
	value int64 // of an i32.const
}

// readExpr reads a constant expression, extended constants included.
func (m *module) readExpr(r *reader) expr {
	var x expr
	for r.err == nil {
		at, start := r.at(), r.pos
		in := readInstr(r)
		if m.constants++; m.constants > m.limits.MaxConstants {
			r.fail(refused(at, adviceLess, "it has more than %d instructions in constant expressions", m.limits.MaxConstants))
			return x
		}
		switch in.op {
		case opEnd:
			return x
		case opI32Const, opI64Const, 0x43, 0x44, opV128Const, opGlobalGet, opRefNull, opRefFunc, opI32Add, opI32Sub, opI32Mul, opI64Add, opI64Sub, opI64Mul:
			x.steps = append(x.steps, step{op: in.op, bytes: r.b[start:r.pos], imm: in.imm, value: in.value})
		default:
			r.fail(broken(at, "instruction %#x is not allowed in a constant expression", in.op))
		}
	}
	return x
}

// appendRefs appends the functions the expression names.
func (x expr) appendRefs(all []uint32) []uint32 {
	for _, s := range x.steps {
		if s.op == opRefFunc {
			all = append(all, s.imm)
		}
	}
	return all
}

// constant is the value of an i32 expression that reads no global.
func (x expr) constant() (uint32, bool) {
	var stack []uint32
	for _, s := range x.steps {
		if s.op == opI32Const {
			stack = append(stack, uint32(s.value))
			continue
		}
		n := len(stack)
		if n < 2 {
			return 0, false
		}
		a, b := stack[n-2], stack[n-1]
		stack = stack[:n-2]
		switch s.op {
		case opI32Add:
			stack = append(stack, a+b)
		case opI32Sub:
			stack = append(stack, a-b)
		case opI32Mul:
			stack = append(stack, a*b)
		default:
			return 0, false
		}
	}
	if len(stack) != 1 {
		return 0, false
	}
	return stack[0], true
}

// appendExpr encodes the expression with its functions' new indices.
func (m *module) appendExpr(b []byte, x expr) []byte {
	for _, s := range x.steps {
		if s.op == opRefFunc {
			b = appendU(append(b, opRefFunc), m.shift(s.imm))
			continue
		}
		b = append(b, s.bytes...)
	}
	return append(b, opEnd)
}

// The bits of an element segment's flags.
const (
	elemPassive  = 1 // or declared, with elemExplicit
	elemExplicit = 2 // table index given
	elemExprs    = 4
)

// readElements reads segments of all eight kinds.
func (m *module) readElements(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		at := r.at()
		if len(m.elems) >= m.limits.MaxSegments {
			r.fail(refused(at, adviceLess, "it has more than %d element segments", m.limits.MaxSegments))
			return
		}
		e := element{flags: r.u32()}
		if e.flags > 7 {
			r.fail(broken(at, "element segment flags %#x are unknown", e.flags))
			return
		}
		if e.flags&elemPassive == 0 {
			if e.flags&elemExplicit != 0 {
				e.table = r.u32()
			}
			e.offset = m.readExpr(r)
		}
		if e.flags&(elemPassive|elemExplicit) != 0 {
			e.kind = r.byte()
		}
		k := r.count()
		if m.elements += k; m.elements > m.limits.MaxElements {
			r.fail(refused(at, adviceLess, "its element segments have more than %d elements together", m.limits.MaxElements))
			return
		}
		for ; k > 0 && r.err == nil; k-- {
			if e.flags&elemExprs != 0 {
				e.exprs = append(e.exprs, m.readExpr(r))
			} else {
				e.funcs = append(e.funcs, r.u32())
			}
		}
		m.elems = append(m.elems, e)
	}
}

func (m *module) appendElement(b []byte, e element) []byte {
	b = appendU(b, e.flags)
	if e.flags&elemPassive == 0 {
		if e.flags&elemExplicit != 0 {
			b = appendU(b, e.table)
		}
		b = m.appendExpr(b, e.offset)
	}
	if e.flags&(elemPassive|elemExplicit) != 0 {
		b = append(b, e.kind)
	}
	b = appendU(b, uint32(len(e.funcs)+len(e.exprs)))
	for _, f := range e.funcs {
		b = appendU(b, m.shift(f))
	}
	for _, x := range e.exprs {
		b = m.appendExpr(b, x)
	}
	return b
}

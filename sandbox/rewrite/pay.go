package rewrite

// payer writes the charges of one function.
//
// In a loop in which nothing calls, only charges change the fuel, so there it waits in a local as well, and a charge does not read what the last one wrote:
// a processor needs four or five cycles for that, and a turn may take two. Each charge still writes the global: whoever leaves the loop, by a branch or by a
// trap, leaves it right.
type payer struct {
	fuel  uint32 // the global
	local uint32 // an i64
	slow  uint32 // the function that waits for more
	tight int32  // the point of the outermost loop without calls around here, -1 without one
}

// loop is before a loop.
func (w *payer) loop(code []byte, p point, i int) []byte {
	if w.tight >= 0 || !p.tight || !p.again {
		return code
	}
	w.tight = int32(i)
	return w.appendLoad(code)
}

// end is behind the end of a construct.
func (w *payer) end(p point) {
	if p.match == w.tight {
		w.tight = -1
	}
}

func (w *payer) appendLoad(code []byte) []byte {
	code = appendU(append(code, opGlobalGet), w.fuel)
	return appendU(append(code, opLocalSet), w.local)
}

// appendCharge takes fuel, and waits for more when none is left.
func (w *payer) appendCharge(code []byte, c charge) []byte {
	code = w.appendPay(code, c)
	if !c.check {
		return code
	}
	code = append(appendU(append(code, opLocalGet), w.local), opI64Const, 0, opI64LtS, opIf, 0x40)
	return append(w.appendWait(code), opEnd)
}

// appendBack writes a branch back with its charge. Whoever has to wait for fuel branches back on a way of its own: where ways meet, the engine's compiler
// keeps in registers only what all of them have there, and one that comes from a call has nothing. That way comes last, where nobody jumps over it.
//
//	br_if $loop  ->  if
//	                   fuel -= charge
//	                   fuel >= 0: br $loop
//	                   yield
//	                   br $loop
//	                 end
func (w *payer) appendBack(code []byte, p point, c charge) []byte {
	label := p.imm
	if p.op == opBrIf {
		code = append(code, opIf, 0x40)
		label++
	}
	code = appendU(append(w.appendPay(code, c), opLocalGet), w.local)
	code = append(code, opI64Const, 0, opI64GeS, opIf, 0x40)
	code = append(appendU(append(code, opBr), label+1), opEnd)
	code = appendU(append(w.appendWait(code), opBr), label)
	if p.op == opBrIf {
		code = append(code, opEnd)
	}
	return code
}

// appendPay takes fuel. What is left is then in the local, if somebody looks at it there.
func (w *payer) appendPay(code []byte, c charge) []byte {
	if w.tight >= 0 {
		code = appendU(append(code, opLocalGet), w.local)
	} else {
		code = appendU(append(code, opGlobalGet), w.fuel)
	}
	if c.fuel != 0 {
		code = append(appendS(append(code, opI64Const), int64(c.fuel)), opI64Sub)
	}
	if c.check || w.tight >= 0 {
		code = appendU(append(code, opLocalTee), w.local)
	}
	return appendU(append(code, opGlobalSet), w.fuel)
}

// appendWait calls for more fuel.
func (w *payer) appendWait(code []byte) []byte {
	code = appendU(append(code, opCall), w.slow)
	if w.tight >= 0 {
		return w.appendLoad(code)
	}
	return code
}

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
	return append(w.appendWait(w.appendEmpty(code)), opEnd)
}

// appendBack writes a branch back with its charge. Whoever has to wait for fuel branches back on a way of its own: where ways meet, the engine's compiler
// keeps in registers only what all of them have there, and one that comes from a call has nothing.
//
//	br_if $loop  ->  if
//	                   fuel -= charge
//	                   fuel < 0: yield, br $loop
//	                   br $loop
//	                 end
func (w *payer) appendBack(code []byte, p point, c charge) []byte {
	label := p.imm
	if p.op == opBrIf {
		code = append(code, opIf, 0x40)
		label++
	}
	code = w.appendWait(w.appendEmpty(w.appendPay(code, c)))
	code = appendU(append(code, opBr), label+1)
	code = appendU(append(code, opEnd, opBr), label)
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

// appendEmpty opens an if for when no fuel is left.
func (w *payer) appendEmpty(code []byte) []byte {
	return append(appendU(append(code, opLocalGet), w.local), opI64Const, 0, opI64LtS, opIf, 0x40)
}

func (w *payer) appendWait(code []byte) []byte {
	code = appendU(append(code, opCall), w.slow)
	if w.tight >= 0 {
		return w.appendLoad(code)
	}
	return code
}

package rewrite

// Operations on a range take time by its length, so each becomes a call of a function of ours, which pays and works in pieces. What the operation
// traps on, it traps on before it has written anything: the whole range is checked first, and a range that is out of bounds is given to the operation
// as it is.
const (
	pieceBytes    = 64 << 10
	pieceElements = pieceBytes / 8
	// bytesPerFuel is how many bytes of memory one unit of fuel moves; table elements pay one each.
	bytesPerFuelLog2 = 3
)

func isBulk(op int) bool {
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableGrow, opTableFill:
		return true
	}
	return false
}

// bulk is an operation with its immediates.
type bulk struct {
	op        int
	imm, imm2 uint32
}

var bulkNames = map[int]string{opMemoryInit: "memory.init", opMemoryCopy: "memory.copy", opMemoryFill: "memory.fill", opTableInit: "table.init",
	opTableCopy: "table.copy", opTableGrow: "table.grow", opTableFill: "table.fill"}

// The parameters of a bulk function: destination, source or value, length.
const (
	argDest = iota
	argFrom
	argLen
)

// bulkFunction finds or makes the function that stands for an operation.
func (w *rewriter) bulkFunction(k bulk) uint32 {
	if index, ok := w.bulks[k]; ok {
		return index
	}
	s := signature{params: []ValueType{I32, I32, I32}}
	code := []byte{0} // no locals
	switch k.op {
	case opTableGrow:
		s = signature{params: []ValueType{w.tables[k.imm].typ, I32}, results: []ValueType{I32}}
		code = w.appendGrow(code, k)
	case opTableFill:
		s.params[argFrom] = w.tables[k.imm].typ
		code = w.appendPieces(code, k)
	default:
		code = w.appendPieces(code, k)
	}
	w.bulks[k] = w.add("evoke."+bulkNames[k.op], s, append(code, opEnd))
	return w.bulks[k]
}

// appendGrow pays for growth that can succeed, then grows.
func (w *rewriter) appendGrow(c []byte, k bulk) []byte {
	c = append(c, opLocalGet, 1)
	c = appendS(append(c, opI32Const), int64(w.limits.MaxTableElements))
	c = append(c, opI32LeU, opIf, 0x40, opLocalGet, 1)
	c = appendU(append(c, opCall), w.charge)
	c = append(c, opEnd, opLocalGet, 0, opLocalGet, 1)
	return k.append(c)
}

func (w *rewriter) appendPieces(c []byte, k bulk) []byte {
	piece := int64(pieceElements)
	if k.onMemory() {
		piece = pieceBytes
	}
	whole := func(c []byte) []byte {
		return k.append(append(c, opLocalGet, argDest, opLocalGet, argFrom, opLocalGet, argLen))
	}
	// A small range pays and is done.
	c = appendS(append(c, opLocalGet, argLen, opI32Const), piece)
	c = append(c, opI32LeU, opIf, 0x40)
	c = append(whole(w.appendPay(c, k, opLocalGet, argLen)), opReturn, opEnd)
	c = append(c, opBlock, 0x40)
	c = w.appendBounds(c, k)
	if k.op == opMemoryCopy || k.op == opTableCopy {
		c = w.appendBackward(c, k, piece, whole)
	}
	step := func(arg byte, op byte) {
		c = appendS(append(c, opLocalGet, arg, opI32Const), piece)
		c = append(c, op, opLocalSet, arg)
	}
	c = append(c, opLoop, 0x40)
	c = appendS(append(c, opLocalGet, argLen, opI32Const), piece)
	c = append(c, opI32GtU, opIf, 0x40)
	c = w.appendPay(c, k, appendS([]byte{opI32Const}, piece)...)
	c = appendS(append(c, opLocalGet, argDest, opLocalGet, argFrom, opI32Const), piece)
	c = k.append(c)
	step(argDest, opI32Add)
	if k.op != opMemoryFill && k.op != opTableFill {
		step(argFrom, opI32Add)
	}
	step(argLen, opI32Sub)
	c = append(c, opBr, 1, opEnd, opEnd)
	c = append(whole(w.appendPay(c, k, opLocalGet, argLen)), opReturn, opEnd)
	return whole(c)
}

// appendBackward copies from the end when the destination lies behind the source, so that overlapping ranges come out right.
func (w *rewriter) appendBackward(c []byte, k bulk, piece int64, whole func([]byte) []byte) []byte {
	size := appendS([]byte{opI32Const}, piece)
	c = append(c, opLocalGet, argDest, opLocalGet, argFrom, opI32GtU, opIf, 0x40, opLoop, 0x40)
	c = append(append(c, opLocalGet, argLen), size...)
	c = append(c, opI32GtU, opIf, 0x40)
	c = w.appendPay(c, k, size...)
	c = append(append(c, opLocalGet, argLen), size...)
	c = append(c, opI32Sub, opLocalSet, argLen)
	c = append(c, opLocalGet, argDest, opLocalGet, argLen, opI32Add, opLocalGet, argFrom, opLocalGet, argLen, opI32Add)
	c = k.append(append(c, size...))
	c = append(c, opBr, 1, opEnd, opEnd)
	return append(whole(w.appendPay(c, k, opLocalGet, argLen)), opReturn, opEnd)
}

// appendPay charges for the length that the given code leaves.
func (w *rewriter) appendPay(c []byte, k bulk, length ...byte) []byte {
	c = append(c, length...)
	if k.onMemory() {
		c = append(c, opI32Const, bytesPerFuelLog2, opI32ShrU)
	}
	return appendU(append(c, opCall), w.charge)
}

// appendBounds leaves the enclosing block when a range is out of bounds.
func (w *rewriter) appendBounds(c []byte, k bulk) []byte {
	end := func(arg byte) {
		c = append(c, opLocalGet, arg, opI64ExtendU, opLocalGet, argLen, opI64ExtendU, opI64Add)
	}
	within := func(size []byte) { c = append(append(c, size...), opI64GtU, opBrIf, 0) }
	memory := []byte{opMemorySize, 0, opI64ExtendU, opI64Const, 16, opI64Shl}
	elements := func(table uint32) []byte {
		return append(appendU([]byte{opMisc, opTableSize - prefixMisc}, table), opI64ExtendU)
	}
	end(argDest)
	switch k.op {
	case opMemoryFill, opMemoryCopy, opMemoryInit:
		within(memory)
	case opTableInit:
		within(elements(k.imm2))
	default:
		within(elements(k.imm))
	}
	switch k.op {
	case opMemoryCopy:
		end(argFrom)
		within(memory)
	case opTableCopy:
		end(argFrom)
		within(elements(k.imm2))
	case opMemoryInit, opTableInit:
		end(argFrom)
		within(appendS([]byte{opI64Const}, w.segmentSize(k)))
		// A dropped segment has no bytes left: an operation of length 0 at the range's end traps then.
		c = append(c, opI32Const, 0, opLocalGet, argFrom, opLocalGet, argLen, opI32Add, opI32Const, 0)
		c = k.append(c)
	}
	return c
}

// segmentSize is how long the segment is before it is dropped.
func (w *rewriter) segmentSize(k bulk) int64 {
	if k.op == opMemoryInit {
		return int64(len(w.data[k.imm].bytes))
	}
	return int64(len(w.elems[k.imm].funcs) + len(w.elems[k.imm].exprs))
}

func (k bulk) onMemory() bool {
	return k.op == opMemoryInit || k.op == opMemoryCopy || k.op == opMemoryFill
}

// append encodes the operation.
func (k bulk) append(c []byte) []byte {
	c = append(c, opMisc, byte(k.op-prefixMisc))
	switch k.op {
	case opMemoryFill:
		return append(c, 0)
	case opMemoryCopy:
		return append(c, 0, 0)
	case opMemoryInit:
		return append(appendU(c, k.imm), 0)
	case opTableInit, opTableCopy:
		return appendU(appendU(c, k.imm), k.imm2)
	}
	return appendU(c, k.imm)
}

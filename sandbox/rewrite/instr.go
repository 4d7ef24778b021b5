package rewrite

import "fmt"

// instr is one decoded instruction.
type instr struct {
	op    int
	imm   uint32 // label, function, local, global, type, segment or table: the first index; number of labels without the default
	imm2  uint32 // the second index
	block int64  // type of a block: an index when it is not negative, else a value type's or the empty type's code
	value int64  // of an i32.const
}

// emptyBlock is the block type without parameters and results.
const emptyBlock = -64

// readInstr reads one instruction with its immediates.
func readInstr(r *reader) instr {
	at := r.at()
	first := r.byte()
	in := instr{op: int(first)}
	var sub uint32
	switch first {
	case opMisc, opVector, 0xfb, 0xfe:
		sub = r.u32()
		switch {
		case first == opMisc && sub <= opTableFill-prefixMisc:
			in.op = prefixMisc + int(sub)
		case first == opVector && sub < opCount-prefixVector:
			in.op = prefixVector + int(sub)
		}
	}
	o := operations[in.op]
	if o.imm == unknown && r.err == nil {
		r.fail(unknownInstr(at, first, sub))
		return in
	}
	in.immediates(r, o.imm)
	return in
}

func unknownInstr(at int, first byte, sub uint32) *Error {
	name := fmt.Sprintf("%#02x", first)
	if first >= 0xfb && first <= 0xfe {
		name = fmt.Sprintf("%#02x %d", first, sub)
	}
	if proposal := foreign(first, sub); proposal != "" {
		err := foreignError(at, proposal)
		err.Reason += " (instruction " + name + ")"
		return err
	}
	return broken(at, "instruction %s is unknown", name)
}

func (in *instr) immediates(r *reader, imm immediate) {
	switch imm {
	case immBlock:
		in.block = r.signed(33)
	case immLabel, immFunc, immLocal, immGlobal, immTable, immData, immElem:
		in.imm = r.u32()
	case immLabels:
		in.imm = uint32(r.count())
		for range in.imm {
			r.u32()
		}
		r.u32()
	case immTypeTab, immTable2, immElemTab:
		in.imm, in.imm2 = r.u32(), r.u32()
	case immMem:
		zeroMemory(r)
	case immMem2:
		zeroMemory(r)
		zeroMemory(r)
	case immDataMem:
		in.imm = r.u32()
		zeroMemory(r)
	case immMemarg, immMemLane:
		if at, align := r.at(), r.u32(); align >= 32 {
			r.fail(foreignError(at, "multiple memories"))
		}
		r.u32()
		if imm == immMemLane {
			r.byte()
		}
	default:
		in.constants(r, imm)
	}
}

func (in *instr) constants(r *reader, imm immediate) {
	switch imm {
	case immI32:
		in.value = r.signed(32)
	case immI64:
		r.signed(64)
	case immLane:
		r.byte()
	case immF32:
		r.bytes(4)
	case immF64:
		r.bytes(8)
	case immV128:
		r.bytes(16)
	case immRef:
		readRefType(r)
	case immTypes:
		for n := r.count(); n > 0 && r.err == nil; n-- {
			readValueType(r)
		}
	}
}

func zeroMemory(r *reader) {
	if at := r.at(); r.byte() != 0 {
		r.fail(foreignError(at, "multiple memories"))
	}
}

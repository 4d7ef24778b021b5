package rewrite

// immediate says what follows an opcode.
type immediate byte

const (
	unknown    immediate = iota // not an instruction of the feature set
	immNone                     //
	immBlock                    // block type
	immLabel                    // label
	immLabels                   // vector of labels, label
	immFunc                     // function
	immTypeTab                  // type, table
	immLocal                    // local
	immGlobal                   // global
	immTable                    // table
	immTable2                   // table, table
	immMem                      // memory, which is 0
	immMem2                     // memory, memory
	immMemarg                   // alignment, offset
	immLane                     // lane
	immMemLane                  // alignment, offset, lane
	immI32                      // signed number
	immI64                      // signed number
	immF32                      // 4 bytes
	immF64                      // 8 bytes
	immV128                     // 16 bytes
	immRef                      // reference type
	immTypes                    // vector of value types
	immData                     // data segment
	immDataMem                  // data segment, memory
	immElem                     // element segment
	immElemTab                  // element segment, table
)

// operation is one row of the opcode table. What pops and pushes depending on types has -1 in pops.
type operation struct {
	imm          immediate
	pops, pushes int8
}

// The opcodes this package treats by name. Those behind a prefix byte are numbered from prefixMisc and prefixVector on.
const (
	opUnreachable   = 0x00
	opNop           = 0x01
	opBlock         = 0x02
	opLoop          = 0x03
	opIf            = 0x04
	opElse          = 0x05
	opEnd           = 0x0b
	opBr            = 0x0c
	opBrIf          = 0x0d
	opBrTable       = 0x0e
	opReturn        = 0x0f
	opCall          = 0x10
	opCallIndirect  = 0x11
	opReturnCall    = 0x12
	opReturnCallInd = 0x13
	opSelect        = 0x1b
	opLocalGet      = 0x20
	opLocalSet      = 0x21
	opLocalTee      = 0x22
	opGlobalGet     = 0x23
	opGlobalSet     = 0x24
	opTableSet      = 0x26
	opMemorySize    = 0x3f
	opMemoryGrow    = 0x40
	opI32Const      = 0x41
	opI64Const      = 0x42
	opI32LtS        = 0x48
	opI32GtU        = 0x4b
	opI32LeU        = 0x4d
	opI64LtS        = 0x53
	opI64GtU        = 0x56
	opI64GeS        = 0x59
	opI32Add        = 0x6a
	opI32Sub        = 0x6b
	opI32Mul        = 0x6c
	opI32ShrU       = 0x76
	opI64Add        = 0x7c
	opI64Sub        = 0x7d
	opI64Mul        = 0x7e
	opI64Shl        = 0x86
	opI64ExtendU    = 0xad
	opRefNull       = 0xd0
	opRefFunc       = 0xd2
	opMisc          = 0xfc
	opVector        = 0xfd

	prefixMisc   = 0x100
	opMemoryInit = prefixMisc + 8
	opDataDrop   = prefixMisc + 9
	opMemoryCopy = prefixMisc + 10
	opMemoryFill = prefixMisc + 11
	opTableInit  = prefixMisc + 12
	opElemDrop   = prefixMisc + 13
	opTableCopy  = prefixMisc + 14
	opTableGrow  = prefixMisc + 15
	opTableSize  = prefixMisc + 16
	opTableFill  = prefixMisc + 17

	prefixVector = 0x200
	opV128Const  = prefixVector + 12
	opCount      = prefixVector + 0x100
)

// row describes a run of opcodes that look alike.
type row struct {
	first, last int
	operation
}

var rows = []row{
	{opUnreachable, opNop, operation{immNone, 0, 0}},
	{opBlock, opIf, operation{immBlock, -1, 0}},
	{opElse, opElse, operation{immNone, -1, 0}},
	{opEnd, opEnd, operation{immNone, -1, 0}},
	{opBr, opBr, operation{immLabel, -1, 0}},
	{opBrIf, opBrIf, operation{immLabel, 1, 0}},
	{opBrTable, opBrTable, operation{immLabels, -1, 0}},
	{opReturn, opReturn, operation{immNone, -1, 0}},
	{opCall, opCall, operation{immFunc, -1, 0}},
	{opCallIndirect, opCallIndirect, operation{immTypeTab, -1, 0}},
	{opReturnCall, opReturnCall, operation{immFunc, -1, 0}},
	{opReturnCallInd, opReturnCallInd, operation{immTypeTab, -1, 0}},
	{0x1a, 0x1a, operation{immNone, 1, 0}}, // drop
	{opSelect, opSelect, operation{immNone, 3, 1}},
	{0x1c, 0x1c, operation{immTypes, 3, 1}}, // select with types
	{opLocalGet, opLocalGet, operation{immLocal, 0, 1}},
	{opLocalSet, opLocalSet, operation{immLocal, 1, 0}},
	{opLocalTee, opLocalTee, operation{immLocal, 1, 1}},
	{opGlobalGet, opGlobalGet, operation{immGlobal, 0, 1}},
	{opGlobalSet, opGlobalSet, operation{immGlobal, 1, 0}},
	{0x25, 0x25, operation{immTable, 1, 1}}, // table.get
	{opTableSet, opTableSet, operation{immTable, 2, 0}},
	{0x28, 0x35, operation{immMemarg, 1, 1}}, // loads
	{0x36, 0x3e, operation{immMemarg, 2, 0}}, // stores
	{opMemorySize, opMemorySize, operation{immMem, 0, 1}},
	{opMemoryGrow, opMemoryGrow, operation{immMem, 1, 1}},
	{opI32Const, opI32Const, operation{immI32, 0, 1}},
	{opI64Const, opI64Const, operation{immI64, 0, 1}},
	{0x43, 0x43, operation{immF32, 0, 1}},  // f32.const
	{0x44, 0x44, operation{immF64, 0, 1}},  // f64.const
	{0x45, 0x45, operation{immNone, 1, 1}}, // i32.eqz
	{0x46, 0x4f, operation{immNone, 2, 1}}, // i32 comparisons
	{0x50, 0x50, operation{immNone, 1, 1}}, // i64.eqz
	{0x51, 0x66, operation{immNone, 2, 1}}, // comparisons
	{0x67, 0x69, operation{immNone, 1, 1}}, // i32 clz, ctz, popcnt
	{0x6a, 0x78, operation{immNone, 2, 1}}, // i32 arithmetic
	{0x79, 0x7b, operation{immNone, 1, 1}}, // i64 clz, ctz, popcnt
	{0x7c, 0x8a, operation{immNone, 2, 1}}, // i64 arithmetic
	{0x8b, 0x91, operation{immNone, 1, 1}}, // f32 abs to sqrt
	{0x92, 0x98, operation{immNone, 2, 1}}, // f32 arithmetic
	{0x99, 0x9f, operation{immNone, 1, 1}}, // f64 abs to sqrt
	{0xa0, 0xa6, operation{immNone, 2, 1}}, // f64 arithmetic
	{0xa7, 0xc4, operation{immNone, 1, 1}}, // conversions, sign extension
	{opRefNull, opRefNull, operation{immRef, 0, 1}},
	{0xd1, 0xd1, operation{immNone, 1, 1}}, // ref.is_null
	{opRefFunc, opRefFunc, operation{immFunc, 0, 1}},

	{prefixMisc, prefixMisc + 7, operation{immNone, 1, 1}}, // saturating conversions
	{opMemoryInit, opMemoryInit, operation{immDataMem, 3, 0}},
	{opDataDrop, opDataDrop, operation{immData, 0, 0}},
	{opMemoryCopy, opMemoryCopy, operation{immMem2, 3, 0}},
	{opMemoryFill, opMemoryFill, operation{immMem, 3, 0}},
	{opTableInit, opTableInit, operation{immElemTab, 3, 0}},
	{opElemDrop, opElemDrop, operation{immElem, 0, 0}},
	{opTableCopy, opTableCopy, operation{immTable2, 3, 0}},
	{opTableGrow, opTableGrow, operation{immTable, 2, 1}},
	{opTableSize, opTableSize, operation{immTable, 0, 1}},
	{opTableFill, opTableFill, operation{immTable, 3, 0}},
}

// vectorRows holds the vector instructions, without the prefix. Numbers between them are not assigned.
var vectorRows = []row{
	{0, 10, operation{immMemarg, 1, 1}},  // loads
	{11, 11, operation{immMemarg, 2, 0}}, // v128.store
	{12, 12, operation{immV128, 0, 1}},   // v128.const
	{13, 13, operation{immV128, 2, 1}},   // i8x16.shuffle
	{14, 14, operation{immNone, 2, 1}},   // i8x16.swizzle
	{15, 20, operation{immNone, 1, 1}},   // splat
	{21, 22, operation{immLane, 1, 1}}, {23, 23, operation{immLane, 2, 1}}, {24, 25, operation{immLane, 1, 1}}, {26, 26, operation{immLane, 2, 1}},
	{27, 27, operation{immLane, 1, 1}}, {28, 28, operation{immLane, 2, 1}}, {29, 29, operation{immLane, 1, 1}}, {30, 30, operation{immLane, 2, 1}},
	{31, 31, operation{immLane, 1, 1}}, {32, 32, operation{immLane, 2, 1}}, {33, 33, operation{immLane, 1, 1}}, {34, 34, operation{immLane, 2, 1}},
	{35, 76, operation{immNone, 2, 1}}, // comparisons
	{77, 77, operation{immNone, 1, 1}}, // v128.not
	{78, 81, operation{immNone, 2, 1}}, // bitwise
	{82, 82, operation{immNone, 3, 1}}, // v128.bitselect
	{83, 83, operation{immNone, 1, 1}}, // v128.any_true
	{84, 87, operation{immMemLane, 2, 1}}, {88, 91, operation{immMemLane, 2, 0}}, {92, 93, operation{immMemarg, 1, 1}},
	{94, 100, operation{immNone, 1, 1}}, {101, 102, operation{immNone, 2, 1}}, {103, 106, operation{immNone, 1, 1}},
	{107, 115, operation{immNone, 2, 1}}, {116, 117, operation{immNone, 1, 1}}, {118, 121, operation{immNone, 2, 1}},
	{122, 122, operation{immNone, 1, 1}}, {123, 123, operation{immNone, 2, 1}}, {124, 129, operation{immNone, 1, 1}},
	{130, 130, operation{immNone, 2, 1}}, {131, 132, operation{immNone, 1, 1}}, {133, 134, operation{immNone, 2, 1}},
	{135, 138, operation{immNone, 1, 1}}, {139, 147, operation{immNone, 2, 1}}, {148, 148, operation{immNone, 1, 1}},
	{149, 153, operation{immNone, 2, 1}}, {155, 159, operation{immNone, 2, 1}}, {160, 161, operation{immNone, 1, 1}},
	{163, 164, operation{immNone, 1, 1}}, {167, 170, operation{immNone, 1, 1}}, {171, 174, operation{immNone, 2, 1}},
	{177, 177, operation{immNone, 2, 1}}, {181, 186, operation{immNone, 2, 1}}, {188, 191, operation{immNone, 2, 1}},
	{192, 193, operation{immNone, 1, 1}}, {195, 196, operation{immNone, 1, 1}}, {199, 202, operation{immNone, 1, 1}},
	{203, 206, operation{immNone, 2, 1}}, {209, 209, operation{immNone, 2, 1}}, {213, 223, operation{immNone, 2, 1}},
	{224, 225, operation{immNone, 1, 1}}, {227, 227, operation{immNone, 1, 1}}, {228, 235, operation{immNone, 2, 1}},
	{236, 237, operation{immNone, 1, 1}}, {239, 239, operation{immNone, 1, 1}}, {240, 247, operation{immNone, 2, 1}},
	{248, 255, operation{immNone, 1, 1}},
}

// operations is the table by opcode; what the rows leave out is unknown.
var operations = func() (t [opCount]operation) {
	for _, r := range rows {
		for op := r.first; op <= r.last; op++ {
			t[op] = r.operation
		}
	}
	for _, r := range vectorRows {
		for op := r.first; op <= r.last; op++ {
			t[prefixVector+op] = r.operation
		}
	}
	return t
}()

// foreign names the proposal an opcode outside of the feature set belongs to, "" when it belongs to none we know.
func foreign(first byte, sub uint32) string {
	switch {
	case first >= 0x06 && first <= 0x0a, first == 0x18, first == 0x19, first == 0x1f:
		return "exception handling"
	case first == 0x14, first == 0x15, first >= 0xd4 && first <= 0xd6:
		return "typed function references"
	case first == 0xfb, first == 0xd3:
		return "garbage collection"
	case first == 0xfe:
		return "threads"
	case first == opVector && sub >= 0x100:
		return "relaxed vector instructions"
	}
	return ""
}

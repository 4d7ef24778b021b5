package wasmtest

import "slices"

const opEnd = 0x0b

// Unreachable traps.
func Unreachable() []byte { return []byte{0x00} }

// Return leaves the function.
func Return() []byte { return []byte{0x0f} }

// Drop pops a value.
func Drop() []byte { return []byte{0x1a} }

// Add pops two numbers and pushes their sum.
func Add() []byte { return []byte{0x6a} }

// Sub pops two numbers and pushes their difference.
func Sub() []byte { return []byte{0x6b} }

// LessU pops two numbers and pushes 1 when the first is lower, unsigned.
func LessU() []byte { return []byte{0x49} }

// WrapI64 makes an i32 of an i64.
func WrapI64() []byte { return []byte{0xa7} }

// MemoryGrow takes a number of pages and leaves the old size, or -1.
func MemoryGrow() []byte { return []byte{0x40, 0} }

// MemorySize leaves the size in pages.
func MemorySize() []byte { return []byte{0x3f, 0} }

// I32Const pushes a number.
func I32Const(v int32) []byte { return append([]byte{0x41}, signed(int64(v))...) }

// I64Const pushes a number.
func I64Const(v int64) []byte { return append([]byte{0x42}, signed(v)...) }

// Call calls a function; arguments are constants pushed before.
func Call(function uint32, args ...int32) []byte {
	var b []byte
	for _, a := range args {
		b = append(b, I32Const(a)...)
	}
	return append(append(b, 0x10), U32(function)...)
}

// LocalGet pushes a local.
func LocalGet(i uint32) []byte { return append([]byte{0x20}, U32(i)...) }

// LocalSet pops into a local.
func LocalSet(i uint32) []byte { return append([]byte{0x21}, U32(i)...) }

// GlobalGet pushes a global.
func GlobalGet(i uint32) []byte { return append([]byte{0x23}, U32(i)...) }

// GlobalSet pops into a global.
func GlobalSet(i uint32) []byte { return append([]byte{0x24}, U32(i)...) }

// MemoryFill pops an address, a byte and a length.
func MemoryFill() []byte { return []byte{0xfc, 11, 0} }

// Equal pops two numbers and pushes 1 when they are the same.
func Equal() []byte { return []byte{0x46} }

// Store pops a value and an address and stores 32 bits.
func Store() []byte { return []byte{0x36, 2, 0} }

// Load pops an address and pushes the 32 bits there.
func Load() []byte { return []byte{0x28, 2, 0} }

// Forever runs code again and again.
func Forever(code ...[]byte) []byte {
	return slices.Concat([]byte{0x03, 0x40}, slices.Concat(code...), []byte{0x0c, 0, opEnd})
}

// While runs code as long as it leaves a number that is not 0.
func While(code ...[]byte) []byte {
	return slices.Concat([]byte{0x03, 0x40}, slices.Concat(code...), []byte{0x0d, 0, opEnd})
}

// If pops a number and runs code when it is not 0.
func If(code ...[]byte) []byte {
	return slices.Concat([]byte{0x04, 0x40}, slices.Concat(code...), []byte{opEnd})
}

// Block runs code once; a branch out of it goes behind it.
func Block(code ...[]byte) []byte {
	return slices.Concat([]byte{0x02, 0x40}, slices.Concat(code...), []byte{opEnd})
}

// BrTable pops a number and goes to the label it selects, the last one for every number beyond.
func BrTable(labels ...uint32) []byte {
	b := append([]byte{0x0e}, U32(uint32(len(labels)-1))...)
	for _, l := range labels {
		b = append(b, U32(l)...)
	}
	return b
}

// CallIndirect pops an element of table 0 and calls it; the type is one of Module.Type.
func CallIndirect(typ uint32) []byte { return append(append([]byte{0x11}, U32(typ)...), 0) }

// ReturnCall calls a function in place of the calling one.
func ReturnCall(function uint32) []byte { return append([]byte{0x12}, U32(function)...) }

// RefNull pushes a reference to no function.
func RefNull() []byte { return []byte{0xd0, 0x70} }

// TableGrow pops a reference and a number of elements and leaves the old size of table 0, or -1.
func TableGrow() []byte { return []byte{0xfc, 15, 0} }

// TableFill pops an index, a reference and a number of elements of table 0.
func TableFill() []byte { return []byte{0xfc, 17, 0} }

// TableCopy pops where to, where from and how many elements, both in table 0.
func TableCopy() []byte { return []byte{0xfc, 14, 0, 0} }

// MemoryCopy pops where to, where from and a length.
func MemoryCopy() []byte { return []byte{0xfc, 10, 0, 0} }

// MemoryInit pops where to, where from in a data segment, and a length.
func MemoryInit(segment uint32) []byte { return append(append([]byte{0xfc, 8}, U32(segment)...), 0) }

// signed encodes a signed LEB128 number.
func signed(v int64) []byte {
	var b []byte
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

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

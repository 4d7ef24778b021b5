// Package wasmtest builds small WebAssembly modules in Go, for tests that need a guest but no toolchain.
//
// A module is put together top down: imports first, then memory and data, then functions with their instructions, then Bytes. Guests that tests
// of other packages want ready-made (one that echoes, one that fails, one that loops, …) are in guests.go.
package wasmtest

import (
	"encoding/binary"
	"slices"
)

// Value types.
const (
	I32  byte = 0x7f
	I64  byte = 0x7e
	F32  byte = 0x7d
	F64  byte = 0x7c
	V128 byte = 0x7b
)

// Kinds of an import or export.
const (
	KindFunc   byte = 0
	KindTable  byte = 1
	KindMemory byte = 2
	KindGlobal byte = 3
)

// Header is the magic number and version of a core module.
func Header() []byte { return []byte("\x00asm\x01\x00\x00\x00") }

// Module collects the parts of a module. The zero value is an empty module. Methods panic on misuse: a test is wrong then, not its input.
type Module struct {
	types   [][]byte
	imports [][]byte
	exports [][]byte
	bodies  [][]byte
	funcs   []uint32 // type of each local function
	data    [][]byte
	globals [][]byte
	tables  [][]byte
	elems   [][]byte
	names   []string // of all functions, imported ones first
	memory  []byte
	start   []byte
	counted bool     // there is a data count section
	customs [][]byte // whole custom sections

	importedFuncs uint32
}

// New returns a module with one exported memory of one page and no maximum.
func New() *Module {
	m := &Module{}
	m.Memory(1)
	m.Export("memory", KindMemory, 0)
	return m
}

// Import adds an imported function and returns its index. All imports come before the first Func.
func (m *Module) Import(module, name string, params, results []byte) uint32 {
	if len(m.funcs) > 0 {
		panic("wasmtest: Import after Func")
	}
	m.ImportRaw(module, name, KindFunc, U32(m.typeIndex(params, results)))
	m.names = append(m.names, module+"."+name)
	m.importedFuncs++
	return m.importedFuncs - 1
}

// ImportRaw adds an import of any kind; desc is its encoded description.
func (m *Module) ImportRaw(module, name string, kind byte, desc []byte) {
	m.imports = append(m.imports, slices.Concat(text(module), text(name), []byte{kind}, desc))
}

// Memory sets the memory's minimum, and with a second number its maximum, in pages of 64 KiB.
func (m *Module) Memory(pages ...uint32) {
	m.memory = append([]byte{byte(len(pages) - 1)}, U32(pages[0])...)
	if len(pages) == 2 {
		m.memory = append(m.memory, U32(pages[1])...)
	}
}

// MemoryRaw sets the encoded memory type; nil removes the memory.
func (m *Module) MemoryRaw(b []byte) { m.memory = b }

// NoExports removes every export, the memory's too.
func (m *Module) NoExports() { m.exports = nil }

// Data puts bytes into memory at an address.
func (m *Module) Data(address uint32, b []byte) {
	m.data = append(m.data, slices.Concat([]byte{0}, I32Const(int32(address)), []byte{opEnd}, U32(uint32(len(b))), b))
}

// Passive adds bytes that only memory.init puts into memory, and returns the segment's index.
func (m *Module) Passive(b []byte) uint32 {
	m.counted = true
	m.DataRaw(slices.Concat([]byte{1}, U32(uint32(len(b))), b))
	return uint32(len(m.data) - 1)
}

// DataRaw adds an encoded data segment.
func (m *Module) DataRaw(segment []byte) { m.data = append(m.data, segment) }

// Global adds a mutable global with its value at the start, an expression, and returns its index.
func (m *Module) Global(valueType byte, value []byte) uint32 {
	m.globals = append(m.globals, slices.Concat([]byte{valueType, 1}, value, []byte{opEnd}))
	return uint32(len(m.globals) - 1)
}

// Table adds a table of function references and returns its index.
func (m *Module) Table(size uint32) uint32 { return m.TableRaw(append([]byte{0x70, 0}, U32(size)...)) }

// TableRaw adds a table by its encoded type and returns its index.
func (m *Module) TableRaw(b []byte) uint32 {
	m.tables = append(m.tables, b)
	return uint32(len(m.tables) - 1)
}

// Elements puts functions into table 0 from an index on.
func (m *Module) Elements(at uint32, functions ...uint32) {
	list := make([][]byte, len(functions))
	for i, f := range functions {
		list[i] = U32(f)
	}
	m.ElementsRaw(slices.Concat([]byte{0}, I32Const(int32(at)), []byte{opEnd}, vector(list)))
}

// ElementsRaw adds an encoded element segment.
func (m *Module) ElementsRaw(segment []byte) { m.elems = append(m.elems, segment) }

// Custom adds a custom section behind all others.
func (m *Module) Custom(name string, content []byte) {
	m.customs = append(m.customs, Section(0, append(text(name), content...)))
}

// Type returns the index of a function type.
func (m *Module) Type(params, results []byte) uint32 { return m.typeIndex(params, results) }

// Func adds a function and returns its index. A name makes it an export and names it in stack traces. Locals are all i32; code has no final end.
func (m *Module) Func(name string, params, results []byte, locals uint32, code ...[]byte) uint32 {
	index := m.Unexported(name, params, results, locals, code...)
	m.Export(name, KindFunc, index)
	return index
}

// Unexported is Func without the export; the name is for stack traces.
func (m *Module) Unexported(name string, params, results []byte, locals uint32, code ...[]byte) uint32 {
	runs := []byte{0}
	if locals > 0 {
		runs = slices.Concat([]byte{1}, U32(locals), []byte{I32})
	}
	return m.Raw(name, params, results, runs, code...)
}

// Raw is Unexported with the encoded runs of locals, of any type, before the code.
func (m *Module) Raw(name string, params, results, locals []byte, code ...[]byte) uint32 {
	m.funcs = append(m.funcs, m.typeIndex(params, results))
	m.names = append(m.names, name)
	body := slices.Concat(locals, slices.Concat(code...), []byte{opEnd})
	m.bodies = append(m.bodies, append(U32(uint32(len(body))), body...))
	return m.Next() - 1
}

// Next is the index the next Func will get, for functions that call each other or themselves.
func (m *Module) Next() uint32 { return m.importedFuncs + uint32(len(m.funcs)) }

// Export adds an export of any kind.
func (m *Module) Export(name string, kind byte, index uint32) {
	m.exports = append(m.exports, slices.Concat(text(name), []byte{kind}, U32(index)))
}

// Start makes a function the start function.
func (m *Module) Start(function uint32) { m.start = U32(function) }

// Bytes encodes the module.
func (m *Module) Bytes() []byte {
	funcs := make([][]byte, len(m.funcs))
	for i, t := range m.funcs {
		funcs[i] = U32(t)
	}
	names := make([][]byte, len(m.names))
	for i, n := range m.names {
		names[i] = append(U32(uint32(i)), text(n)...)
	}
	out := Header()
	out = append(out, Section(1, vector(m.types))...)
	out = append(out, Section(2, vector(m.imports))...)
	out = append(out, Section(3, vector(funcs))...)
	if m.tables != nil {
		out = append(out, Section(4, vector(m.tables))...)
	}
	if m.memory != nil {
		out = append(out, Section(5, vector([][]byte{m.memory}))...)
	}
	if m.globals != nil {
		out = append(out, Section(6, vector(m.globals))...)
	}
	out = append(out, Section(7, vector(m.exports))...)
	if m.start != nil {
		out = append(out, Section(8, m.start)...)
	}
	if m.elems != nil {
		out = append(out, Section(9, vector(m.elems))...)
	}
	if m.counted {
		out = append(out, Section(12, U32(uint32(len(m.data))))...)
	}
	out = append(out, Section(10, vector(m.bodies))...)
	out = append(out, Section(11, vector(m.data))...)
	out = append(out, Section(0, append(text("name"), Section(1, vector(names))...))...)
	return append(out, slices.Concat(m.customs...)...)
}

func (m *Module) typeIndex(params, results []byte) uint32 {
	t := slices.Concat([]byte{0x60}, U32(uint32(len(params))), params, U32(uint32(len(results))), results)
	if i := slices.IndexFunc(m.types, func(o []byte) bool { return slices.Equal(o, t) }); i >= 0 {
		return uint32(i)
	}
	m.types = append(m.types, t)
	return uint32(len(m.types) - 1)
}

// Section encodes one section.
func Section(id byte, content []byte) []byte {
	return slices.Concat([]byte{id}, U32(uint32(len(content))), content)
}

// U32 encodes an unsigned LEB128 number.
func U32(v uint32) []byte { return binary.AppendUvarint(nil, uint64(v)) }

func text(s string) []byte { return append(U32(uint32(len(s))), s...) }

func vector(items [][]byte) []byte {
	return append(U32(uint32(len(items))), slices.Concat(items...)...)
}

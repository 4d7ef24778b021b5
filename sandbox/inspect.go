package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
)

// Bounds on what a module may declare, so that looking at it and starting it stay cheap. Real modules stay far below: a Go program has about
// 2,000 functions and a table of 6,000.
const (
	maxModule    = 64 << 20 // bytes
	maxFunctions = 100_000
	maxTable     = 100_000
	maxTypes     = 100_000
	maxImports   = 100_000
	maxExports   = 100_000
	maxNameLen   = 4096
)

// moduleInfo is what a module says of itself, as far as checks need it.
type moduleInfo struct {
	types     []signature
	imports   []importInfo
	exports   []exportInfo
	functions []uint32 // type of each function, imported ones first
	imported  int      // how many of them are imported
	memory    *memoryInfo
	gc        string // set when types need a proposal we do not have
	tags      bool
}

type importInfo struct {
	module, name string
	kind         byte
	typ          uint32 // of a function
}

// String is for messages, which a long name must not fill.
func (i importInfo) String() string { return cutText(i.module+"."+i.name, maxFunctionName) }

type exportInfo struct {
	name  string
	kind  byte
	index uint32
}

type memoryInfo struct {
	pages  uint64
	flags  uint32
	number uint32 // of memories
}

// Kinds of imports and exports are numbered as in the binary format.
const (
	kindFunc   = api.ExternTypeFunc
	kindTable  = api.ExternTypeTable
	kindMemory = api.ExternTypeMemory
	kindGlobal = api.ExternTypeGlobal
	kindTag    = 4
)

// Flags of a memory's limits.
const (
	limitMax    = 1
	limitShared = 2
	limit64     = 4
)

var errCutShort = errors.New("it ends in the middle")

// tooMuch is a fault of a module that is sound: it has more of something than it may.
type tooMuch string

func (e tooMuch) Error() string { return string(e) }

// inspect walks the sections of a core module. It reads types, imports, functions, tables, memories and exports, and leaves the rest to the compiler.
func inspect(wasm []byte) (*moduleInfo, error) {
	info := &moduleInfo{}
	r := &wasmReader{b: wasm[8:]}
	for len(r.b) > 0 && r.err == nil {
		id := r.byte()
		section := &wasmReader{b: r.take(r.u32())}
		if r.err != nil {
			return nil, fmt.Errorf("section %d is broken: %w", id, r.err)
		}
		info.section(id, section)
		if section.err != nil {
			return nil, fmt.Errorf("section %d is broken: %w", id, section.err)
		}
	}
	return info, r.err
}

func (m *moduleInfo) section(id byte, r *wasmReader) {
	switch id {
	case 1:
		r.vector(func() bool { return m.readType(r) })
	case 2:
		r.vector(func() bool { m.readImport(r); return true })
		m.imported = len(m.functions)
	case 3:
		r.vector(func() bool { m.addFunction(r, r.u32()); return true })
	case 4:
		r.vector(func() bool { r.table(); return true })
	case 5:
		r.vector(func() bool { m.addMemory(r.limits()); return true })
	case 7:
		r.vector(func() bool {
			if len(m.exports) >= maxExports {
				r.fail(tooMuch(fmt.Sprintf("more than %d exports", maxExports)))
			}
			m.exports = append(m.exports, exportInfo{name: r.name(), kind: r.byte(), index: r.u32()})
			return true
		})
	case 13:
		m.tags = true
	}
}

// readType reads a function type; other forms belong to the garbage collection proposal, whose types end the walk of this section.
func (m *moduleInfo) readType(r *wasmReader) (more bool) {
	if form := r.byte(); form != 0x60 {
		if r.err == nil {
			m.gc = fmt.Sprintf("a type of form 0x%02x (garbage collection)", form)
		}
		return false
	}
	var s signature
	for _, list := range []*[]api.ValueType{&s.params, &s.results} {
		r.vector(func() bool {
			t := r.byte()
			if t == 0x63 || t == 0x64 {
				m.gc = "typed references"
				return false
			}
			*list = append(*list, t)
			return true
		})
		if m.gc != "" {
			return false
		}
	}
	if len(m.types) >= maxTypes {
		r.fail(tooMuch(fmt.Sprintf("more than %d types", maxTypes)))
	}
	m.types = append(m.types, s)
	return true
}

func (m *moduleInfo) readImport(r *wasmReader) {
	if len(m.imports) >= maxImports {
		r.fail(tooMuch(fmt.Sprintf("more than %d imports", maxImports)))
	}
	i := importInfo{module: r.name(), name: r.name(), kind: r.byte()}
	switch i.kind {
	case kindFunc:
		i.typ = r.u32()
		m.addFunction(r, i.typ)
	case kindTable:
		r.table()
	case kindMemory:
		r.limits()
	case kindGlobal:
		r.take(2)
	case kindTag:
		r.byte()
		r.u32()
	default:
		r.fail(fmt.Errorf("import %d is of the unknown kind %d", len(m.imports), i.kind))
	}
	m.imports = append(m.imports, i)
}

func (m *moduleInfo) addFunction(r *wasmReader, typ uint32) {
	if len(m.functions) >= maxFunctions {
		r.fail(tooMuch(fmt.Sprintf("more than %d functions", maxFunctions)))
	}
	m.functions = append(m.functions, typ)
}

func (m *moduleInfo) addMemory(l memoryInfo) {
	if m.memory == nil {
		m.memory = &l
	}
	m.memory.number++
}

// export returns the export of a name.
func (m *moduleInfo) export(name string) (exportInfo, bool) {
	for _, e := range m.exports {
		if e.name == name {
			return e, true
		}
	}
	return exportInfo{}, false
}

// signature returns the type of a function by its type's index.
func (m *moduleInfo) signature(typ uint32) (signature, bool) {
	if uint64(typ) >= uint64(len(m.types)) {
		return signature{}, false
	}
	return m.types[typ], true
}

// wasmReader takes values off the front of b; after the first error every read answers zero.
type wasmReader struct {
	b   []byte
	err error
}

func (r *wasmReader) fail(err error) {
	if r.err == nil {
		r.err, r.b = err, nil
	}
}

func (r *wasmReader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *wasmReader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)) {
		r.fail(errCutShort)
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *wasmReader) u32() uint32 {
	v := r.u64()
	if v > 1<<32-1 {
		r.fail(errors.New("a number has more than 32 bits"))
		return 0
	}
	return uint32(v)
}

func (r *wasmReader) u64() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errCutShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *wasmReader) name() string {
	b := r.take(r.u32())
	if len(b) > maxNameLen || !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		r.fail(fmt.Errorf("a name is not UTF-8 text of at most %d bytes", maxNameLen))
		return ""
	}
	return string(b)
}

// vector calls item for each item of a vector, until it says false or reading fails.
func (r *wasmReader) vector(item func() (more bool)) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		if !item() {
			return
		}
	}
}

func (r *wasmReader) limits() memoryInfo {
	l := memoryInfo{flags: r.u32()}
	l.pages = r.u64()
	if l.flags&limitMax != 0 {
		r.u64()
	}
	return l
}

// table reads a table type; one with an initial value is left to the compiler to refuse.
func (r *wasmReader) table() {
	r.byte()
	if l := r.limits(); l.pages > maxTable {
		r.fail(tooMuch(fmt.Sprintf("a table of %d entries, the limit is %d", l.pages, maxTable)))
	}
}

package rewrite

// module is a parsed module. Pieces share memory with the input.
type module struct {
	limits Options

	types   []signature
	imports [][]byte // as they are encoded
	names   nameSection
	customs [][]byte // "producers" sections, whole content

	importFuncs, importGlobals, importTables uint32
	importsMemory                            bool

	funcs   []uint32 // type of every function, imported ones first
	tables  []table  // imported ones first
	globals []global // imported ones first
	memory  *memory  // nil when imported or absent
	exports []export
	start   int64 // -1 when there is none
	elems   []element
	counted bool // has a data count section
	bodies  []reader
	data    []segment

	constants int // instructions in constant expressions
	elements  int // of all element segments
}

// signature is a function type.
type signature struct{ params, results []ValueType }

type table struct {
	typ      ValueType
	min, max uint32
}

type memory struct {
	min, max uint32
	at       int // offset in the module, for messages
}

type global struct {
	typ     ValueType
	mutable bool
	init    expr
}

type export struct {
	name  []byte
	kind  byte
	index uint32
}

// element is an element segment in pieces that hold no function index, and those that do.
type element struct {
	flags  uint32
	table  uint32
	offset expr
	kind   byte // element kind or reference type, when the flags ask for one
	funcs  []uint32
	exprs  []expr
}

type segment struct {
	passive bool
	offset  expr
	bytes   []byte
	at      int
}

// The kinds of imports and exports.
const (
	kindFunc   = 0
	kindTable  = 1
	kindMemory = 2
	kindGlobal = 3
	kindTag    = 4
)

// The sections' numbers.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag
)

// order is the place of each section in a module; the data count stands before the code.
var order = [...]int{secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 7, secExport: 8, secStart: 9, secElement: 10,
	secDataCount: 11, secCode: 12, secData: 13, secTag: 6}

const preamble = "\x00asm\x01\x00\x00\x00"

// parse reads the sections. Function bodies are only cut out.
func parse(wasm []byte, limits Options) (*module, *Error) {
	if len(wasm) > limits.MaxModuleBytes {
		return nil, refused(-1, "build with -ldflags='-s -w', strip debug information or embed less", "it has %d bytes and %d are allowed", len(wasm), limits.MaxModuleBytes)
	}
	r := &reader{b: wasm}
	if string(r.bytes(min(8, uint32(len(wasm))))) != preamble {
		return nil, refused(0, "build for wasm32-wasip1 or wasm32-unknown-unknown", "this is no core WebAssembly module, version 1")
	}
	m := &module{limits: limits, start: -1}
	last := 0
	for r.more() {
		at := r.at()
		id := r.byte()
		section := r.sized()
		if int(id) >= len(order) {
			return nil, broken(at, "section %d is unknown", id)
		}
		if id != secCustom {
			if order[id] <= last {
				return nil, broken(at, "section %d is out of order or there twice", id)
			}
			last = order[id]
		}
		if err := m.section(id, &section); err != nil {
			return nil, err
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, m.consistent()
}

func (m *module) section(id byte, r *reader) *Error {
	if r.err != nil {
		return r.err
	}
	read := [...]func(*module, *reader){secCustom: (*module).readCustom, secType: (*module).readTypes, secImport: (*module).readImports,
		secFunction: (*module).readFunctions, secTable: (*module).readTables, secMemory: (*module).readMemories, secGlobal: (*module).readGlobals,
		secExport: (*module).readExports, secStart: (*module).readStart, secElement: (*module).readElements, secCode: (*module).readCode,
		secData: (*module).readData, secDataCount: (*module).readDataCount, secTag: (*module).readTags}
	read[id](m, r)
	return r.end("section " + sectionNames[id])
}

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count", "tag"}

// consistent checks what holds between sections and everything later relies on.
func (m *module) consistent() *Error {
	if len(m.bodies) != len(m.funcs)-int(m.importFuncs) {
		return broken(-1, "it declares %d functions and has code for %d", len(m.funcs)-int(m.importFuncs), len(m.bodies))
	}
	if m.start >= int64(len(m.funcs)) {
		return broken(-1, "the start function %d does not exist", m.start)
	}
	if m.start >= 0 { // once it is an export, the compiler does not know that this was to be checked
		if s := m.signature(uint32(m.start)); len(s.params)+len(s.results) > 0 {
			return broken(-1, "the start function %d has parameters or results", m.start)
		}
	}
	for _, e := range m.exports {
		if e.kind == kindFunc && int(e.index) >= len(m.funcs) {
			return broken(-1, "export %q is function %d, which does not exist", e.name, e.index)
		}
	}
	for _, f := range m.constantRefs() {
		if int(f) >= len(m.funcs) {
			return broken(-1, "a constant expression or element segment names function %d, which does not exist", f)
		}
	}
	return nil
}

// constantRefs lists the functions whose reference is taken outside of code.
func (m *module) constantRefs() []uint32 {
	var all []uint32
	for _, g := range m.globals {
		all = g.init.appendRefs(all)
	}
	for _, e := range m.elems {
		all = append(e.offset.appendRefs(all), e.funcs...)
		for _, x := range e.exprs {
			all = x.appendRefs(all)
		}
	}
	return all
}

// signature of a function. Indices are checked where they are read.
func (m *module) signature(fn uint32) signature { return m.types[m.funcs[fn]] }

// memoryBytes is the size the memory starts with, in bytes.
func (m *module) memoryBytes() uint64 {
	if m.memory == nil {
		return 0
	}
	return uint64(m.memory.min) << 16
}

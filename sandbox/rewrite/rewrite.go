// Package rewrite makes an instrumented module out of a guest's module: one in, one out, nothing run. What comes out bills every instruction,
// bounds its native stack and can be put back to its first state from outside:
//
//	fuel     the global evoke_fuel goes down as code runs; below 0 the guest calls evoke_host.yield
//	depth    the global evoke_depth goes down by the size of each frame of a recursion; when one does not fit the guest calls evoke_host.overflow
//	state    mutable globals are exported, active data segments and the start function are taken out
//
// Every opcode is walked. What the sandbox does not run (threads, exceptions, typed references, garbage collection, several memories, 64-bit memories)
// is refused by name with the function it was found in, as is everything beyond the limits of Options.
package rewrite

// Version is that of what Module makes. A change of its output for any input is a new one, because rewritten modules are kept in files.
const Version = 10

// Names the rewritten module uses. A guest that imports or exports a name with one of the reserved prefixes "evoke_" and "evoke." is refused, but
// for the names of the guest ABI.
const (
	// HostModule is the import module of Yield and Overflow, which the host provides.
	HostModule = "evoke_host"
	// Yield is imported as () -> () and called when the fuel global fell below 0. The host adds to the fuel global, which keeps what the guest
	// owes, and returns, or panics to end the guest.
	Yield = "yield"
	// Overflow is imported as () -> () and called when a frame is larger than what the depth global says is left. It must not return. The host
	// sets the depth global back to Options.MaxStackBytes after a guest was ended in the middle.
	Overflow = "overflow"
	// FuelGlobal is exported, an i64, mutable, 0 at the start: the first instruction yields until the host sets it.
	FuelGlobal = "evoke_fuel"
	// DepthGlobal is exported, an i32, mutable, at the start Options.MaxStackBytes.
	DepthGlobal = "evoke_depth"
	// StartExport is the former start function.
	StartExport = "evoke_start"
	// GlobalPrefix begins the export names of the guest's own mutable globals, followed by the index among the module's globals.
	GlobalPrefix = "evoke_g"
)

// Result is a rewritten module and what was taken out of it.
type Result struct {
	Wasm []byte // the module to compile

	Data     []Segment // active data segments in the order in which they are copied; all lie inside MinPages
	Globals  []Global  // the guest's mutable globals, now exported; evoke_fuel and evoke_depth are not among them
	Start    string    // export name of the former start function, "" when there was none
	MinPages uint32    // pages the memory starts with; 0 also when the module has none
	MaxPages uint32    // pages the guest declared as its maximum, 65,536 when it did not; the module itself no longer says so

	// Resettable says that Data, Globals and the memory are all the state an event can change. WhyNot names the first thing that breaks it, in words
	// for users.
	Resettable bool
	WhyNot     string
}

// Segment is bytes that belong into memory before the start function runs.
type Segment struct {
	Offset uint32 // bytes from the start of the memory
	Bytes  []byte // shares memory with the input
}

// Global is an exported mutable global.
type Global struct {
	Name string    // export name
	Type ValueType // a number; modules with mutable references or vectors are not resettable and those are not listed
}

// ValueType is the binary format's code of a value type.
type ValueType byte

// The types of values.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// Module rewrites one module. It keeps wasm in the segments of Result.Data. A non-nil error is an *Error. The input need not be valid: Module neither
// panics nor takes more than a small multiple of the input's size, and what it accepts may still be refused by the compiler's validation.
func Module(wasm []byte, o Options) (*Result, error) {
	result, err := rewrite(wasm, o.withDefaults())
	if err != nil {
		return nil, err
	}
	return result, nil
}

func rewrite(wasm []byte, limits Options) (*Result, *Error) {
	m, err := parse(wasm, limits)
	if err != nil {
		return nil, err
	}
	facts, err := m.gather()
	if err != nil {
		return nil, err
	}
	o, err := m.takeOut(facts.why)
	if err != nil {
		return nil, err
	}
	w := newRewriter(m, facts)
	code, err := w.bodies()
	if err != nil {
		return nil, err
	}
	result := &Result{Wasm: w.encode(code, o), Data: o.data, Globals: o.globals, Start: o.start, MaxPages: maxPages, Resettable: o.why == "", WhyNot: o.why}
	if m.memory != nil {
		result.MinPages, result.MaxPages = m.memory.min, m.memory.max
	}
	return result, nil
}

// bodies writes the guest's functions anew.
func (w *rewriter) bodies() ([]byte, *Error) {
	size := 0
	for _, b := range w.module.bodies {
		size += len(b.b)
	}
	out := make([]byte, 0, size+size/2)
	var b body
	var code []byte
	for i := int(w.importFuncs); i < len(w.funcs); i++ {
		if err := w.decode(i, &b); err != nil {
			return nil, err
		}
		code = w.function(code[:0], &b)
		out = appendName(out, code)
	}
	return out, nil
}

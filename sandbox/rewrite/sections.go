package rewrite

// readTypes reads function types.
func (m *module) readTypes(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		at := r.at()
		if len(m.types) >= m.limits.MaxTypes {
			r.fail(refused(at, adviceLess, "it has more than %d types", m.limits.MaxTypes))
			return
		}
		switch form := r.byte(); form {
		case 0x60:
		case 0x50, 0x4f, 0x4e, 0x5f, 0x5e:
			r.fail(foreignError(at, "garbage collection"))
		default:
			r.fail(broken(at, "type form %#x is unknown", form))
		}
		s := signature{params: m.readResultType(r), results: m.readResultType(r)}
		m.types = append(m.types, s)
	}
}

func (m *module) readResultType(r *reader) []ValueType {
	at, n := r.at(), r.count()
	if n > m.limits.MaxTypeValues {
		r.fail(refused(at, "pass a structure in memory", "a function type has %d parameters or results and %d are allowed", n, m.limits.MaxTypeValues))
		return nil
	}
	var all []ValueType
	for ; n > 0 && r.err == nil; n-- {
		all = append(all, readValueType(r))
	}
	return all
}

func readValueType(r *reader) ValueType {
	at := r.at()
	t := ValueType(r.byte())
	switch t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return t
	case 0x63, 0x64, 0x40: // 0x40 begins a table with a first value
		r.fail(foreignError(at, "typed function references"))
	case 0x69, 0x74:
		r.fail(foreignError(at, "exception handling"))
	case 0x6e, 0x6d, 0x6c, 0x6b, 0x6a, 0x71, 0x72, 0x73:
		r.fail(foreignError(at, "garbage collection"))
	default:
		r.fail(broken(at, "value type %#x is unknown", byte(t)))
	}
	return 0
}

func readRefType(r *reader) ValueType {
	at, t := r.at(), readValueType(r)
	if r.err == nil && t != FuncRef && t != ExternRef {
		r.fail(broken(at, "value type %#x is no reference type", byte(t)))
	}
	return t
}

func (m *module) readTypeIndex(r *reader) uint32 {
	at, i := r.at(), r.u32()
	if r.err == nil && int(i) >= len(m.types) {
		r.fail(broken(at, "type %d does not exist", i))
	}
	return i
}

// readImports keeps the encoded imports and what they define.
func (m *module) readImports(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		at, start := r.at(), r.pos
		from := r.name()
		r.name()
		if reservedName(from) && from != abiModule {
			r.fail(refused(at, "names that begin with evoke_ or evoke. are the runtime's; import from "+abiModule, "it imports from %q", from))
			return
		}
		m.readImport(r)
		m.imports = append(m.imports, r.b[start:r.pos])
	}
	m.importFuncs, m.importTables, m.importGlobals = uint32(len(m.funcs)), uint32(len(m.tables)), uint32(len(m.globals))
}

func (m *module) readImport(r *reader) {
	at := r.at()
	switch kind := r.byte(); kind {
	case kindFunc:
		m.addFunction(r)
	case kindTable:
		m.addTable(r)
	case kindMemory:
		if m.importsMemory {
			r.fail(foreignError(at, "multiple memories"))
		}
		m.importsMemory = true
		m.readMemory(r)
	case kindGlobal:
		m.addGlobal(r)
	case kindTag:
		r.fail(foreignError(at, "exception handling"))
	default:
		r.fail(broken(at, "import kind %#x is unknown", kind))
	}
}

func (m *module) readFunctions(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		m.addFunction(r)
	}
}

func (m *module) addFunction(r *reader) {
	at, t := r.at(), m.readTypeIndex(r)
	if len(m.funcs) >= m.limits.MaxFunctions {
		r.fail(refused(at, adviceLess, "it has more than %d functions", m.limits.MaxFunctions))
	}
	m.funcs = append(m.funcs, t)
}

func (m *module) readTables(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		m.addTable(r)
	}
}

// addTable gives every table a maximum: table.grow takes memory of the host.
func (m *module) addTable(r *reader) {
	at := r.at()
	limit := m.limits.MaxTableElements
	t := table{typ: readRefType(r)}
	low, high, flags := readLimits(r)
	switch {
	case r.err != nil:
	case flags > 1:
		r.fail(foreignError(at, "64-bit or shared tables"))
	case low > limit:
		r.fail(refused(at, "", "a table has %d elements and %d are allowed", low, limit))
	case high < low:
		r.fail(broken(at, "a table's maximum %d is below its size %d", high, low))
	case len(m.tables) >= m.limits.MaxTables:
		r.fail(refused(at, "", "it has more than %d tables", m.limits.MaxTables))
	}
	t.min, t.max = low, min(high, limit)
	m.tables = append(m.tables, t)
}

func readLimits(r *reader) (low, high uint32, flags byte) {
	at := r.at()
	flags = r.byte()
	if flags > 7 {
		r.fail(broken(at, "limits flags %#x are unknown", flags))
		return 0, 0, flags
	}
	if flags&^1 != 0 {
		return 0, 0, flags // refused by the caller, by name
	}
	low, high = r.u32(), ^uint32(0)
	if flags&1 != 0 {
		high = r.u32()
	}
	return low, high, flags
}

func (m *module) readMemories(r *reader) {
	at, n := r.at(), r.count()
	if n > 1 || n == 1 && m.importsMemory {
		r.fail(foreignError(at, "multiple memories"))
		return
	}
	if n == 1 {
		m.memory = m.readMemory(r)
	}
}

func (m *module) readMemory(r *reader) *memory {
	at := r.at()
	low, high, flags := readLimits(r)
	limit := m.limits.MaxMemoryPages
	if flags&1 == 0 {
		high = maxPages
	}
	switch {
	case r.err != nil:
	case flags&4 != 0:
		r.fail(foreignError(at, "64-bit memories"))
	case flags&2 != 0:
		r.fail(foreignError(at, "threads"))
	case high > maxPages || high < low:
		r.fail(broken(at, "a memory of %d to %d pages cannot be", low, high))
	case low > limit:
		r.fail(refused(at, "make the stack or the static data smaller, or raise the function's memory limit", "its memory starts with %d pages of 64 KiB and %d are allowed", low, limit))
	}
	return &memory{min: low, max: high, at: at}
}

func (m *module) readGlobals(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		m.addGlobal(r)
		m.globals[len(m.globals)-1].init = m.readExpr(r)
	}
}

func (m *module) addGlobal(r *reader) {
	at := r.at()
	g := global{typ: readValueType(r)}
	mutable := r.byte()
	if r.err == nil && mutable > 1 {
		r.fail(broken(at, "mutability %#x is unknown", mutable))
	}
	if len(m.globals) >= m.limits.MaxGlobals {
		r.fail(refused(at, "", "it has more than %d globals", m.limits.MaxGlobals))
	}
	g.mutable = mutable == 1
	m.globals = append(m.globals, g)
}

func (m *module) readExports(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		at := r.at()
		if len(m.exports) >= m.limits.MaxExports {
			r.fail(refused(at, adviceLess, "it has more than %d exports", m.limits.MaxExports))
			return
		}
		e := export{name: r.bytes(r.u32()), kind: r.byte(), index: r.u32()}
		if name := string(e.name); reservedName(name) && !abiExport(name) {
			r.fail(refused(at, "rename it: names that begin with evoke_ or evoke. are the runtime's", "it exports %q", name))
		}
		if e.kind > kindGlobal {
			r.fail(foreignError(at, "exception handling"))
		}
		m.exports = append(m.exports, e)
	}
}

func (m *module) readStart(r *reader) { m.start = int64(r.u32()) }

func (m *module) readDataCount(r *reader) {
	r.u32()
	m.counted = true
}

func (m *module) readTags(r *reader) { r.fail(foreignError(r.at(), "exception handling")) }

// readCode cuts the bodies out.
func (m *module) readCode(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		body := r.sized()
		m.bodies = append(m.bodies, body)
	}
}

func (m *module) readData(r *reader) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		at := r.at()
		if len(m.data) >= m.limits.MaxSegments {
			r.fail(refused(at, adviceLess, "it has more than %d data segments", m.limits.MaxSegments))
			return
		}
		var s segment
		switch flags := r.u32(); flags {
		case 0:
			s.offset = m.readExpr(r)
		case 1:
			s.passive = true
		case 2:
			if r.u32() != 0 {
				r.fail(foreignError(at, "multiple memories"))
			}
			s.offset = m.readExpr(r)
		default:
			r.fail(broken(at, "data segment flags %#x are unknown", flags))
		}
		s.bytes, s.at = r.bytes(r.u32()), at
		m.data = append(m.data, s)
	}
}

func foreignError(at int, proposal string) *Error {
	return refused(at, "build without it: for wasm32-wasip1, single-threaded, without experimental target features", "it uses %s, which the sandbox does not run", proposal)
}

package rewrite

import "strconv"

// outside is the state taken out of the module: its data, its mutable globals, its start function.
type outside struct {
	data     []Segment
	keepData bool // the segments stay where they are
	globals  []Global
	indices  []uint32 // of globals
	start    string
	why      string
}

// takeOut finds what an event can change besides memory, and why that is not all when it is not.
func (m *module) takeOut(why string) (*outside, *Error) {
	o := &outside{why: why}
	switch {
	case why != "":
	case m.importsMemory:
		o.why = "it imports its memory"
	case m.importTables > 0:
		o.why = "it imports a table"
	}
	o.takeGlobals(m)
	if m.start >= 0 {
		o.start = StartExport
	}
	if m.importsMemory {
		o.keepData = true
		return o, nil
	}
	return o, o.takeData(m)
}

func (o *outside) takeGlobals(m *module) {
	for i, g := range m.globals {
		switch {
		case !g.mutable:
		case i < int(m.importGlobals):
			o.notResettable("it imports a mutable global")
		case g.typ == V128 || g.typ == FuncRef || g.typ == ExternRef:
			o.notResettable("global " + strconv.Itoa(i) + " is mutable and no number")
		default:
			o.globals = append(o.globals, Global{Name: GlobalPrefix + strconv.Itoa(i), Type: g.typ})
			o.indices = append(o.indices, uint32(i))
		}
	}
}

func (o *outside) notResettable(why string) {
	if o.why == "" {
		o.why = why
	}
}

func (o *outside) takeData(m *module) *Error {
	for i, s := range m.data {
		if s.passive {
			continue
		}
		at, ok := s.offset.constant()
		if !ok {
			o.data, o.keepData = nil, true
			o.notResettable("the place of data segment " + strconv.Itoa(i) + " is no constant")
			return nil
		}
		if uint64(at)+uint64(len(s.bytes)) > m.memoryBytes() {
			return broken(s.at, "data segment %d ends at byte %d and the memory has %d", i, uint64(at)+uint64(len(s.bytes)), m.memoryBytes())
		}
		o.data = append(o.data, Segment{Offset: at, Bytes: s.bytes})
	}
	return nil
}

// dataSection leaves an empty segment in the place of each one taken, so that indices stay. Without a data count no code names segments, and none is
// left.
func (o *outside) dataSection(m *module) (b []byte, n int) {
	if !o.keepData && !m.counted {
		return nil, 0
	}
	for _, s := range m.data {
		switch {
		case s.passive:
			b = appendName(append(b, 1), s.bytes)
		case o.keepData:
			b = appendName(m.appendExpr(append(b, 0), s.offset), s.bytes)
		default:
			b = append(b, 1, 0)
		}
	}
	return b, len(m.data)
}

func (o *outside) exportSection(m *module) (b []byte, n int) {
	put := func(name []byte, kind byte, index uint32) {
		b = appendU(append(appendName(b, name), kind), index)
		n++
	}
	for _, e := range m.exports {
		index := e.index
		if e.kind == kindFunc {
			index = m.shift(index)
		}
		put(e.name, e.kind, index)
	}
	for i, g := range o.globals {
		put([]byte(g.Name), kindGlobal, o.indices[i])
	}
	put([]byte(FuelGlobal), kindGlobal, m.fuelGlobal())
	put([]byte(DepthGlobal), kindGlobal, m.depthGlobal())
	if o.start != "" {
		put([]byte(o.start), kindFunc, m.shift(uint32(m.start)))
	}
	return b, n
}

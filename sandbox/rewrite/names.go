package rewrite

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// abiModule is the import module of the guest ABI, the one reserved name guests import from.
const abiModule = "evoke_v1"

func reservedName(name string) bool {
	return strings.HasPrefix(name, "evoke_") || strings.HasPrefix(name, "evoke.")
}

// abiExport says that the guest ABI gives a reserved name to guests.
func abiExport(name string) bool {
	return name == "evoke_handle" || name == "evoke_init" || name == "evoke_restore"
}

// nameSection is what is kept of a name section: the module's name and those of its functions. Names of locals, labels and others are dropped:
// no trace shows them.
type nameSection struct {
	module []byte
	funcs  []functionName
}

type functionName struct {
	index uint32
	name  []byte
}

// The parts of a name section.
const (
	namesModule = 0
	namesFuncs  = 1
)

// readCustom keeps the name section and "producers". A name section that cannot be read is dropped: it has no meaning for the code.
func (m *module) readCustom(r *reader) {
	content := r.b[r.pos:]
	switch name := r.name(); {
	case r.err != nil:
	case name == "name":
		if names, ok := m.readNames(reader{b: r.b[r.pos:]}); ok {
			m.names = names
		}
		r.pos = len(r.b)
	default:
		if name == "producers" && len(m.customs) == 0 {
			m.customs = append(m.customs, content)
		}
		r.pos = len(r.b)
	}
}

func (m *module) readNames(r reader) (names nameSection, ok bool) {
	for r.more() {
		id := r.byte()
		part := r.sized()
		switch id {
		case namesModule:
			names.module = readable(part.bytes(part.u32()))
		case namesFuncs:
			names.funcs = nil
			for n := part.count(); n > 0 && part.err == nil; n-- {
				f := functionName{part.u32(), part.bytes(part.u32())}
				if k := len(names.funcs); k > 0 && names.funcs[k-1].index >= f.index {
					return nameSection{}, false
				}
				if int(f.index) >= m.limits.MaxFunctions {
					break // there is no such function, nor one with a higher index
				}
				f.name = readable(f.name)
				names.funcs = append(names.funcs, f)
			}
		}
		if part.err != nil {
			return nameSection{}, false
		}
	}
	return names, r.err == nil
}

// maxName bounds a kept name in bytes: a trace of thirty frames repeats it thirty times.
const maxName = 4096

// readable is a name as people and terminals can take it. The engine would refuse the module for a name that is no UTF-8.
func readable(name []byte) []byte {
	name = name[:min(len(name), maxName)]
	if !bytes.ContainsFunc(name, unreadable) {
		return name
	}
	return bytes.Map(func(r rune) rune {
		if unreadable(r) {
			return utf8.RuneError
		}
		return r
	}, name)
}

// unreadable holds for RuneError too, which bytes that are no UTF-8 decode to.
func unreadable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// of finds a function's name, "" when it has none.
func (n *nameSection) of(index int) string {
	for _, f := range n.funcs {
		if int(f.index) == index {
			return string(f.name)
		}
	}
	return ""
}

// appendNames encodes the section with the functions' new indices and the names of those this package added, so that traces can be read.
func (m *module) appendNames(b []byte, added []addedFunc) []byte {
	if len(m.names.funcs) == 0 && len(m.names.module) == 0 {
		return b
	}
	var parts []byte
	if len(m.names.module) > 0 {
		name := appendName(nil, m.names.module)
		parts = appendName(append(parts, namesModule), name)
	}
	var list []byte
	count := 0
	put := func(index uint32, name []byte) {
		list = appendName(appendU(list, index), name)
		count++
	}
	guests := m.names.funcs
	for ; len(guests) > 0 && guests[0].index < m.importFuncs; guests = guests[1:] {
		put(guests[0].index, guests[0].name)
	}
	put(m.importFuncs, []byte(HostModule+"."+Yield))
	put(m.importFuncs+1, []byte(HostModule+"."+Overflow))
	for _, f := range guests {
		if int(f.index) < len(m.funcs) {
			put(m.shift(f.index), f.name)
		}
	}
	for i, f := range added {
		put(m.shift(uint32(len(m.funcs)+i)), []byte(f.name))
	}
	parts = appendName(append(parts, namesFuncs), append(appendU(nil, uint32(count)), list...))
	content := append(appendName(nil, "name"), parts...)
	return appendName(append(b, secCustom), content)
}

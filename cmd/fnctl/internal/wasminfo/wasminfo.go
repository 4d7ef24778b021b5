// Package wasminfo says what a WebAssembly module is and what it imports, without an engine: fnctl has none. What can run, the runtime judges.
package wasminfo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Info is of one module.
type Info struct {
	// Kind is "native" (it exports evoke_handle), "wasi-command" (it exports _start), "component", or "module" for what is neither.
	Kind string
	// Imports are what it imports, "module.name", in its order.
	Imports []string
}

var (
	coreHeader      = []byte("\x00asm\x01\x00\x00\x00")
	componentHeader = []byte("\x00asm\x0d\x00\x01\x00")
	errCutShort     = errors.New("it ends in the middle")
)

// Read reads a module's imports and exports.
func Read(wasm []byte) (Info, error) {
	if bytes.HasPrefix(wasm, componentHeader) {
		return Info{Kind: "component"}, nil
	}
	if !bytes.HasPrefix(wasm, coreHeader) {
		return Info{}, errors.New("it is no WebAssembly")
	}
	info := Info{Kind: "module"}
	r := &reader{b: wasm[len(coreHeader):]}
	for len(r.b) > 0 && r.err == nil {
		id := r.byte()
		section := &reader{b: r.take(r.number())}
		switch id {
		case importSection:
			section.each(func() { info.Imports = append(info.Imports, section.imported()) })
		case exportSection:
			section.each(func() { info.exported(section.exported()) })
		}
		if section.err != nil && r.err == nil {
			r.err = fmt.Errorf("section %d: %w", id, section.err)
		}
	}
	return info, r.err
}

const (
	importSection = 2
	exportSection = 7
)

func (i *Info) exported(name string) {
	switch name {
	case "evoke_handle":
		i.Kind = "native"
	case "_start":
		if i.Kind != "native" {
			i.Kind = "wasi-command"
		}
	}
}

// reader takes values off the front of b; after the first error every read answers nothing.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.b)) {
		r.err, r.b = errCutShort, nil
	}
	if r.err != nil {
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.take(uint64(len(r.b)) + 1) // fails
		return 0
	}
	r.take(uint64(n))
	return v
}

func (r *reader) name() string { return string(r.take(r.number())) }

// each calls item for each one of a list, which cannot be longer than its bytes.
func (r *reader) each(item func()) {
	for n := r.number(); n > 0 && r.err == nil; n-- {
		item()
	}
}

// imported reads an import, of whatever kind, and answers its name.
func (r *reader) imported() string {
	name := r.name() + "." + r.name()
	switch kind := r.byte(); kind {
	case 0: // function
		r.number()
	case 1: // table
		r.byte()
		r.limits()
	case 2: // memory
		r.limits()
	case 3: // global
		r.take(2)
	case 4: // tag
		r.byte()
		r.number()
	default:
		if r.err == nil {
			r.err = fmt.Errorf("an import of the unknown kind %d", kind)
		}
	}
	return name
}

// exported reads an export and answers its name.
func (r *reader) exported() string {
	name := r.name()
	r.byte() // its kind
	r.number()
	return name
}

func (r *reader) limits() {
	flags := r.number()
	r.number()
	if flags&1 != 0 {
		r.number()
	}
}

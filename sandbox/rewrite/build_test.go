package rewrite_test

import (
	"slices"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// wat builds modules: type i is the type of function i, so indirect calls name a function's type by the function.
type wat struct {
	imports []fn
	funcs   []fn
	pages   int // 0 for no memory
	table   []uint32
	extra   []byte // sections put before the code
	tail    []byte // sections put at the end
}

type fn struct {
	name            string // export, or the import's module
	params, results []byte
	locals          []byte
	code            []byte
}

const (
	i32 = byte(rewrite.I32)
	i64 = byte(rewrite.I64)
)

func u(v int) []byte {
	var b []byte
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

func s(v int) []byte {
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

func vec(items ...[]byte) []byte { return append(u(len(items)), slices.Concat(items...)...) }

func text(v string) []byte { return append(u(len(v)), v...) }

func section(id byte, content []byte) []byte {
	if len(content) == 0 || content[0] == 0 && len(content) == 1 {
		return nil
	}
	return slices.Concat([]byte{id}, u(len(content)), content)
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func constI32(v int) []byte { return append([]byte{0x41}, s(v)...) }

func get(local int) []byte { return append([]byte{0x20}, u(local)...) }

func set(local int) []byte { return append([]byte{0x21}, u(local)...) }

func call(f int) []byte { return append([]byte{0x10}, u(f)...) }

func repeat(n int, code ...byte) []byte { return slices.Repeat(code, n) }

// bytes of the module.
func (w wat) bytes() []byte {
	var types, imports, decls, exports, bodies [][]byte
	for _, f := range w.imports {
		imports = append(imports, cat(text(f.name), text("f"), []byte{0}, u(len(types))))
		types = append(types, cat([]byte{0x60}, u(len(f.params)), f.params, u(len(f.results)), f.results))
	}
	for _, f := range w.funcs {
		if f.name != "" {
			exports = append(exports, cat(text(f.name), []byte{0}, u(len(types))))
		}
		decls = append(decls, u(len(types)))
		types = append(types, cat([]byte{0x60}, u(len(f.params)), f.params, u(len(f.results)), f.results))
		var locals [][]byte
		for _, l := range f.locals {
			locals = append(locals, []byte{1, l})
		}
		body := cat(vec(locals...), f.code, []byte{0x0b})
		bodies = append(bodies, cat(u(len(body)), body))
	}
	out := cat([]byte("\x00asm\x01\x00\x00\x00"), section(1, vec(types...)), section(2, vec(imports...)), section(3, vec(decls...)))
	if len(w.table) > 0 {
		out = cat(out, section(4, cat([]byte{1, 0x70, 0}, u(len(w.table)))))
	}
	if w.pages > 0 {
		out = cat(out, section(5, cat([]byte{1, 0}, u(w.pages))))
		exports = append(exports, cat(text("memory"), []byte{2, 0}))
	}
	out = cat(out, section(7, vec(exports...)))
	if len(w.table) > 0 {
		var list [][]byte
		for _, f := range w.table {
			list = append(list, u(int(f)))
		}
		out = cat(out, section(9, cat([]byte{1, 0, 0x41, 0, 0x0b}, vec(list...))))
	}
	return cat(out, w.extra, section(10, vec(bodies...)), w.tail)
}

// fib is the textbook's.
var fib = wat{funcs: []fn{{name: "run", params: []byte{i32}, results: []byte{i32}, code: cat(
	get(0), constI32(2), []byte{0x48, 0x04, 0x40}, get(0), []byte{0x0f, 0x0b},
	get(0), constI32(1), []byte{0x6b}, call(0), get(0), constI32(2), []byte{0x6b}, call(0), []byte{0x6a})}}}

// spin counts its parameter down to 0: 7 instructions a turn.
var spin = wat{funcs: []fn{{name: "run", params: []byte{i32}, results: []byte{i32}, locals: []byte{i32}, code: cat(
	[]byte{0x03, 0x40}, get(1), get(0), []byte{0x73}, set(1), get(0), constI32(1), []byte{0x6b, 0x22, 0, 0x0d, 0, 0x0b}, get(1))}}}

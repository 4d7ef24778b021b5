package wasminfo

import (
	"slices"
	"testing"
)

const (
	head    = "\x00asm\x01\x00\x00\x00"
	imports = "\x02\x2f\x05\x01a\x01f\x00\x00\x01a\x01t\x01\x70\x00\x01\x01a\x01m\x02\x01\x01\x02\x01b\x01g\x03\x7f\x00\x08evoke_v1\x05reply\x00\x00"
)

func export(name string) string {
	return "\x07" + string(rune(4+len(name))) + "\x01" + string(rune(len(name))) + name + "\x00\x00"
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wasm, kind, err string
		imports               []string
	}{
		{name: "empty", wasm: head, kind: "module"},
		{name: "native", wasm: head + imports + export("evoke_handle"), kind: "native", imports: []string{"a.f", "a.t", "a.m", "b.g", "evoke_v1.reply"}},
		{name: "command", wasm: head + "\x00\x01x" + export("_start"), kind: "wasi-command"},
		{name: "component", wasm: "\x00asm\x0d\x00\x01\x00", kind: "component"},
		{name: "script", wasm: "export default 1", err: "it is no WebAssembly"},
		{name: "cut", wasm: head + imports[:20], kind: "module", err: "it ends in the middle"},
		{name: "cut inside of a section", wasm: head + "\x02\x03\x01\x05a", kind: "module", err: "section 2: it ends in the middle"},
		{name: "unknown kind", wasm: head + "\x02\x07\x01\x01a\x01f\x09\x00", kind: "module", err: "section 2: an import of the unknown kind 9"},
	} {
		info, err := Read([]byte(c.wasm))
		said := ""
		if err != nil {
			said = err.Error()
		}
		if said != c.err || info.Kind != c.kind || c.err == "" && !slices.Equal(info.Imports, c.imports) {
			t.Errorf("%s: %+v %v", c.name, info, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(head + imports + export("_start")))
	f.Add([]byte(head + "\x02\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if info, err := Read(wasm); err == nil && (info.Kind == "" || len(info.Imports) > len(wasm)) {
			t.Errorf("%+v", info)
		}
	})
}

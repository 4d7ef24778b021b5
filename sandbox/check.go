package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/evoke-run/evoke/sdk/abi"
)

// Kinds of modules that run.
const (
	KindNative  = "native"       // exports evoke_handle: one call per event
	KindCommand = "wasi-command" // exports _start: a process per event
	KindScript  = "javascript"   // no module but a script, which the runtime's own engine runs
)

const (
	adviceGo     = "for Go build with GOOS=wasip1 GOARCH=wasm and -buildmode=c-shared, or let fnctl deploy build it"
	adviceHandle = "name a handler: evoke::handler!(f) in Rust, evoke.Handle(f) in Go built with GOOS=wasip1 -buildmode=c-shared, an exported evoke_handle in other languages (docs/guests.md); or let fnctl deploy build the source"
	adviceWASI   = "build a core module for WASI preview 1 (Rust: wasm32-wasip1, Go: GOOS=wasip1, C: wasm32-wasi)"
	adviceCore   = "turn the proposal off in the compiler; offered are WebAssembly 2.0, tail calls and extended constant expressions"
	adviceBroken = "build it again: the file may have been cut or changed on its way"
	adviceLess   = "leave out what is not used, as linkers do with --gc-sections"
	adviceMemory = "raise memory: in fn.yaml, or lower the initial memory when linking"
)

// entryPoints are the exports the runtime calls, with their types.
var entryPoints = []struct {
	name string
	sig  signature
}{
	{abi.ExportHandle, signature{nil, []api.ValueType{i32}}},
	{abi.ExportStart, signature{}},
	{abi.ExportInitialize, signature{}},
	{abi.ExportInit, signature{nil, []api.ValueType{i32}}},
	{abi.ExportRestore, signature{}},
}

// check decides whether a module can run and as what. memory is the limit in bytes.
func (r *Runtime) check(wasm []byte, memory int64) (kind string, err error) {
	if err := checkHeader(wasm); err != nil {
		return "", err
	}
	info, err := inspect(wasm)
	var much tooMuch
	if errors.As(err, &much) {
		return "", refuse(adviceLess, "the module has %s", much)
	}
	if err != nil {
		return "", refuse(adviceBroken, "the module is not valid WebAssembly: %v", err)
	}
	if err := info.checkFeatures(); err != nil {
		return "", err
	}
	if err := r.checkImports(info); err != nil {
		return "", err
	}
	if kind, err = info.checkExports(); err != nil {
		return "", err
	}
	return kind, info.checkMemory(memory)
}

func (m *moduleInfo) checkFeatures() error {
	switch {
	case m.gc != "":
		return refuse(adviceCore, "the module uses %s", m.gc)
	case m.tags:
		return refuse(adviceCore, "the module uses exception handling")
	case m.memory == nil:
		return nil
	case m.memory.number > 1:
		return refuse(adviceCore, "the module has %d memories (multi-memory)", m.memory.number)
	case m.memory.flags&limit64 != 0:
		return refuse(adviceCore, "the module has a 64-bit memory (memory64)")
	case m.memory.flags&limitShared != 0:
		return refuse(adviceCore, "the module has a shared memory (threads)")
	}
	return nil
}

// checkImports names every import that is not offered.
func (r *Runtime) checkImports(m *moduleInfo) error {
	var missing []importInfo
	for _, i := range m.imports {
		if i.kind != kindFunc {
			return refuse("let the module define it itself; for memory link without --import-memory",
				"the module imports the %s %s; only functions can be imported", externName(i.kind), i)
		}
		offered, ok := r.imports[i.module][i.name]
		if !ok {
			missing = append(missing, i)
			continue
		}
		if have, ok := m.signature(i.typ); !ok || !have.equal(offered.sig) {
			return refuse("declare the import as docs/abi.md says, or build with a current SDK",
				"the module imports %s.%s as %s; its type is %s", i.module, i.name, have, offered.sig)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	advice := importAdvice(missing[0])
	if i := slices.IndexFunc(missing, func(i importInfo) bool { return i.module == moduleExtism }); i >= 0 {
		return refuse("rebuild it against evoke_v1 with an Evoke SDK", "the module is an Extism plug-in: it imports %s", missing[i])
	}
	return refuse(advice, "the module imports %s, which this runtime does not offer", listImports(missing))
}

func listImports(imports []importInfo) string {
	const most = 5
	var names []string
	for _, i := range imports[:min(len(imports), most)] {
		names = append(names, i.String())
	}
	list := strings.Join(names, ", ")
	if n := len(imports) - most; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return list
}

func (m *moduleInfo) checkExports() (kind string, err error) {
	for _, e := range entryPoints {
		if err := m.checkEntryPoint(e.name, e.sig); err != nil {
			return "", err
		}
	}
	if _, ok := m.export(abi.ExportHandle); ok {
		kind = KindNative
	} else if _, ok := m.export(abi.ExportStart); ok {
		kind = KindCommand
	} else {
		return "", refuse(adviceHandle, "the module exports neither %s nor %s; it exports %s", abi.ExportHandle, abi.ExportStart, m.listExports())
	}
	if e, ok := m.export(abi.ExportMemory); !ok || e.kind != kindMemory {
		return "", refuse("export the memory under that name; compilers for WASI do", "the module does not export a memory named %q; it exports %s", abi.ExportMemory, m.listExports())
	}
	return kind, nil
}

// checkEntryPoint refuses an entry point that is no function, has the wrong type, or is an import handed on: host code must see a guest's memory.
func (m *moduleInfo) checkEntryPoint(name string, want signature) error {
	e, ok := m.export(name)
	if !ok {
		return nil
	}
	if e.kind != kindFunc {
		return refuse("export a function under that name", "the export %s is a %s, not a function", name, externName(e.kind))
	}
	if uint64(e.index) >= uint64(len(m.functions)) {
		return refuse("build it again", "the export %s names function %d, but there are %d", name, e.index, len(m.functions))
	}
	if have, ok := m.signature(m.functions[e.index]); !ok || !have.equal(want) {
		return refuse("see docs/abi.md section 2", "the export %s has the type %s; it must be %s", name, have, want)
	}
	if int(e.index) < m.imported {
		return refuse("export a function of the module itself", "the export %s is an imported function", name)
	}
	return nil
}

func (m *moduleInfo) listExports() string {
	const most = 20
	if len(m.exports) == 0 {
		return "nothing"
	}
	var names []string
	for _, e := range m.exports[:min(len(m.exports), most)] {
		names = append(names, fmt.Sprintf("%.60s", e.name))
	}
	list := strings.Join(names, ", ")
	if n := len(m.exports) - most; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return list
}

func (m *moduleInfo) checkMemory(limit int64) error {
	if m.memory == nil {
		return refuse("let the module define its memory", "the module has no memory of its own")
	}
	if m.memory.pages > uint64(limit/pageSize) {
		return refuseMemory(m.memory.pages, limit)
	}
	return nil
}

func refuseMemory(pages uint64, limit int64) error {
	return refuse(adviceMemory, "the module starts with %s of memory, its limit is %s", formatPages(pages), formatBytes(limit))
}

func formatPages(pages uint64) string {
	if pages > maxMemory/pageSize {
		return fmt.Sprintf("%d pages", pages)
	}
	return formatBytes(int64(pages) * pageSize)
}

func externName(kind byte) string {
	if kind == kindTag {
		return "tag"
	}
	return api.ExternTypeName(kind)
}

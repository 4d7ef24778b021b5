package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/evoke-run/evoke/sdk/abi"
)

// Modules that guests may import from.
const (
	moduleEvoke = abi.Module
	moduleWASI  = "wasi_snapshot_preview1"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// signature is the type of a function.
type signature struct{ params, results []api.ValueType }

func (s signature) equal(o signature) bool {
	return slices.Equal(s.params, o.params) && slices.Equal(s.results, o.results)
}

// String is written as in docs/abi.md: (i32, i32) -> i32.
func (s signature) String() string {
	out := "(" + valueTypes(s.params) + ")"
	switch len(s.results) {
	case 0:
		return out
	case 1:
		return out + " -> " + valueTypes(s.results)
	}
	return out + " -> (" + valueTypes(s.results) + ")"
}

func valueTypes(types []api.ValueType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = api.ValueTypeName(t)
	}
	return strings.Join(names, ", ")
}

// hostFunc is one function offered to guests.
type hostFunc struct {
	name string
	sig  signature
	init bool // may be called before the event, too
	call func(c call, stack []uint64)
}

// call is one call of a host function.
type call struct {
	*invocation
	memory guestMemory
}

// guestMemory is the calling guest's memory as one host function sees it: it traps with that function's name.
type guestMemory struct {
	api.Memory
	function string
}

// bytes returns the guest's own bytes, good until the host function returns. A range outside of memory traps.
func (m guestMemory) bytes(ptr, length uint64) []byte {
	b, ok := m.Read(uint32(ptr), uint32(length))
	if !ok {
		panic(&trapError{fmt.Sprintf("%s: %d bytes at address %d are outside of memory (%d bytes)", m.function, uint32(length), uint32(ptr), m.Size())})
	}
	return b
}

// offer makes a host module of functions. They find the state of their invocation in the context the guest was called with.
func (r *Runtime) offer(ctx context.Context, module string, funcs []hostFunc) error {
	builder := r.engine.NewHostModuleBuilder(module)
	r.imports[module] = make(map[string]hostFunc, len(funcs))
	for _, f := range funcs {
		r.imports[module][f.name] = f
		builder.NewFunctionBuilder().WithGoModuleFunction(f.goFunc(module), f.sig.params, f.sig.results).Export(f.name)
	}
	if _, err := builder.Instantiate(ctx); err != nil {
		return fmt.Errorf("make host module %s: %w", module, err)
	}
	return nil
}

func (f hostFunc) goFunc(module string) api.GoModuleFunc {
	name := module + "." + f.name
	return func(ctx context.Context, guest api.Module, stack []uint64) {
		inv := ctx.(*invocation)
		inv.bill.HostCalls++
		switch {
		case inv.phase == over:
			closed := int64(abi.Closed)
			if len(f.sig.results) == 1 {
				stack[0] = result(f.sig.results[0], closed)
			}
			return
		case inv.phase == initialising && !f.init:
			panic(&trapError{fmt.Sprintf("%s may not be called during %s", name, inv.during)})
		case inv.Err() != nil && inv.over(time.Now()):
			panic(errStopped)
		}
		f.call(call{inv, guestMemory{guest.Memory(), name}}, stack)
	}
}

func result(t api.ValueType, v int64) uint64 {
	if t == i32 {
		return api.EncodeI32(int32(v))
	}
	return api.EncodeI64(v)
}

// params builds a signature's parameters: "iil" is two i32 and an i64.
func params(s string) []api.ValueType {
	types := make([]api.ValueType, len(s))
	for i := range s {
		types[i] = i32
		if s[i] == 'l' {
			types[i] = i64
		}
	}
	return types
}

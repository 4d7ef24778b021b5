package rewrite_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

const quantum = 50_000

var (
	errOverflow = errors.New("stack overflow")
	errKilled   = errors.New("killed")
)

// meter counts what guests do. One meter belongs to one runtime.
type meter struct {
	yields int
	filled int64 // fuel given
	limit  int   // yields until the guest is killed, 0 for none
	debt   int64 // most a guest owed when it came to yield
}

// newRuntime is a runtime with the host functions a rewritten module needs.
func newRuntime(tb testing.TB) (wazero.Runtime, *meter) {
	tb.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesTailCall|experimental.CoreFeaturesExtendedConst))
	tb.Cleanup(func() { _ = rt.Close(ctx) })
	m := &meter{}
	yield := api.GoModuleFunc(func(_ context.Context, mod api.Module, _ []uint64) {
		fuel := mod.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal)
		m.yields, m.debt = m.yields+1, max(m.debt, -int64(fuel.Get()))
		if m.limit > 0 && m.yields > m.limit {
			panic(errKilled)
		}
		m.filled += quantum
		fuel.Set(fuel.Get() + quantum)
	})
	overflow := api.GoModuleFunc(func(context.Context, api.Module, []uint64) { panic(errOverflow) })
	_, err := rt.NewHostModuleBuilder(rewrite.HostModule).
		NewFunctionBuilder().WithGoModuleFunction(yield, nil, nil).Export(rewrite.Yield).
		NewFunctionBuilder().WithGoModuleFunction(overflow, nil, nil).Export(rewrite.Overflow).
		Instantiate(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	return rt, m
}

// instantiate rewrites a module and brings it to life as the sandbox does: memory, data, start.
func instantiate(rt wazero.Runtime, wasm []byte, config wazero.ModuleConfig) (api.Module, error) {
	result, err := rewrite.Module(wasm, rewrite.Options{})
	if err != nil {
		return nil, err
	}
	return result2module(rt, result, config)
}

func result2module(rt wazero.Runtime, result *rewrite.Result, config wazero.ModuleConfig) (api.Module, error) {
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory {
		return &heapMemory{limit: uint64(result.MaxPages) << 16}
	}))
	compiled, err := rt.CompileModule(ctx, result.Wasm) // cached by the runtime
	if err != nil {
		return nil, err
	}
	mod, err := rt.InstantiateModule(ctx, compiled, config)
	if err != nil {
		return nil, err
	}
	for _, d := range result.Data {
		mod.Memory().Write(d.Offset, d.Bytes)
	}
	if result.Start != "" {
		_, err = mod.ExportedFunction(result.Start).Call(ctx)
	}
	return mod, err
}

// heapMemory grows up to a limit.
type heapMemory struct {
	bytes []byte
	limit uint64
}

func (h *heapMemory) Reallocate(size uint64) []byte {
	if size > h.limit {
		return nil
	}
	if n := uint64(len(h.bytes)); size > n {
		h.bytes = append(h.bytes, make([]byte, size-n)...)
	}
	return h.bytes
}

func (h *heapMemory) Free() {}

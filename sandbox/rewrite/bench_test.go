package rewrite_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// BenchmarkOverhead runs tight code as it is and rewritten: what fuel and depth cost at worst.
func BenchmarkOverhead(b *testing.B) {
	for name, c := range map[string]struct {
		module wat
		arg    uint64
	}{"spin": {spin, 10_000_000}, "fib": {fib, 32}} {
		b.Run(name+"/plain", func(b *testing.B) {
			rt, _ := newRuntime(b)
			mod, err := rt.InstantiateWithConfig(context.Background(), c.module.bytes(), wazero.NewModuleConfig())
			benchCall(b, mod, err, c.arg)
		})
		b.Run(name+"/rewritten", func(b *testing.B) {
			rt, _ := newRuntime(b)
			mod, err := instantiate(rt, c.module.bytes(), wazero.NewModuleConfig())
			benchCall(b, mod, err, c.arg)
		})
	}
}

func benchCall(b *testing.B, mod api.Module, err error, arg uint64) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	f, stack := mod.ExportedFunction("run"), make([]uint64, 1)
	for b.Loop() {
		stack[0] = arg
		if err := f.CallWithStack(context.Background(), stack); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGoGuest runs a Go handler: a tight loop over memory, and one that allocates.
func BenchmarkGoGuest(b *testing.B) {
	wasm := goGuest(b)
	result, err := rewrite.Module(wasm, rewrite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		code *rewrite.Result
	}{{"plain", &rewrite.Result{Wasm: wasm, MaxPages: 65536}}, {"rewritten", result}} {
		rt, _ := newRuntime(b)
		host := newFakeHost(b, rt)
		mod, err := result2module(rt, c.code, wazero.NewModuleConfig().WithName("").WithArgs("guest").WithStartFunctions())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := mod.ExportedFunction("_initialize").Call(context.Background()); err != nil {
			b.Fatal(err)
		}
		f, stack := mod.ExportedFunction("evoke_handle"), make([]uint64, 1)
		for _, kind := range []string{"echo", "search", "hide"} {
			b.Run(kind+"/"+c.name, func(b *testing.B) {
				host.kind, host.data = kind, "gnip"
				for b.Loop() {
					host.reply = ""
					if err := f.CallWithStack(context.Background(), stack); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkModule is the time to rewrite a Go program.
func BenchmarkModule(b *testing.B) {
	wasm := goGuest(b)
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rewrite.Module(wasm, rewrite.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

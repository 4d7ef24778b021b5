package rewrite_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// goGuest builds the sandbox's Go guest with the toolchain the tests run with.
func goGuest(tb testing.TB) []byte {
	tb.Helper()
	out := filepath.Join(tb.TempDir(), "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, ".")
	cmd.Dir = filepath.Join("..", "testdata", "guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if msg, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, msg)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	return wasm
}

// fakeHost gives a guest one event and keeps its reply.
type fakeHost struct{ kind, data, reply string }

func newFakeHost(tb testing.TB, rt wazero.Runtime) *fakeHost {
	tb.Helper()
	h := &fakeHost{}
	ctx := context.Background()
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
		tb.Fatal(err)
	}
	part := func(n uint32) string {
		if n == 18 {
			return h.kind
		}
		return h.data
	}
	_, err := rt.NewHostModuleBuilder("evoke_v1").
		NewFunctionBuilder().WithFunc(func(_, p uint32) uint32 { return uint32(len(part(p))) }).Export("event_len").
		NewFunctionBuilder().WithFunc(func(_ context.Context, mod api.Module, _, p, _, ptr, n uint32) uint32 {
		mod.Memory().Write(ptr, []byte(part(p))[:n])
		return n
	}).Export("event_read").
		NewFunctionBuilder().WithFunc(func(_ context.Context, mod api.Module, _, ptr, n uint32) uint32 {
		b, _ := mod.Memory().Read(ptr, n)
		h.reply += string(b)
		return 0
	}).Export("reply").Instantiate(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// validator compiles without running; the interpreter does it fastest.
var validator = sync.OnceValue(func() wazero.Runtime {
	return wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter().
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesTailCall|experimental.CoreFeaturesExtendedConst))
})

func compiles(t *testing.T, wasm []byte) bool {
	t.Helper()
	c, err := validator().CompileModule(context.Background(), wasm)
	if err != nil {
		return false
	}
	_ = c.Close(context.Background())
	return true
}

package sandbox

import (
	"log/slog"
	"testing"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

func BenchmarkInvoke(b *testing.B) {
	for _, c := range []struct {
		name string
		wasm func() []byte
	}{
		{"small", w.Echo},
		{"go", func() []byte { return buildGo(b, "guest", "-buildmode=c-shared") }},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := load(b, c.wasm(), Settings{})
			e := testEvent()
			e.Type = "echo"
			b.ReportAllocs()
			for b.Loop() {
				if res := m.Invoke(b.Context(), e, discard{}); string(res.Data) != "hello" {
					b.Fatal(res.Reason)
				}
			}
		})
	}
}

// discard is a host that keeps nothing.
type discard struct{ *fakeHost }

func (discard) Log(slog.Level, string) {}

package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/unix"

	"github.com/evoke-run/evoke/event"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// discard is a host that keeps nothing.
type discard struct{ *fakeHost }

func (discard) Log(slog.Level, string) {}

func benchEvent() *event.Event {
	return &event.Event{ID: "e1", Source: "/tests", Type: "echo", Data: bytes.Repeat([]byte("x"), 1024)}
}

func benchGuests(b *testing.B) map[string][]byte {
	return map[string][]byte{"small": upper(), "go": buildGo(b, "guest", "-buildmode=c-shared")}
}

// upper is what a small C function does: it reads the data, changes every byte of it in a loop, and replies with it.
func upper() []byte {
	m, i := w.NewGuest()
	m.Memory(66) // what wasi-libc begins with
	const at, data = 1, 0x10000
	return m.Handle(
		w.Call(i.EventRead, 0, int32(abi.PartData), 0, data, 1024), w.LocalSet(0), w.I32Const(data), w.LocalSet(at),
		w.While(
			w.LocalGet(at), w.LocalGet(at), []byte{0x2d, 0, 0}, w.I32Const(1), w.Sub(), []byte{0x3a, 0, 0}, // i32.load8_u, i32.store8
			w.LocalGet(at), w.I32Const(1), w.Add(), w.LocalSet(at), w.LocalGet(at), w.I32Const(data+1024), w.LessU(),
		),
		w.I32Const(int32(abi.ReplyData)), w.I32Const(data), w.LocalGet(0), w.Call(i.Reply), w.Drop(), w.I32Const(0),
	).Bytes()
}

// BenchmarkInvoke is a 1 KiB echo: isolated, in an instance that is never reset, in a new instance of the snapshot, and the naive way.
func BenchmarkInvoke(b *testing.B) {
	for name, wasm := range benchGuests(b) {
		m := load(b, wasm, Settings{})
		e := benchEvent()
		ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
		b.Cleanup(cancel)
		check := func(b *testing.B, reply []byte, err error) {
			if err != nil || len(reply) != 1024 {
				b.Fatal(err, len(reply))
			}
		}
		b.Run(name+"/isolated", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				res := m.Invoke(ctx, e, discard{})
				check(b, res.Data, nil)
			}
		})
		b.Run(name+"/never-reset", func(b *testing.B) {
			i, err := m.current().newInstance(m.current().snapshot.Load())
			if err != nil {
				b.Fatal(err)
			}
			defer m.current().discard(i)
			b.ReportAllocs()
			for b.Loop() {
				i.inv = invocation{}
				i.begin(ctx, delivery{event: e, host: discard{}, started: time.Now()})
				i.inv.phase = handling
				_, err := i.inv.callExport(abi.ExportHandle)
				check(b, i.inv.reply, err)
			}
		})
		b.Run(name+"/new-instance", func(b *testing.B) {
			for b.Loop() {
				i, err := m.current().newInstance(m.current().snapshot.Load())
				if err != nil {
					b.Fatal(err)
				}
				m.current().discard(i)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if res := m.Invoke(ctx, e, discard{}); len(res.Data) != 1024 {
						b.Error(res.Reason)
					}
				}
			})
		})
		b.Run(name+"/naive", func(b *testing.B) { benchNaive(b, wasm, e, check) })
	}
}

// benchNaive instantiates the module as it came, with the engine's own memory.
func benchNaive(b *testing.B, wasm []byte, e *event.Event, check func(*testing.B, []byte, error)) {
	r := newRuntime(b)
	compiled, err := r.compile(b.Context(), "", wasm)
	if err != nil {
		b.Fatal(err)
	}
	m := &program{runtime: r, compiled: compiled, args: []string{"f"}, exports: map[string]bool{}}
	for b.Loop() {
		i := &instance{program: m}
		i.inv = invocation{Context: b.Context(), program: m, instance: i, host: discard{}, first: delivered{event: e}, log: guestLog{host: discard{}}}
		guest, err := r.engine.InstantiateModule(&i.inv, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
		if err != nil {
			b.Fatal(err)
		}
		if init := guest.ExportedFunction(abi.ExportInitialize); init != nil {
			if _, err := init.Call(&i.inv); err != nil {
				b.Fatal(err)
			}
		}
		i.inv.phase = handling
		_, err = guest.ExportedFunction(abi.ExportHandle).Call(&i.inv)
		check(b, i.inv.reply, err)
		if err := guest.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKill is how late after its deadline a guest is ended.
func BenchmarkKill(b *testing.B) {
	for name, wasm := range busy() {
		b.Run(name, func(b *testing.B) {
			m := load(b, wasm, Settings{})
			worst, sum := time.Duration(0), time.Duration(0)
			for b.Loop() {
				ctx, cancel := context.WithTimeout(b.Context(), 20*time.Millisecond)
				res := m.Invoke(ctx, testEvent(), discard{})
				deadline, _ := ctx.Deadline()
				late := time.Since(deadline)
				cancel()
				if res.Class != ClassDeadline {
					b.Fatal(res.Reason)
				}
				worst, sum = max(worst, late), sum+late
			}
			b.ReportMetric(float64(sum.Microseconds())/1000/float64(b.N), "late-ms")
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
		})
	}
}

// BenchmarkIdle is what waiting instances take: of the process's own memory and of the Go heap in it.
func BenchmarkIdle(b *testing.B) {
	for name, wasm := range benchGuests(b) {
		b.Run(name, func(b *testing.B) {
			const count = 200
			m := load(b, wasm, Settings{})
			for b.Loop() {
				rss, heap := ownMemory(b)
				var instances []*instance
				for range count {
					i, err := m.current().newInstance(m.current().snapshot.Load())
					if err != nil {
						b.Fatal(err)
					}
					if res, _, again := i.deliver(within(b, time.Minute), delivery{event: benchEvent(), host: discard{}, started: time.Now()}); !again {
						b.Fatal(res.Reason)
					}
					instances = append(instances, i)
				}
				hotRSS, _ := ownMemory(b)
				for _, i := range instances {
					if err := i.trim(); err != nil {
						b.Fatal(err)
					}
				}
				idleRSS, idleHeap := ownMemory(b)
				b.ReportMetric(float64(hotRSS-rss)/count/1024, "hot-KiB")
				b.ReportMetric(float64(idleRSS-rss)/count/1024, "idle-KiB")
				b.ReportMetric(float64(idleHeap-heap)/count/1024, "heap-KiB")
				for _, i := range instances {
					m.current().discard(i)
				}
			}
		})
	}
}

// ownMemory is the process's anonymous resident memory and its Go heap in use, in bytes.
func ownMemory(b *testing.B) (rss, heap int64) {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				b.Fatal(fmt.Errorf("parse %q: %w", line, err))
			}
			rss = kib * 1024
		}
	}
	return rss, int64(stats.HeapAlloc)
}

// scriptEvent is an order of 330 bytes.
const scriptEvent = `{"id":"order-2026-000123","customer":{"name":"Ada Lovelace","email":"ada@example.com","tier":"gold"},"items":[{"sku":"A-1001","quantity":2,"price":1999},` +
	`{"sku":"B-2002","quantity":1,"price":4950},{"sku":"C-3003","quantity":5,"price":250}],"currency":"EUR","note":"Please deliver in the morning, before ten","paid":true,"total":10198}`

const scriptHandler = `export default function order(event) {
  const o = event.data;
  const total = o.items.reduce((sum, i) => sum + i.quantity * i.price, 0);
  return { id: o.id, customer: o.customer.name, total, discount: o.customer.tier === "gold" ? Math.floor(total / 10) : 0, lines: o.items.length };
}`

// scriptHandlers are what BenchmarkScript runs; bench authoring knows their names.
var scriptHandlers = []struct{ name, text string }{
	{"json", scriptHandler},
	{"async", strings.Replace(scriptHandler, "export default function order(event) {", "export default async function order(event) {\n  await null;", 1)},
	{"one", "export default e => 1"},
}

// BenchmarkScript is handlers in JavaScript, isolated, and in an instance that is never reset. The latter gets a new instance now and then: nothing else frees what
// events have left in the engine.
func BenchmarkScript(b *testing.B) {
	r := newRuntime(b)
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	b.Cleanup(cancel)
	e, host := jsonEvent(scriptEvent), discard{&fakeHost{}}
	for _, h := range scriptHandlers {
		m := loadScript(b, r, h.text, Settings{Function: h.name})
		b.Run(h.name+"/isolated", func(b *testing.B) {
			w := watchCPU(b)
			for b.Loop() {
				if res := m.Invoke(ctx, e, host); len(res.Data) == 0 {
					b.Fatal(res.Reason)
				}
			}
			w.report()
		})
		b.Run(h.name+"/never-reset", func(b *testing.B) {
			const most = 10_000 // events: 20 MiB or so
			p, w := m.current(), watchCPU(b)
			var i *instance
			for n := 0; b.Loop(); n++ {
				if n%most == 0 {
					if i != nil {
						p.discard(i)
					}
					var err error
					if i, err = p.newInstance(p.snapshot.Load()); err != nil {
						b.Fatal(err)
					}
				}
				i.inv = invocation{}
				i.begin(ctx, delivery{event: e, host: host, started: time.Now()})
				if err := i.inv.run(); err != nil || len(i.inv.reply) == 0 {
					b.Fatal(err, i.inv.first.reason)
				}
			}
			w.report()
			p.discard(i)
		})
	}
	m := loadScript(b, r, scriptHandler, Settings{})
	b.Run("deploy", func(b *testing.B) {
		engine, err := m.runtime.scripts(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		p := m.current()
		p.data = engine.data // let go of when its snapshot had been made
		for b.Loop() {
			s, res := p.initialise(ctx, discard{&fakeHost{}})
			if res != nil {
				b.Fatal(res.Reason)
			}
			if err := s.close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// cpuWatch is the processor time of the process. It does not count what neighbours take.
type cpuWatch struct {
	b     *testing.B
	begun time.Duration
}

func watchCPU(b *testing.B) *cpuWatch { return &cpuWatch{b, cpuTime()} }

func (w *cpuWatch) report() {
	w.b.ReportMetric(float64(cpuTime()-w.begun)/float64(w.b.N), "cpu-ns/op")
}

func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // fails for no valid who
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

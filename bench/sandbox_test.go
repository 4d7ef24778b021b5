package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// What the fake of Extism takes for a plug-in, and what it does not.
const (
	fakePlugin   = "plugin.wasm"
	brokenPlugin = "broken.wasm"
)

// fakeExtism answers like bench/peers/extism and handles nothing.
func fakeExtism(plugin string) int {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if plugin == brokenPlugin {
			fmt.Fprintln(os.Stderr, "no such plug-in")
			return 1
		}
		fmt.Println(`{"events":4,"took_ns":2000}`)
	}
	return 0
}

// guest does what testdata/loop does, in a module that compiles at once.
func guest() []byte {
	const data = 0x1000
	i32 := w.I32
	m := w.New()
	read := m.Import(abi.Module, "event_read", []byte{i32, i32, i32, i32, i32}, []byte{i32})
	reply := m.Import(abi.Module, "reply", []byte{i32, i32, i32}, []byte{i32})
	call := m.Import(abi.Module, "call", []byte{i32, i32, i32, i32}, []byte{i32})
	return m.Handle(
		w.Call(read, 0, int32(abi.PartData), 0, data, 2048), w.LocalSet(0),
		w.LocalGet(0), w.I32Const(1), w.Equal(), w.If(w.Call(call, data, 1, data, 0), w.Drop(), w.I32Const(0), w.Return()),
		w.LocalGet(0), w.I32Const(4), w.Equal(), w.If(w.I32Const(0), w.Return()),
		w.I32Const(int32(abi.ReplyData)), w.I32Const(data), w.LocalGet(0), w.Call(reply), w.Drop(), w.I32Const(0),
	).Bytes()
}

// readC reads a module that is checked in.
func readC(t *testing.T, name string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("testdata", "c", name))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// The guests written in Go are replaced, because they take long to compile; the runtime and Extism are the test binary.
func fakeSandbox(t *testing.T) sandboxBuilt {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := guest()
	return sandboxBuilt{
		guests:  guests{loop: g, sdk: g, order: g, c: readC(t, "loop.wasm"), c4m: readC(t, "loop4m.wasm")},
		runtime: self, extism: self, plugin: fakePlugin,
	}
}

func TestSandboxWithTinyNumbers(t *testing.T) {
	t.Parallel()
	needProc(t)
	s, said := quick(t)
	rows, err := s.measureSandbox(t.Context(), fakeSandbox(t))
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows,
		"isolated_go_json", "isolated_go_1k", "isolated_go_sdk_1k", "isolated_c_1k", "isolated_go_vs_naive", "isolated_c_vs_naive", "isolated_c_128k_vs_naive",
		"fuel_go_json", "fuel_spin_c", "throughput_2_workers_go_1k", "throughput_2_workers_go_1k_cpu",
		"extism_pooled_1k", "extism_fresh_1k", "new_instance_go_vs_naive",
		"kill_lateness_loop_ms", "kill_lateness_loop_p50_ms", "kill_lateness_recursion_ms", "kill_lateness_recursion_p50_ms",
		"kill_lateness_sleep_ms", "kill_lateness_sleep_p50_ms", "kill_lateness_fill_ms", "kill_lateness_fill_p50_ms",
		"kill_lateness_straight_ms", "kill_lateness_straight_p50_ms",
		"kill_lateness_yardstick_ms", "kill_lateness_yardstick_p50_ms", "gc_stall_ms", "gc_stall_p50_ms", "gc_pause_ms", "gc_pause_p50_ms",
		"overflow_host_kib", "allocs_per_event", "alloc_bytes_per_event", "idle_go_instance_kib",
		"server_latency_ms", "server_latency_p50_ms", "server_latency_p99_ms", "server_latency_alone_ms",
		"functions_50_go_hot_mib", "functions_50_go_idle_mib", "functions_50_go_first_ms",
	)
	mayBeZero := []string{"throughput_2_workers_go_1k_cpu", "allocs_per_event", "alloc_bytes_per_event", "idle_go_instance_kib"}
	for _, r := range rows {
		if r.Value <= 0 && !slices.Contains(mayBeZero, r.Case) || r.Against != "" && r.AgainstValue != 0 && r.Value > 0 && r.Ratio <= 0 {
			t.Errorf("%+v", r)
		}
		if strings.HasPrefix(r.Case, "kill_") && r.Runs != kills*s.rounds {
			t.Errorf("%s: %d kills", r.Case, r.Runs)
		}
		if strings.HasPrefix(r.Case, "extism_") && r.Value != 0.5 {
			t.Errorf("%s: %v µs for 4 events in 2 µs", r.Case, r.Value)
		}
	}
	if !strings.Contains(said.String(), "deploying 50 Go functions, which takes minutes") {
		t.Errorf("said %q", said)
	}
}

func TestSandboxWithoutExtism(t *testing.T) {
	t.Parallel()
	s, said := quick(t)
	b := fakeSandbox(t)
	b.extism = s.buildOptionalPeer(t.Context(), t.TempDir(), "extism", "the rows of Extism")
	if !strings.Contains(said.String(), "without the rows of Extism, which cannot be built here: go build in ") {
		t.Errorf("said %q", said)
	}
	box, err := s.openBox(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := box.extismCases(t.Context())
	if err := errors.Join(err, box.close()); err != nil || len(cases) != 0 {
		t.Errorf("%d cases, %v", len(cases), err)
	}
}

func TestExtismThatEnds(t *testing.T) {
	t.Parallel()
	e, err := startExtism(fakeSandbox(t).extism, brokenPlugin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.run("pooled", time.Second); err == nil || !strings.Contains(err.Error(), "wait for Extism: EOF") {
		t.Error(err)
	}
	if err := e.close(); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Error(err)
	}
}

// The checked-in modules of C do what their sources say, on our sandbox and on the stock engine.
func TestGuestsOfC(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	x, err := s.openBox(t.Context(), sandboxBuilt{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := x.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"loop.wasm", "loop4m.wasm"} {
		wasm := readC(t, name)
		m, err := x.load(t.Context(), wasm, false)
		if err != nil {
			t.Fatal(err)
		}
		if res := m.Invoke(t.Context(), benchEvent([]byte("HAL")), silent{}); string(res.Data) != "IBM" {
			t.Errorf("%s: %q (%s)", name, res.Data, res.Reason)
		}
		fuel := func(spins uint32) int64 {
			return m.Invoke(t.Context(), benchEvent(spinData(spins)), silent{}).Bill.Fuel
		}
		if few, many := fuel(1), fuel(1001); many < few+1000 {
			t.Errorf("%s: fuel %d, then %d", name, few, many)
		}
		theirs, err := x.stock.load(t.Context(), wasm)
		if err != nil {
			t.Fatal(err)
		}
		for way, handle := range map[string]subject{"fresh": theirs.fresh(t.Context(), []byte("HAL")), "kept": theirs.kept(t.Context(), []byte("HAL"))} {
			if err := handle(); err != nil || string(x.stock.reply) != "IBM" {
				t.Errorf("%s, %s: %q, %v", name, way, x.stock.reply, err)
			}
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	if b := orderData(); !json.Valid(b) || len(b) < 900 || len(b) > 1100 {
		t.Errorf("%d bytes: %s", len(b), b)
	}
}

// Variants work alike, and have nothing in common that a cache could share.
func TestVariants(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	x, err := s.openBox(t.Context(), sandboxBuilt{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := x.close(); err != nil {
			t.Error(err)
		}
	}()
	wasm := guest()
	wasm = wasm[:bytes.LastIndex(wasm, []byte("\x04name"))-2] // built without names, as Go's are
	for n := range 2 {
		m, err := x.load(t.Context(), variant(wasm, n), false)
		if err != nil {
			t.Fatal(err)
		}
		if res := m.Invoke(t.Context(), benchEvent([]byte("hello")), silent{}); string(res.Data) != "hello" {
			t.Errorf("%+v", res)
		}
	}
	code, err := filepath.Glob(filepath.Join(s.dir, "code", "wazero-*", "*"))
	if err != nil || len(code) != 2 {
		t.Errorf("compiled %d times, want 2: %v", len(code), err)
	}
}

func TestBesideSaysNothingOfZero(t *testing.T) {
	t.Parallel()
	if r := beside(row{Value: 3}, "x", 0); r.Ratio != 0 || r.Against != "x" {
		t.Errorf("%+v", r)
	}
	if r := beside(row{Value: 3}, "x", 2); r.Ratio != 1.5 {
		t.Errorf("%+v", r)
	}
}

func TestWorst(t *testing.T) {
	t.Parallel()
	rows := worstAndMedian("late", []time.Duration{time.Millisecond, 9 * time.Millisecond, 2 * time.Millisecond}, 3)
	want := []row{
		{Case: "late_ms", Value: 9, Unit: "ms", Against: "target", AgainstValue: 3, Ratio: 3, Runs: 3},
		{Case: "late_p50_ms", Value: 2, Unit: "ms", Runs: 3},
	}
	if !slices.Equal(rows, want) {
		t.Errorf("\n got %+v\nwant %+v", rows, want)
	}
}

// BenchmarkIsolated is for profiles: go test ./bench -run '^$' -bench Isolated/go_1k/isolated -cpuprofile cpu.prof
func BenchmarkIsolated(b *testing.B) {
	root, err := sources(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	s := &session{dir: b.TempDir(), rounds: 1, slice: time.Second, idle: time.Second, limit: time.Hour, say: b.Logf}
	x, err := s.openBox(b.Context(), sandboxBuilt{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := x.close(); err != nil {
			b.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	b.Cleanup(cancel)
	for name, g := range map[string]struct {
		folder string
		data   []byte
	}{"go_1k": {"loop", loopData()}, "go_sdk_1k": {"sdkloop", loopData()}, "go_json": {"order", orderData()}} {
		wasm := buildForTest(b, filepath.Join(root, "bench", "testdata", g.folder))
		for way, kept := range map[string]bool{"isolated": false, "never_reset": true} {
			b.Run(name+"/"+way, func(b *testing.B) {
				m, err := x.load(ctx, wasm, kept)
				if err != nil {
					b.Fatal(err)
				}
				one := invoke(ctx, m, g.data)
				b.ReportAllocs()
				for b.Loop() {
					if err := one(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func buildForTest(b *testing.B, dir string) []byte {
	out := filepath.Join(b.TempDir(), "guest.wasm")
	if err := buildGuest(b.Context(), dir, out); err != nil {
		b.Fatal(err)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		b.Fatal(err)
	}
	return wasm
}

package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// compileCommand makes this test's binary the compiler of runtimes that want a process for it.
const compileCommand = "compile-module"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == compileCommand {
		os.Exit(RunCompiler(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	var err error
	if sharedCode, err = os.MkdirTemp("", "evoke-sandbox-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(sharedCode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

// sharedCode has the code of all tests that have no directory of their own: the engine of scripts is compiled once, which was most of the time of a run under the race detector.
var sharedCode string

// fakeHost allows what its fields say and remembers what it was told.
type fakeHost struct {
	allowEmit func(topic string) bool
	call      func(ctx context.Context, op string, request []byte) (int32, []byte)
	begin     func(op string, request []byte) func(context.Context, func(int) bool) (int32, []byte)
	yield     func(ctx context.Context, fuel int64)
	outside   func(ctx context.Context, fuel int64)
	lines     []string
	tried     int // before
}

func (h *fakeHost) AllowEmit(topic string) bool { return h.allowEmit == nil || h.allowEmit(topic) }

func (h *fakeHost) Call(ctx context.Context, op string, request []byte) (int32, []byte) {
	if h.call == nil {
		return 404, nil
	}
	return h.call(ctx, op, request)
}

func (h *fakeHost) Begin(op string, request []byte) func(context.Context, func(int) bool) (int32, []byte) {
	if h.begin == nil {
		return nil
	}
	return h.begin(op, request)
}

func (h *fakeHost) Attempt(ev int) int { return h.tried + ev + 1 }

func (h *fakeHost) Log(level slog.Level, message string) {
	h.lines = append(h.lines, level.String()+" "+message)
}

func (h *fakeHost) Yield(ctx context.Context, fuel int64) {
	if h.yield != nil {
		h.yield(ctx, fuel)
	}
}

func (h *fakeHost) Outside(ctx context.Context, fuel int64, wait func()) {
	if h.outside != nil {
		h.outside(ctx, fuel)
	}
	wait()
}

func newRuntime(t testing.TB) *Runtime {
	t.Helper()
	r, err := New(t.Context(), Options{CacheDir: sharedCode, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func load(t testing.TB, wasm []byte, s Settings) *Module {
	t.Helper()
	if s.Function == "" {
		s.Function = "test"
	}
	m, err := newRuntime(t).Load(t.Context(), wasm, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func invoke(t testing.TB, wasm []byte, e *event.Event, h Host) Result {
	t.Helper()
	return load(t, wasm, Settings{}).Invoke(t.Context(), e, h)
}

func testEvent() *event.Event {
	return &event.Event{ID: "e1", Source: "/tests", Type: "dev.test", DataContentType: "text/plain", Data: []byte("hello")}
}

// within returns a context that ends after d, which tests choose so short that the guest has no chance.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// probe is a guest that replies with the results of the calls it makes.
type probe struct {
	*wasmtest.Module
	wasmtest.Imports
	code [][]byte
	want []int32
}

const (
	probeResults = 0x100   // where results are kept, 4 bytes each
	probeText    = 0x1000  // where strings are kept
	probeSpace   = 0x10000 // free for the guest, up to its 34 pages
	outside      = 34 * 64 << 10
)

func newProbe() *probe {
	m, i := wasmtest.NewGuest()
	m.Memory(34)
	return &probe{Module: m, Imports: i}
}

// text puts a string into memory and returns its address and length.
func (p *probe) text(at int32, s string) (ptr, length int32) {
	p.Data(uint32(probeText+at), []byte(s))
	return probeText + at, int32(len(s))
}

// run adds code without a result.
func (p *probe) run(code ...[]byte) { p.code = append(p.code, code...) }

// expect adds code that leaves an i32, and what it should be.
func (p *probe) expect(want int32, code ...[]byte) {
	p.code = append(p.code, wasmtest.I32Const(int32(probeResults+4*len(p.want))))
	p.code = append(p.code, code...)
	p.code = append(p.code, wasmtest.Store())
	p.want = append(p.want, want)
}

// check runs the guest and compares the results.
func (p *probe) check(t *testing.T, s Settings, e *event.Event, h Host) Result {
	t.Helper()
	p.code = append(p.code, wasmtest.Call(p.Reply, abi.ReplyData, probeResults, int32(4*len(p.want))), wasmtest.Drop(), wasmtest.I32Const(0))
	res := load(t, p.Handle(p.code...).Bytes(), s).Invoke(t.Context(), e, h)
	if res.Class != "" {
		t.Fatalf("%s: %s", res.Class, res.Reason)
	}
	got := make([]int32, len(p.want))
	tail := res.Data[len(res.Data)-4*len(p.want):]
	if _, err := binary.Decode(tail, binary.LittleEndian, got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, p.want) {
		t.Errorf("results\n got %v\nwant %v", got, p.want)
	}
	res.Data = res.Data[:len(res.Data)-len(tail)]
	return res
}

func TestEcho(t *testing.T) {
	t.Parallel()
	m := load(t, wasmtest.Echo(), Settings{})
	if m.Kind() != KindNative {
		t.Errorf("kind %q", m.Kind())
	}
	for range 3 {
		res := m.Invoke(t.Context(), testEvent(), &fakeHost{})
		if res.Verdict != abi.Done || res.Class != "" || res.Reason != "" || string(res.Data) != "hello" || res.Attributes != nil || res.RetryAfter != -1 {
			t.Fatalf("%+v", res)
		}
		b := res.Bill
		if b.BytesIn != 5 || b.BytesOut != 5 || b.HostCalls != 2 || b.PeakMemory != 32*pageSize || b.Wall <= 0 {
			t.Errorf("bill %+v", b)
		}
	}
}

func TestInstancesShareNothing(t *testing.T) {
	t.Parallel()
	// Adds one to a number in memory and replies with it.
	m, i := wasmtest.NewGuest()
	m.Handle(
		wasmtest.I32Const(0), wasmtest.I32Const(0), wasmtest.Load(), wasmtest.I32Const(1), wasmtest.Add(), wasmtest.Store(),
		wasmtest.Call(i.Reply, abi.ReplyData, 0, 4), wasmtest.Drop(), wasmtest.I32Const(0),
	)
	module := load(t, m.Bytes(), Settings{})
	for range 3 {
		if res := module.Invoke(t.Context(), testEvent(), &fakeHost{}); !bytes.Equal(res.Data, []byte{1, 0, 0, 0}) {
			t.Fatalf("% x (%s)", res.Data, res.Reason)
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		wasm  []byte
		want  Result
		attrs string
	}{
		{"done", wasmtest.Returns(0), Result{RetryAfter: -1}, ""},
		{"failed", wasmtest.Returns(1), Result{Verdict: abi.Failed, Class: ClassError, Reason: "the function returned 1 and gave no reason", RetryAfter: -1}, ""},
		{"rejected", wasmtest.Returns(2), Result{Verdict: abi.Rejected, Class: ClassRejected, Reason: "the function rejected the event and gave no reason", RetryAfter: -1}, ""},
		{"unknown number", wasmtest.Returns(7), Result{Verdict: abi.Failed, Class: ClassError, Reason: "the function returned 7 and gave no reason", RetryAfter: -1}, ""},
		{"negative number", wasmtest.Returns(-1), Result{Verdict: abi.Failed, Class: ClassError, Reason: "the function returned -1 and gave no reason", RetryAfter: -1}, ""},
		{"says failed", wasmtest.Says(abi.Failed, 1500, "card declined"), Result{Verdict: abi.Failed, Class: ClassError, Reason: "card declined", RetryAfter: 1500 * time.Millisecond}, ""},
		{"says failed, at once", wasmtest.Says(abi.Failed, 0, "again"), Result{Verdict: abi.Failed, Class: ClassError, Reason: "again", RetryAfter: 0}, ""},
		{"says rejected", wasmtest.Says(abi.Rejected, -1, "no such order"), Result{Verdict: abi.Rejected, Class: ClassRejected, Reason: "no such order", RetryAfter: -1}, ""},
		{"says done", wasmtest.Says(abi.Done, -1, "fine"), Result{RetryAfter: -1}, ""},
		{"says failed, far away", wasmtest.Says(abi.Failed, 1<<62, "x"), Result{Verdict: abi.Failed, Class: ClassError, Reason: "x", RetryAfter: time.Duration(1<<63-1) / time.Millisecond * time.Millisecond}, ""},
		{"bad UTF-8 in the reason", wasmtest.Says(abi.Failed, -1, "a\xffb"), Result{Verdict: abi.Failed, Class: ClassError, Reason: "a\uFFFDb", RetryAfter: -1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := invoke(t, c.wasm, testEvent(), &fakeHost{})
			got.Bill = Bill{}
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

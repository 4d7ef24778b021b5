package sandbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestTraps(t *testing.T) {
	t.Parallel()
	nested := w.New()
	inner := nested.Unexported("main.crash", nil, nil, 0, w.Unreachable())
	outer := nested.Unexported("main.(*order).handle", []byte{w.I32, w.I64}, []byte{w.I32}, 0, w.Call(inner), w.I32Const(0))
	nested.Handle(w.I32Const(1), w.I64Const(2), w.Call(outer))

	recursion := w.New()
	self := recursion.Next()
	recursion.Unexported("down", []byte{w.I32}, []byte{w.I32}, 0, w.LocalGet(0), w.I32Const(1), w.Add(), w.Call(self), w.I32Const(1), w.Add())
	recursion.Handle(w.I32Const(0), w.Call(self))

	loop := w.New() // 40 calls deep: the engine lists the innermost 30
	deep := loop.Next()
	loop.Unexported("deep", []byte{w.I32}, nil, 0, w.LocalGet(0), w.I32Const(1), w.Sub(), w.LocalSet(0), w.LocalGet(0), w.If(w.LocalGet(0), w.Call(deep)), w.Unreachable())
	loop.Handle(w.Call(deep, 40), w.I32Const(0))

	nameless := w.New()
	nameless.Handle(w.Call(nameless.Unexported("$7", nil, nil, 0, w.Unreachable())), w.I32Const(0))

	afterSayingDone, i := w.NewGuest()
	afterSayingDone.Handle(w.I32Const(0), w.I32Const(0), w.I64Const(-1), w.I32Const(0), w.I32Const(0), w.Call(i.Verdict), w.Drop(), w.Unreachable())

	const why = "no handler"
	says, calls := w.NewGuest()
	says.Data(64, []byte(why))
	says.Func(abi.ExportInit, nil, []byte{w.I32}, 0, w.Call(calls.Log, abi.LevelError, 64, int32(len(why))), w.I32Const(1))
	says.Handle(w.I32Const(0))

	for _, c := range []struct {
		name, class, reason string
		wasm                []byte
	}{
		{"unreachable", ClassTrap, "unreachable in evoke_handle", w.Traps()},
		{"function names", ClassTrap, "unreachable in main.crash < main.(*order).handle < evoke_handle", nested.Bytes()},
		{"many of one name", ClassTrap, "unreachable in deep (30 times)", loop.Bytes()},
		{"nameless function", ClassTrap, "unreachable in evoke_handle", nameless.Bytes()},
		{"outside of memory", ClassTrap, "out of bounds memory access in evoke_handle", w.New().Handle(w.I32Const(1<<16), w.Load()).Bytes()},
		{"recursion", ClassTrap, "stack overflow in down (29 times)", recursion.Bytes()},
		{"whatever it said before", ClassTrap, "unreachable in evoke_handle", afterSayingDone.Bytes()},
		{"evoke_init says no", ClassInit, "evoke_init returned 3", withInit(w.I32Const(3))},
		{"evoke_init says no, and why", ClassInit, "evoke_init returned 1: no handler", says.Bytes()},
		{"evoke_init traps", ClassInit, "evoke_init: unreachable in evoke_init", withInit(w.Unreachable())},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := load(t, c.wasm, Settings{})
			for range 2 { // and the next event is not harmed
				res := m.Invoke(t.Context(), testEvent(), &fakeHost{})
				if res.Verdict != abi.Failed || res.Class != c.class || res.Reason != c.reason || res.RetryAfter != -1 {
					t.Errorf("%+v", res)
				}
			}
		})
	}
}

func withInit(code ...[]byte) []byte {
	m := w.New()
	m.Func(abi.ExportInit, nil, []byte{w.I32}, 0, code...)
	return m.Handle(w.I32Const(0)).Bytes()
}

func TestLongTracesAreCut(t *testing.T) {
	t.Parallel()
	m := w.New()
	f := m.Unexported(strings.Repeat("x", 3000), nil, nil, 0, w.Unreachable())
	res := invoke(t, m.Handle(w.Call(f), w.I32Const(0)).Bytes(), testEvent(), &fakeHost{})
	if res.Class != ClassTrap || len(res.Reason) != maxTrapText {
		t.Errorf("%s, %d bytes", res.Class, len(res.Reason))
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	inInit := w.New()
	inInit.Func(abi.ExportInitialize, nil, nil, 0, w.Forever())
	busy, i := w.NewGuest()
	busy.Handle(w.Forever(w.Call(i.EventCount), w.Drop()), w.Unreachable())
	start := w.New()
	start.Start(start.Unexported("begin", nil, nil, 0, w.Forever()))
	for _, c := range []struct {
		name, reason string
		wasm         []byte
	}{
		{"loop", "did not finish within 1s", w.Loops()},
		{"loop of host calls", "did not finish within 1s", busy.Bytes()},
		{"loop in _initialize", "did not finish within 1s (in _initialize)", inInit.Handle(w.I32Const(0)).Bytes()},
		{"loop in start", "did not finish within 1s (in the start function)", start.Handle(w.I32Const(0)).Bytes()},
		{"sleep", "did not finish within 1s", sleeper(time.Hour)},
		{"blocked host", "did not finish within 1s", w.Calls("slow", "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := &fakeHost{call: func(ctx context.Context, _ string, _ []byte) (int32, []byte) { <-ctx.Done(); return 504, nil }}
			m := load(t, c.wasm, Settings{InitTimeout: time.Second})
			res := m.Invoke(within(t, time.Second), testEvent(), h)
			if res.Verdict != abi.Failed || res.Class != ClassDeadline || res.Reason != c.reason {
				t.Errorf("%s %q", res.Class, res.Reason)
			}
			if res.Bill.Wall < 900*time.Millisecond {
				t.Errorf("ended after %s", res.Bill.Wall)
			}
		})
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	for name, wasm := range map[string][]byte{"host call": w.Calls("op", ""), "loop": w.Loops(), "before": w.Echo()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h := &fakeHost{call: func(context.Context, string, []byte) (int32, []byte) { cancel(); return 200, nil }}
			m := load(t, wasm, Settings{})
			switch name {
			case "before":
				cancel()
			case "loop":
				stop := time.AfterFunc(10*time.Millisecond, cancel)
				defer stop.Stop()
			}
			if res := m.Invoke(ctx, testEvent(), h); res.Class != ClassCanceled || !strings.HasPrefix(res.Reason, "canceled before it finished") {
				t.Errorf("%s %q", res.Class, res.Reason)
			}
		})
	}
}

func TestRoundTimeout(t *testing.T) {
	t.Parallel()
	for in, want := range map[time.Duration]string{
		29999600 * time.Microsecond: "30s", 30 * time.Second: "30s", 1499 * time.Millisecond: "1.5s", 49990 * time.Microsecond: "50ms",
		5 * time.Minute: "5m0s", -time.Second: "-1s", 400 * time.Microsecond: "400µs", 99 * time.Millisecond: "100ms", 0: "0s",
	} {
		if got := roundTimeout(in).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	// Grows page by page and traps when it gets no more, as allocators do.
	hog := w.New().Handle(w.While(w.I32Const(1), w.MemoryGrow(), w.I32Const(1), w.Add()), w.Unreachable()).Bytes()
	// Finds out that there is no more and goes on.
	polite := w.New().Handle(w.While(w.I32Const(1), w.MemoryGrow(), w.I32Const(1), w.Add()), w.I32Const(0)).Bytes()
	whole := w.New().Handle(w.I32Const(15), w.MemoryGrow(), w.I32Const(1), w.Sub()).Bytes()
	s := Settings{Memory: 1<<20 + 100}
	res := load(t, hog, s).Invoke(t.Context(), testEvent(), &fakeHost{})
	if want := "wanted more memory than its limit of 1Mi and then died: unreachable in evoke_handle"; res.Class != ClassMemory || res.Reason != want {
		t.Errorf("%s %q", res.Class, res.Reason)
	}
	if res.Bill.PeakMemory != 1<<20 {
		t.Errorf("peak %d", res.Bill.PeakMemory)
	}
	for name, wasm := range map[string][]byte{"polite": polite, "whole": whole} {
		if res := load(t, wasm, s).Invoke(t.Context(), testEvent(), &fakeHost{}); res.Verdict != abi.Done || res.Bill.PeakMemory != 1<<20 {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

func TestHostPanicsDoNotEndTheProcess(t *testing.T) {
	t.Parallel()
	var none []int
	for name, f := range map[string]func(){
		"text": func() { panic("boom") }, "error": func() { panic(errors.New("wasm error: unreachable")) }, "runtime error": func() { _ = none[len(none)] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &fakeHost{call: func(context.Context, string, []byte) (int32, []byte) { f(); return 200, nil }}
			res := invoke(t, w.Calls("op", ""), testEvent(), h)
			if want := "the sandbox failed; the runtime's log has the details"; res.Class != ClassInternal || res.Reason != want {
				t.Errorf("%s %q", res.Class, res.Reason)
			}
		})
	}
	t.Run("no event", func(t *testing.T) {
		t.Parallel()
		if res := invoke(t, w.Echo(), nil, &fakeHost{}); res.Class != ClassInternal || res.Bill.Wall == 0 {
			t.Errorf("%+v", res)
		}
	})
}

func TestConcurrentInvocations(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	var modules []*Module
	for _, wasm := range [][]byte{w.Echo(), w.Traps(), w.Returns(1), w.Loops(), w.Echo()} { // the same bytes twice
		m, err := r.Load(t.Context(), wasm, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, m)
	}
	want := []string{"", ClassTrap, ClassError, ClassDeadline, ""}
	results := make(chan []string)
	for range 8 {
		go func() {
			var got []string
			for _, m := range modules {
				ctx := t.Context()
				if m == modules[3] {
					ctx = within(t, 10*time.Millisecond)
				}
				got = append(got, m.Invoke(ctx, testEvent(), &fakeHost{}).Class)
			}
			results <- got
		}()
	}
	for range 8 {
		if got := <-results; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	}
	if err := modules[0].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := modules[4].Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "hello" {
		t.Errorf("after closing its twin: %+v", res)
	}
}

func FuzzCutText(f *testing.F) {
	f.Add("héllo", 2)
	f.Add("\xff\xff\x80\x80\x80", 3)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = max(0, n%100)
		if got := cutText(s, n); len(got) > n || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q", got)
		}
	})
}

package sandbox

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

// busy are guests that do not end by themselves for a long time, each in another way.
func busy() map[string][]byte {
	fib := w.New()
	self := fib.Next()
	fib.Unexported("fib", []byte{w.I32}, []byte{w.I32}, 0,
		w.LocalGet(0), w.I32Const(2), w.LessU(), w.If(w.I32Const(1), w.Return()),
		w.LocalGet(0), w.I32Const(1), w.Sub(), w.Call(self), w.LocalGet(0), w.I32Const(2), w.Sub(), w.Call(self), w.Add())
	fill := w.New()
	fill.Memory(1000)
	leaf := w.New()
	body := slices.Repeat(slices.Concat(w.I32Const(0), w.I32Const(0), w.Load(), w.I32Const(1), w.Add(), w.Store()), 2000)
	straight := leaf.Unexported("straight", nil, nil, 0, body)
	return map[string][]byte{
		"loop":      w.Loops(),
		"recursion": fib.Handle(w.Call(self, 60)).Bytes(),
		"fill": fill.Handle(slices.Repeat(slices.Concat(w.I32Const(0), w.I32Const(1), w.I32Const(1000*pageSize-1), w.MemoryFill()), 2000),
			w.I32Const(0)).Bytes(),
		"straight": leaf.Handle(slices.Repeat(w.Call(straight), 10_000), w.I32Const(0)).Bytes(),
		"sleep":    sleeper(time.Hour),
	}
}

func TestKilledAtTheDeadline(t *testing.T) {
	t.Parallel()
	for name, wasm := range busy() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := load(t, wasm, Settings{})
			for range 2 {
				res := m.Invoke(within(t, 20*time.Millisecond), testEvent(), &fakeHost{})
				if res.Class != ClassDeadline {
					t.Errorf("%s %q", res.Class, res.Reason)
				}
				if asleep := name == "sleep"; res.Bill.Guest > res.Bill.Wall || asleep != (res.Bill.Fuel < quantum) || asleep && res.Bill.Guest == res.Bill.Wall {
					t.Errorf("bill %+v", res.Bill)
				}
				if err := waiting(t, m).clean(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// The same work costs the same, whatever ran before.
func TestFuelIsExact(t *testing.T) {
	t.Parallel()
	count := func(n int32) []byte {
		return w.New().Handle(w.While(w.LocalGet(0), w.I32Const(1), w.Add(), w.LocalSet(0), w.LocalGet(0), w.I32Const(n), w.LessU()), w.I32Const(0)).Bytes()
	}
	r := newRuntime(t)
	fuel := func(wasm []byte) int64 {
		m, err := r.Load(t.Context(), wasm, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		first := m.Invoke(t.Context(), testEvent(), &fakeHost{}).Bill.Fuel
		for range 3 {
			if again := m.Invoke(t.Context(), testEvent(), &fakeHost{}).Bill.Fuel; again != first {
				t.Errorf("%d, then %d", first, again)
			}
		}
		return first
	}
	one, thousand, million := fuel(count(1)), fuel(count(1000)), fuel(count(1_000_000))
	if one <= 0 || (million-one)/(thousand-one) != 999_999/999 {
		t.Errorf("1: %d, 1000: %d, 1000000: %d", one, thousand, million)
	}
}

// A guest in a loop stops neither the garbage collector nor a goroutine on the only processor.
func TestGuestsGiveWay(t *testing.T) {
	t.Parallel()
	m := load(t, w.Loops(), Settings{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan Result)
	guests := 2 * runtime.GOMAXPROCS(0)
	for range guests {
		go func() { done <- m.Invoke(ctx, testEvent(), &fakeHost{}) }()
	}
	runtime.GC()
	cancel()
	for range guests {
		if res := <-done; res.Class != ClassCanceled {
			t.Errorf("%+v", res)
		}
	}
}

// A guest that has run on for a turn lets others run more often from then on.
func TestGuestsThatRunOnGiveWayMoreOften(t *testing.T) {
	t.Parallel()
	m := load(t, w.Echo(), Settings{})
	m.Invoke(t.Context(), testEvent(), &fakeHost{})
	i := waiting(t, m)
	i.begin(within(t, time.Minute), delivery{event: testEvent(), host: &fakeHost{}, started: time.Now()})
	inv := &i.inv
	inv.turn = time.Now().Add(time.Minute) // it has only begun, however slow this machine is
	if inv.breathe(); inv.patience != turn || inv.outside != 0 {
		t.Errorf("at first: %v, %v outside", inv.patience, inv.outside)
	}
	inv.turn = time.Now().Add(-turn)
	if inv.breathe(); inv.patience != shortTurn || inv.outside == 0 {
		t.Errorf("after a turn: %v, %v outside", inv.patience, inv.outside)
	}
	if err := i.reset(); err != nil {
		t.Error(err)
	}
}

func TestDeadlineInThePast(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	m := load(t, w.Echo(), Settings{})
	if res := m.Invoke(ctx, testEvent(), &fakeHost{}); res.Class != ClassDeadline || res.Reason != "the deadline had passed before it started" {
		t.Errorf("%+v", res)
	}
}

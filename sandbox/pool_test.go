package sandbox

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

func TestPoolIsLastInFirstOut(t *testing.T) {
	t.Parallel()
	p := newPool(10, 0)
	if p.take() != nil {
		t.Error("an instance from nowhere")
	}
	now := time.Now()
	list := []*instance{{}, {}, {}}
	for n, i := range list {
		p.put(i, now.Add(time.Duration(n)*time.Second))
	}
	cold := p.takeUntrimmed(now.Add(1500 * time.Millisecond))
	if len(cold) != 2 || cold[0] != list[0] || cold[1] != list[1] {
		t.Fatalf("cold %v", cold)
	}
	for _, i := range cold {
		i.trimmed = true
	}
	if left := p.putCold(cold); len(left) != 0 {
		t.Errorf("%d not kept", len(left))
	}
	if again := p.takeUntrimmed(now.Add(1500 * time.Millisecond)); len(again) != 0 {
		t.Error("trimmed twice")
	}
	if old := p.takeIdle(now.Add(500 * time.Millisecond)); len(old) != 1 || old[0] != list[0] {
		t.Errorf("old %v", old)
	}
	if a, b := p.take(), p.take(); a != list[2] || b != list[1] || b.trimmed {
		t.Error("not the warmest first")
	}
	p.put(list[0], now)
	if rest := p.close(); len(rest) != 1 || rest[0] != list[0] || p.put(list[1], now) || len(p.putCold(list[1:])) != 2 {
		t.Error("a closed pool keeps instances")
	}
}

// What was taken out for trimming may find its place taken.
func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	p := newPool(2, 0)
	list := []*instance{{}, {}, {}}
	now := time.Now()
	p.put(list[0], now)
	p.put(list[1], now.Add(time.Second))
	cold := p.takeUntrimmed(now.Add(time.Minute))
	p.put(list[2], now.Add(time.Minute))
	if left := p.putCold(cold); len(left) != 1 || left[0] != list[0] {
		t.Errorf("left %v", left)
	}
	if p.put(list[0], now) {
		t.Error("a full pool keeps an instance")
	}
	if p.take() != list[2] || p.take() != list[1] || p.take() != nil {
		t.Error("not the warmest two")
	}
}

// trimmed says it of all waiting instances.
func trimmed(m *Module) bool {
	m.current().pool.mu.Lock()
	defer m.current().pool.mu.Unlock()
	return !slices.ContainsFunc(m.current().pool.idle, func(i *instance) bool { return !i.trimmed })
}

// Instances wait, give their memory back, and end, with nobody asking.
func TestIdleInstancesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := New(t.Context(), Options{short: func() bool { return false }})
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.Load(t.Context(), w.Echo(), Settings{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "hello" {
				t.Fatalf("%+v", res)
			}
			time.Sleep(trimAfter / 2)
			if trimmed(m) {
				t.Error("trimmed at once")
			}
			time.Sleep(2 * trimAfter)
			synctest.Wait()
			if !trimmed(m) {
				t.Error("not trimmed")
			}
		}
		time.Sleep(closeAfter + trimAfter)
		synctest.Wait()
		if n := waitingCount(m); n != 0 {
			t.Errorf("%d instances wait for ever", n)
		}
		if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); string(res.Data) != "hello" {
			t.Errorf("%+v", res)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestEventsWaitForAnInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := New(t.Context(), Options{short: func() bool { return false }})
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.Load(t.Context(), w.Calls("op", ""), Settings{Instances: 1})
		if err != nil {
			t.Fatal(err)
		}
		inside, leave := make(chan struct{}), make(chan struct{})
		first := make(chan Result)
		h := &fakeHost{call: func(context.Context, string, []byte) (int32, []byte) { inside <- struct{}{}; <-leave; return 200, nil }}
		go func() { first <- m.Invoke(t.Context(), testEvent(), h) }()
		<-inside

		if res := m.Invoke(within(t, 100*time.Millisecond), testEvent(), &fakeHost{}); res.Class != ClassDeadline || res.Reason != "waited 100ms for an instance: so many events of the function were running" {
			t.Errorf("%+v", res)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if res := m.Invoke(ctx, testEvent(), &fakeHost{}); res.Class != ClassCanceled || res.Reason != "canceled while it waited for an instance" {
			t.Errorf("%+v", res)
		}
		second := make(chan Result)
		go func() { second <- m.Invoke(t.Context(), testEvent(), &fakeHost{}) }()
		close(leave)
		for _, c := range []chan Result{first, second} {
			if res := <-c; res.Class != "" {
				t.Errorf("%+v", res)
			}
		}
		if n := waitingCount(m); n != 1 {
			t.Errorf("%d instances", n)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Events that run while their module is closed end undisturbed, and leave nothing behind.
func TestCloseWhileAnEventRuns(t *testing.T) {
	t.Parallel()
	m := load(t, w.Calls("op", "x"), Settings{})
	p := m.current()
	h := &fakeHost{}
	h.call = func(context.Context, string, []byte) (int32, []byte) {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		return 200, []byte("answer")
	}
	if res := m.Invoke(t.Context(), testEvent(), h); string(res.Data) != "\xc8\x00\x00\x00answer" {
		t.Errorf("%+v", res)
	}
	if len(p.pool.idle) != 0 || p.snapshot.Load().image.Bytes() != nil || m.current() != nil {
		t.Error("something is left")
	}
	if res := m.Invoke(t.Context(), testEvent(), h); res.Class != ClassInternal || res.Reason != "the runtime cannot load the module; its log has the details" {
		t.Errorf("after Close: %+v", res)
	}
}

// Time is the test's here and stands still while a guest runs, so all that passes is the waiting.
func TestWaitingIsNotTheGuestsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := New(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.Load(t.Context(), w.Echo(), Settings{Instances: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.current().pool.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		const held = 300 * time.Millisecond
		time.AfterFunc(held, m.current().pool.leave)
		if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); res.Bill.Guest != 0 || res.Bill.Wall != held {
			t.Errorf("%+v", res.Bill)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

package sandbox

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// slowHost runs the operations "slow…" in the background: slow is asked for each.
type slowHost struct {
	fakeHost
	slow    func(ctx context.Context, op string, reserve func(int) bool) (int32, []byte)
	waits   chan struct{} // closed when the guest has waited without a processor
	running atomic.Int32
}

func newSlowHost(slow func(ctx context.Context, op string, reserve func(int) bool) (int32, []byte)) *slowHost {
	h := &slowHost{slow: slow, waits: make(chan struct{})}
	var once sync.Once
	h.begin = func(op string, _ []byte) func(context.Context, func(int) bool) (int32, []byte) {
		if !strings.HasPrefix(op, "slow") {
			return nil
		}
		return func(ctx context.Context, reserve func(int) bool) (int32, []byte) {
			h.running.Add(1)
			defer h.running.Add(-1)
			return h.slow(ctx, op, reserve)
		}
	}
	h.outside = func(context.Context, int64) { once.Do(func() { close(h.waits) }) }
	return h
}

// until waits for a channel or the end.
func until(ctx context.Context, done <-chan struct{}) (int32, []byte) {
	select {
	case <-done:
		return 200, []byte("done")
	case <-ctx.Done():
		return 499, nil
	}
}

func waitFor(p *probe, handle int32, ms int64) []byte {
	return slices.Concat(w.I32Const(handle), w.I64Const(ms), w.Call(p.CallWait))
}

func high(code []byte) []byte { return slices.Concat(code, w.I64Const(32), []byte{0x88}, w.WrapI64()) } // i64.shr_u

// Two calls that need each other, and a guest that waits for them without a processor, come to their end.
func TestSlowCallsRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	var both sync.WaitGroup
	both.Add(2)
	met := make(chan struct{})
	go func() { both.Wait(); close(met) }()
	var h *slowHost
	h = newSlowHost(func(ctx context.Context, op string, _ func(int) bool) (int32, []byte) {
		both.Done()
		status, _ := until(ctx, met)
		if status == 200 {
			status, _ = until(ctx, h.waits)
		}
		return status, []byte(op)
	})
	p := newProbe()
	one, n := p.text(0, "slow.1")
	two, _ := p.text(0x40, "slow.22")
	p.expect(1, w.Call(p.Call, one, n, 0, 0))
	p.expect(2, w.Call(p.Call, two, n+1, 0, 0))
	p.expect(200, waitFor(p, 2, -1), w.WrapI64())
	p.expect(7, w.Call(p.CallLen, 2))
	p.expect(7, w.Call(p.CallRead, 2, 0, probeSpace, 100))
	p.expect(0, w.Call(p.Reply, abi.ReplyData, probeSpace, 7))
	p.expect(1, high(waitFor(p, -1, -1))) // 2 was named already
	p.expect(0, w.Call(p.CallClose, 1))
	if res := p.check(t, Settings{}, testEvent(), h); string(res.Data) != "slow.22" || res.Bill.BytesIn != 7 {
		t.Errorf("%q, %+v", res.Data, res.Bill)
	}
}

func TestWaitsForSlowCalls(t *testing.T) {
	t.Parallel()
	let := map[string]chan struct{}{"slow.1": make(chan struct{}), "slow.2": make(chan struct{})}
	h := newSlowHost(func(ctx context.Context, op string, _ func(int) bool) (int32, []byte) { return until(ctx, let[op]) })
	h.call = func(_ context.Context, op string, _ []byte) (int32, []byte) {
		close(let["slow."+strings.TrimPrefix(op, "let.")])
		return 204, nil
	}
	p := newProbe()
	one, n := p.text(0, "slow.1")
	two, _ := p.text(0x20, "slow.2")
	let1, l := p.text(0x40, "let.1")
	let2, _ := p.text(0x60, "let.2")
	p.expect(1, w.Call(p.Call, one, n, 0, 0))
	p.expect(2, w.Call(p.Call, two, n, 0, 0))
	p.expect(abi.Absent, waitFor(p, 1, 0), w.WrapI64())
	p.expect(abi.Absent, high(waitFor(p, 1, 0))) // −1 in all 64 bits
	p.expect(abi.Absent, waitFor(p, 1, 3), w.WrapI64())
	p.expect(abi.Absent, waitFor(p, -1, 3), w.WrapI64())
	p.expect(abi.Absent, w.Call(p.CallLen, 1))
	p.expect(abi.Absent, w.Call(p.CallRead, 1, 0, probeSpace, 10))
	p.expect(3, w.Call(p.Call, let2, l, 0, 0)) // takes no time: it has its answer
	p.expect(3, high(waitFor(p, -1, -1)))
	p.expect(2, high(waitFor(p, -1, -1)))
	p.expect(200, waitFor(p, 2, 1<<62), w.WrapI64())
	p.expect(abi.Absent, waitFor(p, -1, 1), w.WrapI64()) // 1 runs, the others are named
	p.expect(4, w.Call(p.Call, let1, l, 0, 0))
	p.expect(200, waitFor(p, 1, 60_000), w.WrapI64())
	p.expect(4, w.Call(p.CallLen, 1))
	p.expect(abi.Invalid, waitFor(p, 9, -1), w.WrapI64())
	p.check(t, Settings{}, testEvent(), h)
}

func TestClosingASlowCallCancelsIt(t *testing.T) {
	t.Parallel()
	var canceled atomic.Int32
	h := newSlowHost(func(ctx context.Context, _ string, _ func(int) bool) (int32, []byte) {
		<-ctx.Done()
		canceled.Add(1)
		return 499, nil
	})
	h.call = func(context.Context, string, []byte) (int32, []byte) { return canceled.Load(), nil }
	p := newProbe()
	slow, n := p.text(0, "slow")
	count, l := p.text(0x20, "count")
	p.run(w.While(w.Call(p.Call, slow, n, 0, 0), w.LocalSet(0), w.LocalGet(0), w.I32Const(abi.MaxCalls), w.LessU()))
	p.expect(abi.TooLarge, w.Call(p.Call, slow, n, 0, 0))
	p.expect(0, w.Call(p.CallClose, 7))
	p.expect(abi.Invalid, w.Call(p.CallClose, 7))
	p.expect(abi.MaxCalls+1, w.Call(p.Call, count, l, 0, 0))
	p.expect(1, waitFor(p, abi.MaxCalls+1, 0), w.WrapI64())
	p.check(t, Settings{}, testEvent(), h)
	if n := canceled.Load(); n != abi.MaxCalls || h.running.Load() != 0 { // those that the guest left open, too
		t.Errorf("%d canceled, %d still run", n, h.running.Load())
	}
}

// A guest that waits for ever ends at its deadline, and nothing of it goes on.
func TestDeadlineEndsSlowCalls(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]int32{"one": 1, "any": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newSlowHost(func(ctx context.Context, _ string, _ func(int) bool) (int32, []byte) { return until(ctx, nil) })
			m, i := w.NewGuest()
			m.Data(0, []byte("slow"))
			m.Handle(w.Call(i.Call, 0, 4, 0, 0), w.Drop(), w.I32Const(handle), w.I64Const(-1), w.Call(i.CallWait), w.WrapI64())
			module := load(t, m.Bytes(), Settings{})
			for range 2 { // the instance survives
				res := module.Invoke(within(t, 50*time.Millisecond), testEvent(), h)
				if res.Class != ClassDeadline || h.running.Load() != 0 {
					t.Errorf("%s: %s; %d still run", res.Class, res.Reason, h.running.Load())
				}
			}
		})
	}
}

func TestAnswersCountAgainstTheMemory(t *testing.T) {
	t.Parallel()
	answer := make([]byte, 16*pageSize)
	h := newSlowHost(func(_ context.Context, _ string, reserve func(int) bool) (int32, []byte) {
		if !reserve(len(answer)) {
			return abi.StatusTooLarge, nil
		}
		return 200, answer
	})
	p := newProbe() // it has 34 pages
	slow, n := p.text(0, "slow")
	for handle := range int32(2) {
		p.expect(handle+1, w.Call(p.Call, slow, n, 0, 0))
		p.expect(200, waitFor(p, handle+1, -1), w.WrapI64())
	}
	p.expect(3, w.Call(p.Call, slow, n, 0, 0))
	p.expect(abi.StatusTooLarge, waitFor(p, 3, -1), w.WrapI64())
	p.expect(0, w.Call(p.CallClose, 1))
	p.expect(4, w.Call(p.Call, slow, n, 0, 0))
	p.expect(200, waitFor(p, 4, -1), w.WrapI64())
	p.check(t, Settings{Memory: 66 * pageSize}, testEvent(), h)
}

func TestSlowCallThatPanics(t *testing.T) {
	t.Parallel()
	h := newSlowHost(func(context.Context, string, func(int) bool) (int32, []byte) { panic("a bug") })
	res := load(t, w.Calls("slow", ""), Settings{}).Invoke(t.Context(), testEvent(), h)
	if len(res.Data) < 4 || res.Data[0] != byte(abi.StatusInternal&0xff) || string(res.Data[4:]) != "the capability failed; the runtime's log has the details" {
		t.Errorf("% x (%s)", res.Data, res.Reason)
	}
}

// TestSlowCallHammer leaves calls open in every state, for the race detector.
func TestSlowCallHammer(t *testing.T) {
	t.Parallel()
	h := newSlowHost(func(ctx context.Context, op string, reserve func(int) bool) (int32, []byte) {
		if op == "slow.long" {
			return until(ctx, nil)
		}
		reserve(10)
		return 200, []byte("0123456789")
	})
	m, i := w.NewGuest()
	m.Data(0, []byte("slow.long"))
	m.Data(16, []byte("slow.fast"))
	var code [][]byte
	for range 10 {
		code = append(code, w.Call(i.Call, 0, 9, 0, 0), w.Drop(), w.Call(i.Call, 16, 9, 0, 0), w.Drop())
	}
	for n := range int32(5) {
		code = append(code, w.I32Const(-1), w.I64Const(1), w.Call(i.CallWait), w.Drop(), w.Call(i.CallClose, 2*n+1), w.Drop(), w.Call(i.CallRead, 2*n+2, 0, 0x100, 5), w.Drop())
	}
	m.Handle(append(code, w.I32Const(0))...)
	module := load(t, m.Bytes(), Settings{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if res := module.Invoke(t.Context(), testEvent(), h); res.Class != "" {
					t.Errorf("%s: %s", res.Class, res.Reason)
				}
			}
		})
	}
	wg.Wait()
	if n := h.running.Load(); n != 0 {
		t.Errorf("%d still run", n)
	}
}

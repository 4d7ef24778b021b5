package sandbox

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	p := newProbe()
	get, n := p.text(0, "state.get")
	key, k := p.text(0x40, "a-key")
	any := func(handle int32) []byte {
		return slices.Concat(w.I32Const(handle), w.I64Const(-1), w.Call(p.CallWait))
	}
	high := func(code []byte) []byte { return slices.Concat(code, w.I64Const(32), []byte{0x88}, w.WrapI64()) } // i64.shr_u

	p.expect(abi.Invalid, any(-1), w.WrapI64())
	p.expect(1, w.Call(p.Call, get, n, key, k))
	p.expect(2, w.Call(p.Call, get, n, key, k-1))
	p.expect(200, any(1), w.WrapI64())
	p.expect(2, high(any(-1))) // 1 was named already
	p.expect(1, high(any(-1))) // nothing new: the oldest
	p.expect(abi.Invalid, any(3), w.WrapI64())
	p.expect(abi.Invalid, any(-2), w.WrapI64())
	p.expect(k, w.Call(p.CallLen, 1))
	p.expect(k-1, w.Call(p.CallLen, 2))
	p.expect(2, w.Call(p.CallRead, 1, 3, probeSpace, 100))
	p.expect(0, w.Call(p.CallRead, 1, k, probeSpace, 100))
	p.expect(0, w.Call(p.CallRead, 1, -1, probeSpace, 100))
	p.expect(0, w.Call(p.Reply, abi.ReplyData, probeSpace, 2))
	p.expect(0, w.Call(p.CallClose, 1))
	for _, handle := range []int32{1, 0, 3, -1} {
		p.expect(abi.Invalid, w.Call(p.CallClose, handle))
		p.expect(abi.Invalid, w.Call(p.CallLen, handle))
		p.expect(abi.Invalid, w.Call(p.CallRead, handle, 0, probeSpace, 100))
	}
	p.expect(3, w.Call(p.Call, get, n, key, k)) // handles are not used again
	p.expect(abi.TooLarge, w.Call(p.Call, get, n, probeSpace, abi.MaxRequest+1))

	h := &fakeHost{call: func(_ context.Context, op string, request []byte) (int32, []byte) { return 200, bytes.ToUpper(request) }}
	if res := p.check(t, Settings{}, testEvent(), h); string(res.Data) != "EY" {
		t.Errorf("%q", res.Data)
	}
}

// A guest may have gigabytes of memory. What is refused because of its size is not copied before.
func TestRefusedRequestsAreNotCopied(t *testing.T) { //nolint:paralleltest // it looks at what the process allocates
	const size, times = 32 << 20, 20
	p := newProbe()
	p.Memory(34 + size>>16)
	get, n := p.text(0, "state.get")
	for range times {
		p.expect(abi.TooLarge, w.Call(p.Call, get, n, probeSpace, size))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.check(t, Settings{}, testEvent(), &fakeHost{})
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > times*size/2 {
		t.Errorf("%d bytes were allocated", got)
	}
}

func TestCallStorm(t *testing.T) {
	t.Parallel()
	p := newProbe()
	op, n := p.text(0, "invoke")
	p.run(w.While(w.Call(p.Call, op, n, 0, 0), w.LocalSet(0), w.LocalGet(0), w.I32Const(abi.MaxCalls), w.LessU()))
	p.expect(abi.TooLarge, w.Call(p.Call, op, n, 0, 0))
	p.expect(0, w.Call(p.CallClose, 7))
	p.expect(abi.MaxCalls+1, w.Call(p.Call, op, n, 0, 0))
	p.expect(abi.TooLarge, w.Call(p.Call, op, n, 0, 0))
	calls := 0
	p.check(t, Settings{}, testEvent(), &fakeHost{call: func(context.Context, string, []byte) (int32, []byte) { calls++; return 404, nil }})
	if calls != abi.MaxCalls+1 {
		t.Errorf("%d calls reached the host", calls)
	}
}

func TestConfigGetAndUnknownOperations(t *testing.T) {
	t.Parallel()
	env := Settings{Env: map[string]string{"CURRENCY": "EUR"}}
	long := strings.Repeat("x", 100)
	for _, c := range []struct {
		op, request string
		status      byte // low byte
		answer      string
	}{
		{"config.get", "CURRENCY", 200, "EUR"}, {"config.get", "currency", 404 & 0xff, ""}, {"config.get", "", 404 & 0xff, ""},
		{"no.such", "", 404 & 0xff, ""}, {"", "", 404 & 0xff, ""}, {long, "", 404 & 0xff, ""}, {"a\xff", "", 404 & 0xff, ""},
	} {
		res := load(t, w.Calls(c.op, c.request), env).Invoke(t.Context(), testEvent(), &fakeHost{})
		if len(res.Data) < 4 || res.Data[0] != c.status || string(res.Data[4:]) != c.answer {
			t.Errorf("%.20s %s: % x (%s)", c.op, c.request, res.Data, res.Reason)
		}
	}
}

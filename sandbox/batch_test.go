package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func batchOf(datas ...string) []*event.Event {
	out := make([]*event.Event, len(datas))
	for i, d := range datas {
		out[i] = &event.Event{ID: fmt.Sprint("e", i), Source: "/tests", Type: "dev.test", Data: []byte(d)}
	}
	return out
}

// said is what became of each event of a batch.
func said(r Result) string {
	var out []string
	for _, one := range append([]Result{r}, r.More...) {
		out = append(out, strings.TrimSpace(fmt.Sprint(one.Class, " ", one.Reason, " ", one.RetryAfter)))
	}
	return strings.Join(out, ", ")
}

// A guest reads each event of a batch by its number, and one that is not there is −4.
func TestEventsOfABatch(t *testing.T) {
	t.Parallel()
	p := newProbe()
	p.expect(3, w.Call(p.EventCount))
	p.expect(1, w.Call(p.EventLen, 0, int32(abi.PartData)))
	p.expect(2, w.Call(p.EventLen, 1, int32(abi.PartData)))
	p.expect(abi.Absent, w.Call(p.EventLen, 1, int32(abi.PartSubject)))
	p.expect(abi.Invalid, w.Call(p.EventLen, 3, int32(abi.PartData)))
	p.expect(abi.Invalid, w.Call(p.EventLen, -1, int32(abi.PartData)))
	p.expect(abi.Invalid, w.Call(p.EventRead, 3, int32(abi.PartData), 0, probeSpace, 8))
	p.expect(3, w.Call(p.EventRead, 2, int32(abi.PartData), 0, probeSpace, 8))
	p.expect(1, w.Call(p.EventLen, 0, int32(abi.PartData))) // again, after others
	verdict := func(ev int32) []byte {
		return append(append(w.I32Const(ev), w.I32Const(0)...), append(w.I64Const(-1), append(w.I32Const(0), append(w.I32Const(0), w.Call(p.Verdict)...)...)...)...)
	}
	p.expect(abi.Invalid, verdict(3))
	p.expect(abi.Invalid, verdict(-2))
	p.expect(0, verdict(2))
	p.code = append(p.code, w.Call(p.Reply, abi.ReplyData, probeSpace, 3), w.Drop())
	p.code = append(p.code, w.Call(p.Reply, abi.ReplyData, probeResults, int32(4*len(p.want))), w.Drop(), w.I32Const(0))
	res := load(t, p.Handle(p.code...).Bytes(), Settings{}).InvokeBatch(t.Context(), batchOf("a", "bb", "ccc"), &fakeHost{})
	if res.Class != "" || string(res.Data[:3]) != "ccc" || len(res.More) != 2 {
		t.Fatalf("%+v", res)
	}
	for i, want := range p.want {
		if got := int32(uint32(res.Data[3+4*i]) | uint32(res.Data[4+4*i])<<8 | uint32(res.Data[5+4*i])<<16 | uint32(res.Data[6+4*i])<<24); got != want {
			t.Errorf("call %d: %d, want %d", i, got, want)
		}
	}
}

// Each event has its own verdict, and what the guest emitted is only there when all are done.
func TestVerdictsOfABatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verdicts map[int32]abi.Verdict // by event; -1 = all; set in the order of the numbers
		returned int32
		want     string
		emitted  int
	}{
		"all done":            {nil, 0, "-1ns, -1ns, -1ns", 1},
		"returned for all":    {nil, 2, strings.Repeat(", rejected the function rejected the event and gave no reason -1ns", 3)[2:], 0},
		"one failed":          {map[int32]abi.Verdict{1: abi.Failed}, 0, "-1ns, error no luck 2s, -1ns", 0},
		"the first rejected":  {map[int32]abi.Verdict{0: abi.Rejected}, 0, "rejected no luck -1ns, -1ns, -1ns", 0},
		"all, then one":       {map[int32]abi.Verdict{-1: abi.Failed, 2: abi.Done}, 0, "error no luck 2s, error no luck 2s, -1ns", 0},
		"named beat returned": {map[int32]abi.Verdict{0: abi.Done, 1: abi.Done, 2: abi.Done}, 1, "-1ns, -1ns, -1ns", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProbe()
			topic, n := p.text(0, "orders")
			body, m := p.text(0x100, `{"type":"t"}`)
			reason, k := p.text(0x200, "no luck")
			p.run(w.Call(p.Emit, topic, n, body, m), w.Drop())
			for ev := int32(-1); ev < 3; ev++ {
				if v, ok := tc.verdicts[ev]; ok {
					p.run(w.I32Const(ev), w.I32Const(int32(v)), w.I64Const(2000), w.I32Const(reason), w.I32Const(k), w.Call(p.Verdict), w.Drop())
				}
			}
			p.run(w.I32Const(tc.returned))
			res := load(t, p.Handle(p.code...).Bytes(), Settings{}).InvokeBatch(t.Context(), batchOf("a", "b", "c"), &fakeHost{})
			if got := said(res); got != tc.want || len(res.Emitted) != tc.emitted || res.Dropped != 1-tc.emitted {
				t.Errorf("%q, %d emitted and %d dropped, want %q and %d of 1", got, len(res.Emitted), res.Dropped, tc.want, tc.emitted)
			}
		})
	}
}

// What ends the guest early is the end of all its events.
func TestBatchThatEndsEarly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		wasm  []byte
		class string
	}{
		"trap":     {w.Traps(), ClassTrap},
		"deadline": {w.Loops(), ClassDeadline},
	} {
		res := load(t, tc.wasm, Settings{}).InvokeBatch(within(t, 50*time.Millisecond), batchOf("a", "b"), &fakeHost{})
		if len(res.More) != 1 || res.Class != tc.class || res.More[0].Class != tc.class || res.More[0].Verdict != abi.Failed || res.More[0].Reason != res.Reason || res.More[0].RetryAfter != -1 {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

func TestBatchForACommandIsRefused(t *testing.T) {
	t.Parallel()
	res := load(t, command("hi", ""), Settings{}).InvokeBatch(t.Context(), batchOf("a", "b"), &fakeHost{})
	if res.Class != ClassInternal || !strings.Contains(res.Reason, "one event at a time") || len(res.More) != 1 {
		t.Errorf("%+v", res)
	}
}

func TestBatchOfOneIsOneEvent(t *testing.T) {
	t.Parallel()
	res := load(t, w.Echo(), Settings{}).InvokeBatch(t.Context(), batchOf("alone"), &fakeHost{})
	if res.Verdict != abi.Done || string(res.Data) != "alone" || len(res.More) != 0 {
		t.Errorf("%+v", res)
	}
}

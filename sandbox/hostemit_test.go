package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestEmit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, topic, body string
		want              int32
		log               string
	}{
		{"whole", "orders.created", `{"specversion":"1.0","id":"a","source":"/s","type":"t","data":{"n":1}}`, 0, ""},
		{"only a type", "orders", `{"type":"t"}`, 0, ""},
		{"no type", "orders", `{"id":"a"}`, abi.Invalid, `required attribute "type" is missing`},
		{"not JSON", "orders", `type=t`, abi.Invalid, "is not a JSON object"},
		{"bad extension", "orders", `{"type":"t","No":"x"}`, abi.Invalid, "lower-case"},
		{"no duration", "orders", `{"type":"t","evokedelay":"soon"}`, abi.Invalid, `evokedelay "soon" is not a duration such as`},
		{"no time", "orders", `{"type":"t","evokedeliverat":"tomorrow"}`, abi.Invalid, `evokedeliverat "tomorrow" is not an RFC 3339 time`},
		{"too long", "orders", `{"type":"t","evokedelay":"31d"}`, abi.Invalid, "evokedelay 31d is more than 30 days"},
		{"a time", "orders", `{"type":"t","evokedeliverat":"2026-01-31T12:00:00Z"}`, 0, ""},
		{"other version", "orders", `{"specversion":"0.3","type":"t"}`, abi.Invalid, `specversion "0.3"`},
		{"no topic", "", `{"type":"t"}`, abi.Invalid, "is no topic name"},
		{"wildcard", "orders.>", `{"type":"t"}`, abi.Invalid, `"orders.>" is no topic name`},
		{"empty part", "a..b", `{"type":"t"}`, abi.Invalid, "is no topic name"},
		{"bad bytes", "a\xff", `{"type":"t"}`, abi.Invalid, "is no topic name"},
		{"long topic", strings.Repeat("a", 256), `{"type":"t"}`, abi.Invalid, "is no topic name"},
		{"denied", "secrets", `{"type":"t"}`, abi.Denied, `may not emit to topic "secrets"; add it to allow.emit`},
		{"too large", "orders", `{"type":"t","data":"` + strings.Repeat("x", 1<<20) + `"}`, abi.TooLarge, "the limit is 1048576"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := &fakeHost{allowEmit: func(topic string) bool { return topic != "secrets" }}
			res := invoke(t, w.Emits(c.topic, c.body), testEvent(), h)
			if res.Class != "" || !bytes.Equal(res.Data, []byte{byte(c.want), byte(c.want >> 8), byte(c.want >> 16), byte(c.want >> 24)}) {
				t.Fatalf("% x, want %d (%s)", res.Data, c.want, res.Reason)
			}
			if c.want < 0 {
				if len(res.Emitted) != 0 || !strings.Contains(h.lines[0], c.log) || !strings.HasPrefix(h.lines[0], "WARN emit: ") {
					t.Errorf("emitted %v, log %q", res.Emitted, h.lines)
				}
				return
			}
			var want event.Event
			if err := want.UnmarshalJSON([]byte(c.body)); err != nil {
				t.Fatal(err)
			}
			if len(res.Emitted) != 1 || res.Emitted[0].Topic != c.topic || fmt.Sprint(res.Emitted[0].Event) != fmt.Sprint(want) {
				t.Errorf("emitted %+v", res.Emitted)
			}
		})
	}
}

// A delay counts from the moment of the emit.
func TestEmitTurnsADelayIntoATime(t *testing.T) {
	t.Parallel()
	before := time.Now()
	res := invoke(t, w.Emits("orders", `{"type":"t","evokedelay":"2h"}`), testEvent(), &fakeHost{})
	if len(res.Emitted) != 1 {
		t.Fatalf("%+v", res)
	}
	e := res.Emitted[0].Event
	_, left := e.Extension(event.DelayExtension)
	if at := e.DeliverAt().Add(-2 * time.Hour); left || at.Before(before.Add(-time.Millisecond)) || at.After(time.Now().Add(time.Millisecond)) {
		t.Errorf("emitted %+v", e)
	}
}

func TestEmitIsDroppedUnlessDone(t *testing.T) {
	t.Parallel()
	for name, end := range map[string][]byte{"failed": w.I32Const(1), "rejected": w.I32Const(2), "trap": w.Unreachable()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProbe()
			topic, n := p.text(0, "orders")
			body, m := p.text(0x100, `{"type":"t"}`)
			p.Handle(w.Call(p.Emit, topic, n, body, m), w.Drop(), w.Call(p.Emit, topic, n, body, m), w.I32Const(1), w.Sub(), w.If(w.Unreachable()), end)
			if res := invoke(t, p.Bytes(), testEvent(), &fakeHost{}); res.Verdict == abi.Done || res.Emitted != nil {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestEmitLimits(t *testing.T) {
	t.Parallel()
	t.Run("number", func(t *testing.T) {
		t.Parallel()
		p := newProbe()
		topic, n := p.text(0, "orders")
		body, m := p.text(0x100, `{"type":"t"}`)
		p.Handle(
			w.While(w.Call(p.Emit, topic, n, body, m), w.LocalSet(0), w.LocalGet(0), w.I32Const(abi.MaxEmitted-1), w.LessU()), // ends at the last number
			w.Call(p.Emit, topic, n, body, m), w.I32Const(abi.TooLarge), w.Sub(),
		)
		if res := invoke(t, p.Bytes(), testEvent(), &fakeHost{}); res.Verdict != abi.Done || len(res.Emitted) != abi.MaxEmitted {
			t.Errorf("%d events, %s", len(res.Emitted), res.Reason)
		}
	})
	t.Run("bytes with state writes", func(t *testing.T) {
		t.Parallel()
		p := newProbe()
		topic, n := p.text(0, "orders")
		head := `{"type":"t","data":"`
		p.Data(probeSpace, []byte(head+strings.Repeat("x", 1<<20-len(head)-2)+`"}`))
		set, k := p.text(0x100, "state.set")
		get, l := p.text(0x140, "state.delete")
		p.Data(0x8000, []byte("\x01\x00\x00\x00k")) // the name k, the value is what follows
		for want := range int32(3) {
			p.expect(want, w.Call(p.Emit, topic, n, probeSpace, 1<<20))
		}
		for handle := range int32(4) { // the same name again and again counts once
			p.expect(handle+1, w.Call(p.Call, set, k, 0x8000, abi.MaxStateValue+5))
		}
		p.expect(abi.TooLarge, w.Call(p.Emit, topic, n, probeSpace, 1<<20))
		p.expect(5, w.Call(p.Call, get, l, 0x8004, 1)) // deleting it makes room
		p.expect(abi.TooLarge, w.Call(p.Emit, topic, n, probeSpace, 1<<20))
		p.expect(6, w.Call(p.Call, set, k, probeSpace, 1<<20)) // another name and 1 MiB: over
		p.expect(413, w.I32Const(6), w.I64Const(-1), w.Call(p.CallWait), w.WrapI64())
		h := &fakeHost{call: func(context.Context, string, []byte) (int32, []byte) { return 204, nil }}
		if res := p.check(t, Settings{}, testEvent(), h); len(res.Emitted) != 3 {
			t.Errorf("%d events", len(res.Emitted))
		}
	})
}

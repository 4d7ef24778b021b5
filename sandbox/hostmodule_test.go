package sandbox

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestEventParts(t *testing.T) {
	t.Parallel()
	request := `{"method":"POST","path":"/x","query":[]}`
	full := &event.Event{
		ID: "e1", Source: "/s", Type: "t", Subject: "sub", DataContentType: "application/json", DataSchema: "urn:x",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Data: []byte(`{"a":1}`), Request: []byte(request),
	}
	full.SetExtension(event.Extension{Name: "partitionkey", Value: "k"})
	structured, err := full.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	bare := &event.Event{ID: "e2", Source: "/s", Type: "t"}
	empty := &event.Event{ID: "e3", Source: "/s", Type: "t", Data: []byte{}}
	for _, c := range []struct {
		event *event.Event
		part  abi.Part
		want  string
	}{
		{full, abi.PartData, `{"a":1}`}, {full, abi.PartAttributes, string(full.AttributesJSON())}, {full, abi.PartEvent, string(structured)},
		{full, abi.PartRequest, request}, {full, abi.PartID, "e1"}, {full, abi.PartSource, "/s"}, {full, abi.PartType, "t"},
		{full, abi.PartSubject, "sub"}, {full, abi.PartTime, "2026-01-02T03:04:05Z"}, {full, abi.PartDataContentType, "application/json"},
		{full, abi.PartDataSchema, "urn:x"}, {full, abi.PartPartitionKey, "k"}, {full, abi.PartMethod, "POST"}, {full, abi.PartPath, "/x"},
		{bare, abi.PartData, "absent"}, {bare, abi.PartRequest, "absent"}, {bare, abi.PartSubject, "absent"}, {bare, abi.PartTime, "absent"},
		{bare, abi.PartDataContentType, "absent"}, {bare, abi.PartDataSchema, "absent"}, {bare, abi.PartPartitionKey, "absent"},
		{bare, abi.PartMethod, "absent"}, {bare, abi.PartPath, "absent"}, {empty, abi.PartData, ""},
	} {
		t.Run(fmt.Sprintf("%s part %d", c.event.ID, c.part), func(t *testing.T) {
			t.Parallel()
			p := newProbe()
			length := int32(len(c.want))
			if c.want == "absent" {
				length = abi.Absent
			}
			p.expect(length, w.Call(p.EventLen, 0, int32(c.part)))
			p.expect(length, w.Call(p.EventRead, 0, int32(c.part), 0, probeSpace, 1<<20))
			if length > 0 {
				p.expect(0, w.Call(p.Reply, abi.ReplyData, probeSpace, length))
				p.expect(1, w.Call(p.EventRead, 0, int32(c.part), length-1, probeSpace, 1<<20))
				p.expect(0, w.Call(p.EventRead, 0, int32(c.part), length, probeSpace, 1<<20))
				p.expect(0, w.Call(p.EventRead, 0, int32(c.part), -1, probeSpace, 1<<20))
				p.expect(1, w.Call(p.EventRead, 0, int32(c.part), 0, probeSpace, 1))
			}
			if res := p.check(t, Settings{}, c.event, &fakeHost{}); length > 0 && string(res.Data) != c.want {
				t.Errorf("got %s, want %s", res.Data, c.want)
			}
		})
	}
}

func TestUnknownEventsAndParts(t *testing.T) {
	t.Parallel()
	p := newProbe()
	p.expect(1, w.Call(p.EventCount))
	for _, part := range []int32{4, 15, 26, 1000, -1} {
		p.expect(abi.Invalid, w.Call(p.EventLen, 0, part))
		p.expect(abi.Invalid, w.Call(p.EventRead, 0, part, 0, 0, 0))
	}
	for _, ev := range []int32{1, -1, -1 << 31} {
		p.expect(abi.Invalid, w.Call(p.EventLen, ev, 0))
		p.expect(abi.Invalid, w.Call(p.EventRead, ev, 0, 0, 0, 0))
	}
	p.check(t, Settings{}, testEvent(), &fakeHost{})
}

func TestReply(t *testing.T) {
	t.Parallel()
	p := newProbe()
	first, n := p.text(0, `{"status":200}`)
	second, m := p.text(0x100, ` {"status":201} `)
	broken, k := p.text(0x200, `{"status":`)
	list, l := p.text(0x300, `[1]`)
	p.expect(0, w.Call(p.Reply, abi.ReplyJSON, first, n))
	p.expect(0, w.Call(p.Reply, abi.ReplyJSON, second, m))
	p.expect(abi.Invalid, w.Call(p.Reply, abi.ReplyJSON, broken, k))
	p.expect(abi.Invalid, w.Call(p.Reply, abi.ReplyJSON, list, l))
	p.expect(abi.Invalid, w.Call(p.Reply, abi.ReplyJSON, 0, 0))
	p.expect(abi.TooLarge, w.Call(p.Reply, abi.ReplyJSON, probeSpace, abi.MaxReply+1))
	p.expect(abi.Invalid, w.Call(p.Reply, 2, first, n))
	p.expect(abi.Invalid, w.Call(p.Reply, -1, first, n))
	p.expect(0, w.Call(p.Reply, abi.ReplyData, first, 1))
	p.expect(0, w.Call(p.Reply, abi.ReplyData, first+1, n-1))
	p.expect(0, w.Call(p.Reply, abi.ReplyData, 0, 0))
	p.expect(abi.TooLarge, w.Call(p.Reply, abi.ReplyData, probeSpace, abi.MaxReply-n+1))
	res := p.check(t, Settings{}, testEvent(), &fakeHost{})
	if string(res.Data) != `{"status":200}` || string(res.Attributes) != `{"status":201}` {
		t.Errorf("data %s, JSON %s", res.Data, res.Attributes)
	}
}

func TestReplyLimit(t *testing.T) {
	t.Parallel()
	m, i := w.NewGuest()
	m.Memory(34)
	m.Handle(
		w.Call(i.Reply, abi.ReplyData, 0, abi.MaxReply), w.Drop(),
		w.Call(i.Reply, abi.ReplyData, 0, 1), w.I32Const(abi.TooLarge), w.Sub(), // 0 when refused
	)
	if res := invoke(t, m.Bytes(), testEvent(), &fakeHost{}); res.Verdict != abi.Done || len(res.Data) != abi.MaxReply {
		t.Errorf("%d bytes, %s", len(res.Data), res.Reason)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	p := newProbe()
	text, n := p.text(0, "hi \xff")
	for _, level := range []int32{-1 << 31, -4, -1, 0, 3, 4, 8, 1<<31 - 1} {
		p.run(w.Call(p.Log, level, text, n))
	}
	h := &fakeHost{}
	p.check(t, Settings{}, testEvent(), h)
	want := []string{"DEBUG", "DEBUG", "DEBUG", "INFO", "INFO", "WARN", "ERROR", "ERROR"}
	for i := range want {
		want[i] += " hi \uFFFD"
	}
	if !slices.Equal(h.lines, want) {
		t.Errorf("%q", h.lines)
	}
}

func TestLogLimit(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int32{"lines": 1000, "one line": 1 << 20, "empty lines": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, i := w.NewGuest()
			m.Memory(34)
			m.Data(0, bytes.Repeat([]byte("x"), 1<<20))
			m.Handle(
				w.While(w.Call(i.Log, 0, 0, length), w.LocalGet(0), w.I32Const(1), w.Add(), w.LocalSet(0), w.LocalGet(0), w.I32Const(70_000), w.LessU()),
				w.I32Const(0),
			)
			h := &fakeHost{}
			if res := invoke(t, m.Bytes(), testEvent(), h); res.Class != "" {
				t.Fatal(res.Reason)
			}
			total := 0
			for _, l := range h.lines[:len(h.lines)-1] {
				total += len(l) - len("INFO ") + 1
			}
			if total > abi.MaxLog || length > 0 && total < abi.MaxLog-1000 {
				t.Errorf("%d bytes in %d lines", total, len(h.lines))
			}
			if last := h.lines[len(h.lines)-1]; last != "WARN log limit of 65536 bytes reached, the rest of this attempt's log is cut" {
				t.Errorf("last line %q", last)
			}
		})
	}
}

func TestVerdictImport(t *testing.T) {
	t.Parallel()
	p := newProbe()
	long, n := p.text(0, strings.Repeat("é", abi.MaxReason))
	say := func(ev, v int32, ms int64, ptr, length int32) []byte {
		return slices.Concat(w.I32Const(ev), w.I32Const(v), w.I64Const(ms), w.I32Const(ptr), w.I32Const(length), w.Call(p.Verdict))
	}
	p.Handle(
		say(1, 1, -1, 0, 0), w.I32Const(abi.Invalid), w.Sub(), w.If(w.Unreachable()),
		say(-2, 1, -1, 0, 0), w.I32Const(abi.Invalid), w.Sub(), w.If(w.Unreachable()),
		say(0, 1, -2, 0, 0), w.I32Const(abi.Invalid), w.Sub(), w.If(w.Unreachable()),
		say(0, 0, -1, 0, 0), w.If(w.Unreachable()),
		say(0, 9, 5, long+1, n-1), w.If(w.Unreachable()), // the last one counts; begins in the middle of a character
		w.I32Const(0),
	)
	res := invoke(t, p.Bytes(), testEvent(), &fakeHost{})
	if res.Verdict != abi.Failed || res.Class != ClassError || res.RetryAfter != 5*time.Millisecond {
		t.Errorf("%+v", res)
	}
	if len(res.Reason) > abi.MaxReason || len(res.Reason) < abi.MaxReason-4 || !strings.HasPrefix(res.Reason, "\uFFFDéé") || !strings.HasSuffix(res.Reason, "é") {
		t.Errorf("%d bytes of reason: %.10q", len(res.Reason), res.Reason)
	}
}

func TestDeadlineMs(t *testing.T) {
	t.Parallel()
	p := newProbe()
	p.expect(1, w.Call(p.DeadlineMs), w.WrapI64(), w.I32Const(30_001), w.LessU())
	p.expect(0, w.Call(p.DeadlineMs), w.WrapI64(), w.I32Const(20_000), w.LessU())
	p.check(t, Settings{}, testEvent(), &fakeHost{}) // 30 s by default
}

// Every pointer of every function, outside of memory in every way.
func TestWildPointersTrap(t *testing.T) {
	t.Parallel()
	const end = outside
	ranges := [][2]int32{{end, 1}, {end - 1, 2}, {0, end + 1}, {-1, 1}, {-1, 2}, {-16, 17}, {1, -1}, {-1, -1}, {end + 1, 0}}
	i32s := func(values ...int32) []byte {
		var b []byte
		for _, v := range values {
			b = append(b, w.I32Const(v)...)
		}
		return b
	}
	for name, f := range map[string]func(p *probe, ptr, n int32) []byte{
		"event_read": func(p *probe, ptr, n int32) []byte { return w.Call(p.EventRead, 0, 0, 0, ptr, n) },
		"reply":      func(p *probe, ptr, n int32) []byte { return w.Call(p.Reply, 0, ptr, n) },
		"emit":       func(p *probe, ptr, n int32) []byte { return w.Call(p.Emit, ptr, n, 0, 0) },
		"emit event": func(p *probe, ptr, n int32) []byte { return w.Call(p.Emit, 0, 0, ptr, n) },
		"verdict": func(p *probe, ptr, n int32) []byte {
			return slices.Concat(i32s(0, 0), w.I64Const(-1), i32s(ptr, n), w.Call(p.Verdict))
		},
		"log":          func(p *probe, ptr, n int32) []byte { return append(w.Call(p.Log, 0, ptr, n), w.I32Const(0)...) },
		"call":         func(p *probe, ptr, n int32) []byte { return w.Call(p.Call, ptr, n, 0, 0) },
		"call request": func(p *probe, ptr, n int32) []byte { return w.Call(p.Call, 0, 0, ptr, n) },
		"call_read":    func(p *probe, ptr, n int32) []byte { return w.Call(p.CallRead, 1, 0, ptr, n) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRuntime(t)
			for _, at := range ranges {
				p := newProbe()
				m, err := r.Load(t.Context(), p.Handle(f(p, at[0], at[1])).Bytes(), Settings{})
				if err != nil {
					t.Fatal(err)
				}
				res := m.Invoke(t.Context(), testEvent(), &fakeHost{})
				function, _, _ := strings.Cut(name, " ")
				want := fmt.Sprintf("evoke_v1.%s: %d bytes at address %d are outside of memory (%d bytes) in evoke_v1.%s < evoke_handle",
					function, uint32(at[1]), uint32(at[0]), end, function)
				if res.Class != ClassTrap || res.Reason != want {
					t.Errorf("%s %q\nwant %q", res.Class, res.Reason, want)
				}
			}
		})
	}
}

func TestRangesAtTheEdgeOfMemoryAreFine(t *testing.T) {
	t.Parallel()
	p := newProbe()
	p.expect(5, w.Call(p.EventRead, 0, 0, 0, outside-5, 5))
	p.expect(0, w.Call(p.EventRead, 0, 0, 0, outside, 0))
	p.expect(0, w.Call(p.Reply, 0, outside, 0))
	p.expect(0, w.Call(p.Reply, 0, outside-5, 5))
	if res := p.check(t, Settings{}, testEvent(), &fakeHost{}); string(res.Data) != "hello" {
		t.Errorf("%q", res.Data)
	}
}

// Only log and config.get may be used before the event.
func TestImportsDuringInit(t *testing.T) {
	t.Parallel()
	forbidden := map[string]func(p *probe) []byte{
		"event_count": func(p *probe) []byte { return append(w.Call(p.EventCount), w.Drop()...) },
		"event_len":   func(p *probe) []byte { return append(w.Call(p.EventLen, 0, 0), w.Drop()...) },
		"event_read":  func(p *probe) []byte { return append(w.Call(p.EventRead, 0, 0, 0, 0, 0), w.Drop()...) },
		"reply":       func(p *probe) []byte { return append(w.Call(p.Reply, 0, 0, 0), w.Drop()...) },
		"emit":        func(p *probe) []byte { return append(w.Call(p.Emit, 0, 0, 0, 0), w.Drop()...) },
		"deadline_ms": func(p *probe) []byte { return append(w.Call(p.DeadlineMs), w.Drop()...) },
		"verdict": func(p *probe) []byte {
			return slices.Concat(w.I32Const(0), w.I32Const(0), w.I64Const(0), w.I32Const(0), w.I32Const(0), w.Call(p.Verdict), w.Drop())
		},
		"call": func(p *probe) []byte {
			op, n := p.text(0, "state.get")
			return append(w.Call(p.Call, op, n, 0, 0), w.Drop()...)
		},
	}
	for name, f := range forbidden {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, during := range []string{"_initialize", "evoke_init", "the start function"} {
				p := newProbe()
				switch during {
				case "evoke_init":
					p.Func(during, nil, []byte{w.I32}, 0, f(p), w.I32Const(0))
				case "_initialize":
					p.Func(during, nil, nil, 0, f(p))
				default:
					p.Start(p.Unexported("begin", nil, nil, 0, f(p)))
				}
				res := invoke(t, p.Handle(w.I32Const(0)).Bytes(), testEvent(), &fakeHost{})
				want := during + ": evoke_v1." + name
				if name == "call" {
					want += `: "state.get"`
				}
				if want += " may not be called during " + during; res.Class != ClassInit || !strings.HasPrefix(res.Reason, want) {
					t.Errorf("%s %q, want %q", res.Class, res.Reason, want)
				}
			}
		})
	}
	t.Run("allowed", func(t *testing.T) {
		t.Parallel()
		p := newProbe()
		op, n := p.text(0, "config.get")
		key, k := p.text(0x40, "COLOUR")
		p.Func("_initialize", nil, nil, 0,
			w.Call(p.Log, 0, key, k), w.Call(p.Call, op, n, key, k), w.Drop(), w.I32Const(1), w.I64Const(-1), w.Call(p.CallWait), w.Drop(),
			w.I32Const(16), w.Call(p.CallLen, 1), w.Store(), w.Call(p.CallRead, 1, 0, 20, 4), w.Drop(),
		)
		p.expect(4, w.I32Const(16), w.Load())
		p.expect(0, w.Call(p.Reply, 0, 20, 4))
		p.expect(abi.Invalid, w.Call(p.CallLen, 1)) // handles end with initialisation
		h := &fakeHost{}
		res := p.check(t, Settings{Env: map[string]string{"COLOUR": "blue"}}, testEvent(), h)
		if string(res.Data) != "blue" || !slices.Equal(h.lines, []string{"INFO COLOUR"}) {
			t.Errorf("%q %q", res.Data, h.lines)
		}
	})
}

// A call after evoke_handle returned is answered, not served.
func TestCallsAfterReturn(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	h := &fakeHost{}
	inv := &invocation{Context: t.Context(), host: h, phase: over}
	for name, f := range r.imports[moduleEvoke] {
		stack := make([]uint64, 8)
		f.goFunc(moduleEvoke)(inv, nil, stack) // without a guest: what is served would panic
		switch {
		case len(f.sig.results) == 0:
		case f.sig.results[0] == i32 && int32(stack[0]) != abi.Closed, f.sig.results[0] == i64 && int64(stack[0]) != int64(abi.Closed):
			t.Errorf("%s answered %d", name, int64(stack[0]))
		}
	}
	if len(h.lines) != 0 || inv.bill.HostCalls != int64(len(r.imports[moduleEvoke])) {
		t.Errorf("%q %+v", h.lines, inv.bill)
	}
}

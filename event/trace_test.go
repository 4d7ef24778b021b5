package event

import (
	"strings"
	"testing"
)

const aTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceParentsAreThoseOfW3C(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		aTrace: true,
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more": true, // a version to come may have more
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00":      true,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more": false,
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more": false,
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":      false,
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":      false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":      false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":      false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0":       false,
		"00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01":      false,
		"": false, "no trace": false,
	} {
		got, ok := ParseTraceParent(text)
		if ok != want {
			t.Errorf("%q: %v", text, ok)
		}
		if ok && got.String()[3:] != text[3:traceParentSize] {
			t.Errorf("%q came back as %s", text, got)
		}
	}
}

func TestAnEventKeepsItsOwnTrace(t *testing.T) {
	t.Parallel()
	other := strings.Replace(aTrace, "0af7", "1111", 1)
	for name, tt := range map[string]struct{ own, ownState, parent, state, want, wantState string }{
		"none at all":         {},
		"that of the request": {parent: aTrace, state: "a=1", want: aTrace, wantState: "a=1"},
		"its own":             {own: other, ownState: "b=2", parent: aTrace, state: "a=1", want: other, wantState: "b=2"},
		"its own is none":     {own: "x", ownState: "b=2", parent: aTrace, want: aTrace},
		"neither is one":      {own: "x", parent: "y", want: "x"},
		"too long a state":    {parent: aTrace, state: strings.Repeat("x", 513), want: aTrace},
		"of a later version":  {parent: "01" + aTrace[2:] + "-x", want: "01" + aTrace[2:] + "-x"},
		"too long":            {parent: "01" + aTrace[2:] + "-" + strings.Repeat("x", 512)},
		"no text":             {parent: aTrace, state: "a\x01", want: aTrace},
	} {
		e := Event{}
		for name, v := range map[string]string{TraceParentExtension: tt.own, TraceStateExtension: tt.ownState} {
			if v != "" {
				e.SetExtension(Extension{Name: name, Value: v})
			}
		}
		e.CarryTrace(tt.parent, tt.state)
		parent, _ := e.Extension(TraceParentExtension)
		state, _ := e.Extension(TraceStateExtension)
		if parent != tt.want || state != tt.wantState {
			t.Errorf("%s: %q %q", name, parent, state)
		}
	}
}

func TestATraceBeginsWithTheEvent(t *testing.T) {
	t.Parallel()
	a, b := Event{ID: "1", Source: "/s"}, Event{ID: "/s", Source: "1"}
	if again := a.OwnTrace(); a.OwnTrace() != again || again.Trace == b.OwnTrace().Trace {
		t.Errorf("%s, %s", a.OwnTrace(), b.OwnTrace())
	}
	if _, ok := ParseTraceParent(a.OwnTrace().String()); !ok {
		t.Errorf("%s is none", a.OwnTrace())
	}
}

func TestHopsAndTrail(t *testing.T) {
	t.Parallel()
	e := Event{}
	e.SetExtension(Extension{Name: TrailExtension, Value: "left over"})
	for hop := 1; hop <= MaxHops; hop++ {
		cause := e
		e = Event{}
		e.HopFrom(&cause, []string{"a", "b"}[hop%2])
		if e.Hops() != hop {
			t.Fatalf("hop %d is %d", hop, e.Hops())
		}
		if trail := e.Trail(); (trail != "") != (hop >= trailFrom) {
			t.Fatalf("hop %d: trail %q", hop, trail)
		}
	}
	if want := strings.TrimSuffix(strings.Repeat("a → b → ", 9), " → b → ")[:len("a → b → ")*8+1]; e.Trail() != want {
		t.Errorf("trail %q, want %q", e.Trail(), want)
	}
	for range 200 { // redriven again and again
		cause := e
		e.HopFrom(&cause, strings.Repeat("f", 60))
	}
	if text, _ := e.Extension(TrailExtension); len(text) > maxTrail {
		t.Errorf("the trail has %d bytes", len(text))
	}
	e.ForgetHops()
	if e.Hops() != 0 || len(e.Extensions) != 0 {
		t.Errorf("%+v", e.Extensions)
	}
	e.SetExtension(Extension{Name: HopsExtension, Value: "many"})
	if e.Hops() != 0 {
		t.Errorf("%d hops", e.Hops())
	}
}

func FuzzTraceParent(f *testing.F) {
	f.Add(aTrace)
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseTraceParent(s)
		if again, okAgain := ParseTraceParent(got.String()); ok && (!okAgain || again != got) {
			t.Errorf("%q became %s", s, got)
		}
	})
}

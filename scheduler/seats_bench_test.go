package scheduler

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/inflight"
)

// What an attempt costs beside its guest: a seat, and with "noted" the note in the file.
func BenchmarkSeat(b *testing.B) {
	f := &function{spec: &api.Function{Namespace: "default", Name: "charge", Revision: 3}}
	guest := sitting{invocation: invocation{id: "3-1042-17", number: 1, event: &event.Event{}}, function: f, start: time.Now(), stop: func() {}}
	run := func(name string, notes *inflight.File) {
		b.Run(name, func(b *testing.B) {
			s := newSeats(4, notes)
			p, all := newProcessors(4, 1<<30, 4, s, func() {}), newShare(functionName{})
			b.ReportAllocs()
			for b.Loop() {
				g, _ := p.start(b.Context(), all, nil, 1, 1)
				s.sit(g.seat, guest)
				s.leave(g.seat)
				p.end(g, 1000)
			}
		})
	}
	run("plain", nil)
	notes, err := inflight.Open(filepath.Join(b.TempDir(), "inflight"))
	if err != nil {
		b.Fatal(err)
	}
	if err := notes.Start(slotsOf(4)); err != nil {
		b.Fatal(err)
	}
	run("noted", notes)
	if err := notes.Close(); err != nil {
		b.Fatal(err)
	}
}

package sandbox

import (
	"context"
	"testing"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
)

func (p *pool) waiting() (warm, trimmed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.idle {
		if i.trimmed {
			trimmed++
		} else {
			warm++
		}
	}
	return warm, trimmed
}

// Instances that are kept ready are there before the first event, stay however long nothing comes, and keep their module in memory.
func TestInstancesAreKeptReady(t *testing.T) {
	t.Parallel()
	r, err := New(t.Context(), onDisk(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	m, err := r.Load(t.Context(), w.Echo(), Settings{Ready: 3})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, wantWarm int) {
		t.Helper()
		p := m.current()
		if p == nil {
			t.Fatalf("%s: the module has gone", what)
		}
		if warm, trimmed := p.pool.waiting(); warm != wantWarm || trimmed != 0 {
			t.Errorf("%s: %d warm and %d trimmed instances, want %d", what, warm, trimmed, wantWarm)
		}
	}
	check("loaded", 3)
	expect(t, m, "hello")
	check("after an event", 3)
	r.tidy(time.Now().Add(time.Hour), patient(false))
	check("after an hour", 3)
	r.tidy(time.Now().Add(time.Hour), patient(true))
	check("with little memory", 3)
	for _, i := range m.current().pool.takeIdle(time.Now().Add(time.Hour)) {
		t.Errorf("instance %p may be closed", i)
	}
	lost := m.current().pool.take()
	m.current().discard(lost)
	r.tidy(time.Now(), patient(false))
	check("after one was lost", 3)

	// Another process that finds the files makes them ready too.
	again, err := r.Open(t.Context(), m.source, Settings{Ready: 2})
	if err != nil {
		t.Fatal(err)
	}
	if warm, _ := again.current().pool.waiting(); warm != 2 {
		t.Errorf("opened with %d ready, want 2", warm)
	}
}

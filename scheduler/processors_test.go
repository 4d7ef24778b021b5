package scheduler

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// checkUnused fails when something of what guests had is not given back.
func (p *processors) checkUnused(t *testing.T, n, seats int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free != n || len(p.running) > 0 || p.taken != 0 || len(p.queue) > 0 || len(p.stuck) > 0 || len(p.seats.empty) != seats || len(p.seats.slots) != slotsOf(seats) {
		t.Errorf("%d of %d processors are free, %d run, %d bytes are taken, %d wait, %d are stuck, %d of %d seats are empty",
			p.free, n, len(p.running), p.taken, len(p.queue), len(p.stuck), len(p.seats.empty), seats)
	}
}

// guests is a synctest bubble's view of one set of processors.
type guests struct {
	t *testing.T
	p *processors
}

func withGuests(t *testing.T, n int, budget int64, test func(*guests)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newProcessors(n, budget, 100, newSeats(8, nil), func() {})
		test(&guests{t, p})
		synctest.Wait()
		p.checkUnused(t, n, 8)
	})
}

// visit is one guest that waits, and runs until it is told to do something.
type visit struct {
	on  bool // it runs; read after synctest.Wait
	do  chan func(*guest)
	end context.CancelFunc
}

func (g *guests) begin(s *share, memory int64) *visit {
	ctx, cancel := context.WithCancel(g.t.Context())
	v := &visit{do: make(chan func(*guest)), end: cancel}
	go func() {
		claim, ok := g.p.start(ctx, s, nil, 1, memory)
		if !ok {
			return
		}
		v.on = true
		for f := range v.do {
			v.on = false
			f(claim)
			v.on = claim.on
		}
	}()
	synctest.Wait()
	return v
}

func (v *visit) tell(f func(*guest)) {
	v.do <- f
	synctest.Wait()
}

func (g *guests) leave(v *visit, fuel int64) {
	v.tell(func(claim *guest) { g.p.end(claim, fuel) })
	close(v.do)
	v.end()
}

func (g *guests) yield(v *visit, fuel int64) {
	v.tell(func(claim *guest) { g.p.yield(g.t.Context(), claim, fuel) })
}

func (g *guests) expect(what string, on ...*visit) {
	g.t.Helper()
	for i, v := range on {
		if !v.on {
			g.t.Errorf("%s: guest %d does not run", what, i)
		}
	}
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	if len(g.p.running) != len(on) {
		g.t.Errorf("%s: %d guests run, not %d", what, len(g.p.running), len(on))
	}
}

func TestAGuestMakesRoomForAFunctionThatHasUsedLess(t *testing.T) {
	t.Parallel()
	withGuests(t, 1, 100, func(g *guests) {
		flood, other := newShare(functionName{"", "flood"}), newShare(functionName{"", "other"})
		first, second := g.begin(flood, 1), g.begin(flood, 1)
		g.expect("one processor", first)
		g.yield(first, 50_000_000)
		g.expect("its own function does not displace it", first)
		late := g.begin(other, 1)
		g.expect("nobody is displaced before it is looked at", first)
		g.yield(first, 50_100_000)
		g.expect("the other function has used less", late)
		g.leave(late, 1000)
		g.expect("who was displaced comes before who has not begun", first)
		g.leave(first, 50_200_000)
		g.expect("the last", second)
		g.leave(second, 0)
	})
}

func TestTimeWithoutWorkIsNotSavedUp(t *testing.T) {
	t.Parallel()
	withGuests(t, 1, 100, func(g *guests) {
		flood, rare := newShare(functionName{"", "flood"}), newShare(functionName{"", "rare"})
		first := g.begin(flood, 1)
		g.yield(first, 1_000_000_000)
		one, two := g.begin(rare, 1), g.begin(rare, 1)
		g.yield(first, 1_000_100_000)
		g.expect("the rare function is next", one)
		g.yield(one, 3_000_000)
		g.expect("it has used more since it came than the flood", first)
		g.leave(first, 1_000_200_000)
		g.leave(one, 3_000_000)
		g.leave(two, 0)
	})
}

func TestSharesFollowWeights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProcessors(2, 100, 100, newSeats(8, nil), func() {})
		light, heavy := newShare(functionName{"", "light"}), newShare(functionName{"", "heavy"})
		p.configure(heavy, 3, 0, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var done sync.WaitGroup
		for _, s := range []*share{light, heavy} {
			for range 3 {
				done.Go(func() {
					for {
						g, ok := p.start(ctx, s, nil, 1, 1)
						if !ok {
							return
						}
						fuel := int64(0)
						for range 1 + rand.IntN(20) {
							time.Sleep(time.Millisecond) // the guest works
							fuel += 2_000_000
							p.yield(ctx, g, fuel)
						}
						p.end(g, fuel)
					}
				})
			}
		}
		done.Wait()
		// used is by weight: equal when each got its part.
		if ratio := float64(light.used) / float64(heavy.used); ratio < 0.95 || ratio > 1.05 {
			t.Errorf("light used %d, heavy %d by its weight", light.used, heavy.used)
		}
		p.checkUnused(t, 2, 8)
	})
}

func TestWhoSleepsLeavesTheProcessor(t *testing.T) {
	t.Parallel()
	withGuests(t, 1, 100, func(g *guests) {
		s := newShare(functionName{"", "f"})
		first := g.begin(s, 1)
		second := g.begin(s, 1)
		wake := make(chan struct{})
		first.tell(func(claim *guest) { g.p.outside(g.t.Context(), claim, 10, func() { <-wake }) })
		g.expect("the first sleeps", second)
		close(wake)
		synctest.Wait()
		g.expect("it has to wait until a processor is free", second)
		g.leave(second, 0)
		g.expect("and goes on", first)
		g.leave(first, 20)
	})
}

func TestWhatKeepsAGuestFromBeginning(t *testing.T) {
	t.Parallel()
	withGuests(t, 4, 100, func(g *guests) {
		small, large, one := newShare(functionName{"", "small"}), newShare(functionName{"", "large"}), newShare(functionName{"", "one"})
		g.p.configure(one, 1, 1, 0)
		a, b := g.begin(large, 60), g.begin(large, 60)
		g.expect("there is memory for one", a)
		c := g.begin(small, 40)
		g.expect("others are not held up by it", a, c)
		if large.held != heldByMemory {
			t.Errorf("held by %q", large.held)
		}
		g.leave(c, 0)
		d, e := g.begin(one, 1), g.begin(one, 1)
		g.expect("scale.max", a, d)
		if one.held != heldByMax {
			t.Errorf("held by %q", one.held)
		}
		g.leave(a, 0)
		g.expect("the next one has room", b, d)
		g.leave(d, 0)
		g.expect("and the next", b, e)
		g.leave(b, 0)
		g.leave(e, 0)
		huge := g.begin(small, 1000)
		g.expect("one that is larger than all there is runs alone", huge)
		g.leave(huge, 0)
	})
}

func TestGuestsWhoseTimeEnds(t *testing.T) {
	t.Parallel()
	withGuests(t, 1, 100, func(g *guests) {
		a, b := newShare(functionName{"", "a"}), newShare(functionName{"", "b"})
		first := g.begin(a, 1)
		waits := g.begin(b, 1)
		waits.end()
		synctest.Wait()
		g.yield(first, 1_000_000_000)
		g.expect("who gave up is not waited for", first)
		other := g.begin(b, 1)
		parked, cancel := context.WithCancel(g.t.Context())
		first.do <- func(claim *guest) { g.p.yield(parked, claim, 2_000_000_000) }
		synctest.Wait()
		g.expect("parked", other)
		cancel()
		synctest.Wait()
		g.expect("it goes on without a processor, to be stopped", other)
		if first.on {
			t.Error("it has one")
		}
		g.leave(first, 2_000_000_000)
		g.leave(other, 0)
	})
}

// Guests come, yield, sleep, give up and end at once, and nothing of what they had is lost.
func TestProcessorsUnderPressure(t *testing.T) {
	t.Parallel()
	p := newProcessors(3, 20, 100, newSeats(6, nil), func() {})
	var list []*share
	for range 4 {
		list = append(list, newShare(functionName{}))
	}
	p.configure(list[3], 2, 2, 0)
	var done sync.WaitGroup
	for i := range 24 {
		done.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 400 {
				ctx, cancel := context.WithCancel(t.Context())
				if r.IntN(4) == 0 {
					go cancel()
				}
				if g, ok := p.start(ctx, list[r.IntN(len(list))], nil, 1, 1+r.Int64N(8)); ok {
					fuel := int64(0)
					for range r.IntN(5) {
						fuel += r.Int64N(5_000_000)
						if r.IntN(3) == 0 {
							p.outside(ctx, g, fuel, func() {})
						} else {
							p.yield(ctx, g, fuel)
						}
					}
					p.end(g, fuel)
				}
				cancel()
			}
		})
	}
	done.Wait()
	p.checkUnused(t, 3, 6)
	if slices.ContainsFunc(list, func(s *share) bool { return s.begun() != 0 || s.at != nowhere }) {
		t.Error("a function still has guests")
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	roomy := func(d demand) demand {
		if d.memory == 0 {
			d.memory, d.free = 64*mib, 1<<40
		}
		return d
	}
	for name, tc := range map[string]struct {
		demand demand
		want   int
		why    holding
	}{
		"nothing to do":                        {demand{}, 0, ""},
		"from zero at once":                    {demand{wanted: 1}, 1, ""},
		"all there are":                        {demand{wanted: 9, functions: 1}, 9, ""},
		"as many as processors can soon take":  {demand{wanted: 1000, functions: 1}, ahead, heldByProcessors},
		"those that sleep make room":           {demand{wanted: 1000, begun: 40, away: 38, functions: 1}, 38 + ahead, heldByProcessors},
		"those that are settled make room":     {demand{wanted: 1000, settling: 30, functions: 1}, 30 + ahead, heldByProcessors},
		"many functions take turns":            {demand{wanted: 1000, functions: 32}, aheadTogether / 32, heldByProcessors},
		"each has some":                        {demand{wanted: 1000, functions: 5000}, aheadLeast, heldByProcessors},
		"scale.max":                            {demand{wanted: 12, max: 5}, 5, heldByMax},
		"scale.max is of guests, not of fsync": {demand{wanted: 12, max: 5, settling: 3}, 8, heldByMax},
		"concurrency":                          {demand{wanted: 12, concurrency: 4}, 4, heldByConcurrency},
		"concurrency lasts until it is stored": {demand{wanted: 12, concurrency: 4, settling: 3}, 4, heldByConcurrency},
		"the tighter one says why":             {demand{wanted: 12, max: 5, concurrency: 4}, 4, heldByConcurrency},
		"memory":                               {demand{wanted: 12, begun: 2, memory: 64 * mib, free: 200 * mib}, 5, heldByMemory},
		"no memory, and some run":              {demand{wanted: 12, begun: 2, memory: 64 * mib, free: mib}, 2, heldByMemory},
		"no memory, and none runs":             {demand{wanted: 12, memory: 64 * mib, free: mib}, 1, heldByMemory},
		"more than there is":                   {demand{wanted: 12, begun: 1, memory: 64 * mib, free: -5}, 1, heldByMemory},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n, why := scale(roomy(tc.demand)); n != tc.want || why != tc.why {
				t.Errorf("%d because of %q, want %d because of %q", n, why, tc.want, tc.why)
			}
		})
	}
}

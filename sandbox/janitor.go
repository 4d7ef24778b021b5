package sandbox

import (
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/evoke-run/evoke/sandbox/linear"
)

const (
	trimAfter  = 5 * time.Second  // an instance that waited this long gives its memory back
	closeAfter = 30 * time.Second // and one that waited this long ends
	dropAfter  = 45 * time.Second // a module that no event needed for this long goes out of memory
	// maxLoaded is how many modules stay in memory, the longest idle go first: each has a file open, and whoever deploys thousands at once calls few of them.
	maxLoaded = 2000

	sweepEvery = 10 * time.Minute // files that nobody needs are looked for
)

// patience is how long what is idle may stay, and how many modules.
type patience struct {
	trim, close, drop time.Duration
	loaded            int
}

// patient is for when there is memory enough; without it whatever is idle when the janitor comes goes at once.
func patient(short bool) patience {
	if short {
		return patience{}
	}
	return patience{trimAfter, closeAfter, dropAfter, maxLoaded}
}

// keepHouse goes through all modules now and then, until stop is closed. New starts it and Close waits for it.
func (r *Runtime) keepHouse(memoryIsShort func() bool) {
	defer close(r.houseKept)
	ticker := time.NewTicker(trimAfter)
	defer ticker.Stop()
	swept, wasShort := time.Now(), false
	for {
		select {
		case <-r.stop:
			return
		case now := <-ticker.C:
			short := memoryIsShort()
			if short && !wasShort {
				r.logger.Warn("memory is short: idle instances and modules are closed at once")
			}
			wasShort = short
			r.tidy(now, patient(short))
			if now.Sub(swept) >= sweepEvery {
				r.sweep(now)
				swept = now
			}
		}
	}
}

// tidy puts what is idle into a cheaper state.
func (r *Runtime) tidy(now time.Time, p patience) {
	dropped := 0
	var loaded []*Module
	for _, m := range r.opened() {
		if m.dropIfIdle(now.Add(-p.drop)) {
			dropped++
			continue
		}
		if program := m.current(); program != nil {
			program.tidy(now, p)
			loaded = append(loaded, m)
		}
	}
	dropped += dropIdlest(loaded, len(loaded)-p.loaded, now)
	if dropped > 0 {
		// Machine code lies outside of the Go heap and goes with the object that knows of it, so the collector, which sees only that, is not in a hurry.
		debug.FreeOSMemory()
		r.logger.Debug("modules went out of memory", slog.Int("count", dropped))
	}
}

// dropIdlest takes up to n modules out of memory, those first that no event has needed for the longest time, and says how many that were.
func dropIdlest(loaded []*Module, n int, now time.Time) (dropped int) {
	if n <= 0 {
		return 0
	}
	since := make(map[*Module]time.Time, len(loaded))
	for _, m := range loaded {
		since[m] = m.lastNeeded()
	}
	slices.SortFunc(loaded, func(a, b *Module) int { return since[a].Compare(since[b]) })
	for _, m := range loaded {
		if dropped == n {
			break
		}
		if m.dropIfIdle(now) {
			dropped++
		}
	}
	return dropped
}

// tidy closes instances that waited long and takes memory from those that waited a while. The pool is not locked meanwhile: an event that comes finds
// another instance or makes one.
func (p *program) tidy(now time.Time, idle patience) {
	for _, i := range p.pool.takeIdle(now.Add(-idle.close)) {
		p.discard(i)
	}
	cold := p.pool.takeUntrimmed(now.Add(-idle.trim))
	kept := cold[:0]
	for _, i := range cold {
		if err := i.trim(); err != nil {
			p.runtime.logger.Warn("trim an idle instance", slog.String("function", p.settings.Function), slog.Any("err", err))
			p.discard(i)
			continue
		}
		kept = append(kept, i)
	}
	for _, i := range p.pool.putCold(kept) {
		p.discard(i)
	}
	p.makeReady()
}

// makeReady makes the instances that are to wait for events.
func (p *program) makeReady() {
	s := p.snapshot.Load()
	if s == nil {
		return
	}
	for range p.pool.missing() {
		i, err := p.newInstance(s)
		if errors.Is(err, linear.ErrClosed) {
			return // with its module
		}
		if err != nil {
			p.runtime.logger.Warn("make an instance ready", slog.String("function", p.settings.Function), slog.Any("err", err))
			return
		}
		if !p.pool.put(i, time.Now()) {
			p.discard(i)
		}
	}
}

// discard closes an instance for good.
func (p *program) discard(i *instance) {
	if err := i.close(); err != nil {
		p.runtime.logger.Error("close an instance", slog.String("function", p.settings.Function), slog.Any("err", err))
	}
}

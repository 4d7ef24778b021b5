package sandbox

import (
	"log/slog"
	"time"
)

// keepHouse goes through all pools now and then, until stop is closed. New starts it and Close waits for it.
func (r *Runtime) keepHouse() {
	defer close(r.houseKept)
	ticker := time.NewTicker(trimAfter)
	defer ticker.Stop()
	for {
		select {
		case <-r.stop:
			return
		case now := <-ticker.C:
			for _, m := range r.loaded() {
				m.tidy(now)
			}
		}
	}
}

// tidy closes instances that waited long and takes memory from those that waited a while. The pool is not locked meanwhile: an event that comes finds
// another instance or makes one.
func (m *Module) tidy(now time.Time) {
	for _, i := range m.pool.takeIdle(now.Add(-closeAfter)) {
		m.discard(i)
	}
	cold := m.pool.takeUntrimmed(now.Add(-trimAfter))
	kept := cold[:0]
	for _, i := range cold {
		if err := i.trim(); err != nil {
			m.runtime.logger.Warn("trim an idle instance", slog.String("function", m.settings.Function), slog.Any("err", err))
			m.discard(i)
			continue
		}
		kept = append(kept, i)
	}
	for _, i := range m.pool.putCold(kept) {
		m.discard(i)
	}
}

// discard closes an instance for good.
func (m *Module) discard(i *instance) {
	if err := i.close(); err != nil {
		m.runtime.logger.Error("close an instance", slog.String("function", m.settings.Function), slog.Any("err", err))
	}
}

package triggers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/partition"
)

// metrics of the cron triggers of this node, all together: there may be a hundred thousand.
type metrics struct {
	fired, missed, overlaps prometheus.Counter
	late                    prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, c *Cron) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		fired:    counter("evoke_cron_fired_total", "Due times of cron triggers that fired."),
		missed:   counter("evoke_cron_missed_total", "Due times of cron triggers that were missed and did not fire later. A thousand of a trigger at once stand for any more."),
		overlaps: counter("evoke_cron_overlaps_total", "Due times of cron triggers that did not fire because an earlier firing was not done."),
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "evoke_cron_late_seconds", Help: "Time between when a cron trigger was to fire and when it did.", Buckets: prometheus.ExponentialBuckets(1e-3, 4, 10),
		}),
	}
	if reg != nil {
		reg.MustRegister(m.fired, m.missed, m.overlaps, m.late, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "evoke_cron_triggers", Help: "Cron triggers that are watched: those in force and not paused.",
		}, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return float64(len(c.entries))
		}))
	}
	return m
}

// told counts what became of a firing.
func (m *metrics) told(f *firing, outcome partition.Outcome, now time.Time) {
	m.missed.Add(float64(f.lost))
	switch {
	case outcome == partition.Stale, f.passes:
	case outcome == partition.Overlaps:
		m.overlaps.Inc()
	default:
		m.fired.Inc()
		m.late.Observe(max(0, now.Sub(f.fires).Seconds()))
	}
}

package scheduler

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/api"
)

// Load is what the node does for a function now, and what scale says of it.
func (s *Scheduler) Load(f *api.Function) api.Load {
	waiting, aside := 0, map[string]int{}
	for i := range f.Triggers {
		if t := &f.Triggers[i]; t.Topic != nil {
			n := s.opts.Table.Stats(t.ID)
			waiting += max(0, n.Pending-n.Timed-n.Queued)
			for why, count := range n.Aside {
				waiting -= count
				aside[why] += count
			}
		}
	}
	now := s.acquire(functionName{f.Namespace, f.Name})
	if now == nil {
		return api.Load{Wanted: waiting}
	}
	defer s.release(now)
	out := s.processors.load(now.share, now.memory(), waiting)
	if out.Limit == "" { // nothing, or that for which most wait
		for why, count := range aside {
			if out.Limit == "" || count > aside[out.Limit] || count == aside[out.Limit] && why < out.Limit {
				out.Limit = why
			}
		}
	}
	return out
}

// load looks at one function. waiting are the events of partitions that could run now, with those that it has taken.
func (p *processors) load(s *share, memory int64, waiting int) api.Load {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.demand(s, memory)
	d.wanted = max(waiting+s.calls, s.events)
	target, why := scale(d)
	return api.Load{
		Wanted: d.wanted, Target: target, Limit: string(why), InProgress: s.events, Running: s.running, Parked: len(s.parked), Away: s.away,
		Waiting: len(s.waiting), Held: string(s.held), Fuel: s.burnt,
	}
}

// loadCollector reports the functions that have something in progress: those that are at rest, however many, cost nothing.
type loadCollector struct {
	scheduler             *Scheduler
	instances, inProgress *prometheus.Desc
	limited               *prometheus.Desc
	processors, memory    *prometheus.Desc
}

func newLoadCollector(s *Scheduler) *loadCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &loadCollector{
		scheduler:  s,
		instances:  desc("evoke_function_instances", "Instances in use: running, parked until they have a processor again, away from it, or waiting to begin.", "namespace", "function", "state"),
		inProgress: desc("evoke_function_in_progress", "Events and calls that were taken and are not settled.", "namespace", "function"),
		limited:    desc("evoke_function_limited", "1 for what kept the function from having more in progress when it was last looked at.", "namespace", "function", "limit"),
		processors: desc("evoke_processors", "Guests that may run at once.", "state"),
		memory:     desc("evoke_function_memory_bytes", "Memory limits of instances in use together, and what they may be.", "state"),
	}
}

func (c *loadCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.instances, c.inProgress, c.limited, c.processors, c.memory} {
		ch <- d
	}
}

func (c *loadCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range c.scheduler.shares() {
		l := c.scheduler.processors.load(s, 0, 0)
		if l.Idle() {
			continue
		}
		at := []string{s.name.namespace, s.name.name}
		for state, n := range map[string]int{"running": l.Running, "parked": l.Parked, "away": l.Away, "waiting": l.Waiting} {
			gauge(c.instances, float64(n), append(at, state)...)
		}
		gauge(c.inProgress, float64(l.InProgress), at...)
		if _, limit := c.scheduler.processors.holding(s); limit != "" {
			gauge(c.limited, 1, append(at, string(limit))...)
		}
	}
	busy, free, taken, budget := c.scheduler.processors.totals()
	gauge(c.processors, float64(busy), "busy")
	gauge(c.processors, float64(free), "free")
	gauge(c.memory, float64(taken), "taken")
	gauge(c.memory, float64(budget), "budget")
}

// shares are those of the functions in force.
func (s *Scheduler) shares() []*share {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*share, 0, len(s.functions))
	for _, f := range s.functions {
		list = append(list, f.share)
	}
	return list
}

func (p *processors) totals() (busy, free int, taken, budget int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.running), p.free, p.taken, p.budget
}

package rules

import (
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
)

// flow checks what bounds the events of a function by key and in time.
func (f *faults) flow(path string, s api.FunctionSpec) {
	if k := s.KeyConcurrency; k != nil {
		f.limit(path+".keyConcurrency.limit", k.Limit)
		f.key(path+".keyConcurrency.key", k.Key)
	}
	f.rate(path+".throttle", s.Throttle)
	f.rate(path+".rateLimit", s.RateLimit)
	if s.Fair != "" {
		f.key(path+".fair", s.Fair)
	}
	if a := s.Adaptive; a != nil && a.Latency < 0 {
		f.add(path+".adaptive.latency", "%s is below zero", time.Duration(a.Latency))
	}
	if s.KeyConcurrency == nil && s.Throttle == nil && s.RateLimit == nil && s.Fair == "" {
		return
	}
	for _, t := range s.Triggers {
		if t.Topic != nil && t.Topic.Batch != nil {
			f.add(path+".on", "topic %s has batches, whose events begin together: concurrency by key, throttle, rateLimit and fair are for one event at a time", t.Topic.Name)
			return
		}
	}
}

func (f *faults) limit(path string, n int) {
	if n < 1 || n > api.MaxLimit {
		f.add(path, "%d is not between 1 and %d", n, api.MaxLimit)
	}
}

func (f *faults) key(path, text string) {
	if _, err := filter.ParseValue(text); err != nil {
		f.add(path, "%s", err)
	}
}

func (f *faults) rate(path string, r *api.Rate) {
	if r == nil {
		return
	}
	f.limit(path+".limit", r.Limit)
	switch {
	case r.Period < api.MinPeriod || r.Period > api.MaxPeriod:
		f.add(path+".period", "%s is not between 1ms and 30d", time.Duration(r.Period))
	case r.Limit > 0 && time.Duration(r.Period)/time.Duration(r.Limit) < time.Microsecond:
		f.add(path+".limit", "%d in %s is more than one in a microsecond", r.Limit, time.Duration(r.Period))
	}
	if r.Burst < 0 || r.Burst > r.Limit {
		f.add(path+".burst", "%d is not between 1 and limit, which is %d", r.Burst, r.Limit)
	}
	if r.Key != "" {
		f.key(path+".key", r.Key)
	}
}

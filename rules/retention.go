package rules

import (
	"time"

	"github.com/evoke-run/evoke/api"
)

// How long events and dead letters may stay.
const (
	minKeep = time.Second
	maxKeep = 100 * 365 * 24 * time.Hour
)

func (f *faults) retention(path string, t api.TopicSpec) {
	f.keep(path+".retention", t.Retention)
	if t.Unsettled != "" && t.Unsettled != "keep" && t.Unsettled != "deadletter" {
		f.add(path+".unsettled", "%q is neither keep nor deadletter", shorten(t.Unsettled))
	}
}

// keep checks how long something stays; 0 is the default.
func (f *faults) keep(path string, d api.Duration) {
	if v := time.Duration(d); v != 0 && (v < minKeep || v > maxKeep) {
		f.add(path, "%s is not between 1s and 100 years", v)
	}
}

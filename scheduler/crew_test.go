package scheduler

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/evoke-run/evoke/partition"
)

func TestCrewExecutesEachJobOnce(t *testing.T) {
	t.Parallel()
	const limit, jobs = 4, 200
	begun, end := make(chan int, jobs), make(chan struct{})
	var done atomic.Int64
	c := newCrew(limit, func(j job) {
		begun <- j.delivery.Attempt
		<-end
		done.Add(1)
	})
	seen := map[int]bool{}
	for i := range jobs {
		c.start(job{delivery: &partition.Delivery{Attempt: i}})
	}
	for range jobs { // all at once, whatever the limit: it says who stays
		seen[<-begun] = true
	}
	close(end)
	c.leave()
	if len(seen) != jobs || done.Load() != jobs || c.members.Load() != 0 {
		t.Errorf("%d different jobs began, %d ended, %d members are left", len(seen), done.Load(), c.members.Load())
	}
}

func TestCrewStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		done := 0
		c := newCrew(1, func(job) { done++ })
		for range 100 {
			c.start(job{})
			synctest.Wait() // until he waits for the next
		}
		if n := c.members.Load(); n != 1 || done != 100 {
			t.Errorf("%d members have done %d jobs, one at a time", n, done)
		}
		c.leave()
	})
}

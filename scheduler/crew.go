package scheduler

import (
	"sync"
	"sync/atomic"

	"github.com/evoke-run/evoke/partition"
)

// crew are goroutines that execute deliveries and stay for the next. A guest needs a deep stack: a new goroutine for each delivery would grow its own anew, step by
// step, which took a tenth of what an event costs.
type crew struct {
	jobs    chan job // start writes, those who have nothing to do read; closed by leave
	members atomic.Int64
	limit   int64 // who is one too many does not stay
	execute func(job)
	home    sync.WaitGroup
}

// job is a delivery that has its place.
type job struct {
	function *function
	delivery *partition.Delivery
}

func newCrew(limit int, execute func(job)) *crew {
	return &crew{jobs: make(chan job), limit: int64(limit), execute: execute}
}

// start does not wait.
func (c *crew) start(j job) {
	select {
	case c.jobs <- j:
	default:
		c.members.Add(1)
		c.home.Go(func() { c.work(j) })
	}
}

// work ends with leave.
func (c *crew) work(j job) {
	defer c.members.Add(-1)
	for ok := true; ok; {
		c.execute(j)
		if c.members.Load() > c.limit {
			return
		}
		j, ok = <-c.jobs
	}
}

// leave sends everyone home and waits for them. Nothing is started from then on.
func (c *crew) leave() {
	close(c.jobs)
	c.home.Wait()
}

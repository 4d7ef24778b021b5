package main

import (
	"context"
	"fmt"
	"time"
)

// pace keeps a loop over pages to a rate: a page never starts before the ones before it have used up their time.
type pace struct {
	rate  rate
	start time.Time
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

func (c *cli) newPace(r rate) *pace {
	sleep := c.sleep
	if sleep == nil {
		sleep = sleepFor
	}
	return &pace{rate: r, start: c.now(), now: c.now, sleep: sleep}
}

// maxPage is what the server changes in one call.
const maxPage = 1000

// page is how many to change at once: about a fifth of a second's worth, so that a rate is even and not a burst each second.
func (p *pace) page() int {
	if p.rate.n == 0 {
		return maxPage
	}
	fifth := float64(p.rate.n) * float64(time.Second/5) / float64(p.rate.per)
	return int(min(max(fifth, 1), maxPage))
}

// wait returns when the next page may start; done is how many there were so far.
func (p *pace) wait(ctx context.Context, done int) error {
	if p.rate.n == 0 {
		return ctx.Err()
	}
	due := p.start.Add(time.Duration(float64(done) / float64(p.rate.n) * float64(p.rate.per)))
	return p.sleep(ctx, due.Sub(p.now()))
}

func sleepFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return fmt.Errorf("wait for the rate: %w", ctx.Err())
	}
}

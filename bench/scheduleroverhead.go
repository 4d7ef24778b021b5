package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// overhead measures the whole way of an event that is ready until it is settled, but for what a function does: the scheduler of a node, in this process, works off
// a topic whose function is the smallest native guest there is, which returns "done". So an event is taken, read from the log, given a place and an instance, run,
// decided, settled durably and applied. The row has the time of each when many are under way at once, and the processor time, beside a number that is sent to another
// goroutine through a channel, which is the least that handing out work can cost.
type overhead struct {
	session  *session
	pipeline *wasmPipeline
	time     series
	cpu      series
}

func (s *session) newOverhead(p *wasmPipeline) *overhead {
	const name, unit, channel = "schedule_overhead_us", "µs/event", "channel"
	return &overhead{
		session: s, pipeline: p,
		time: series{name: name, unit: unit, against: channel}, cpu: series{name: "schedule_overhead_cpu_us", unit: unit, against: channel},
	}
}

func (o *overhead) rows() []row { return []row{o.time.row(), o.cpu.row()} }

func (o *overhead) round(ctx context.Context) error {
	dir := filepath.Join(o.session.dir, "overhead")
	ours, err := o.pipeline.run(ctx, dir)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	theirs := throughChannel(o.session.stored())
	o.time.add(ours.each(), theirs.each())
	o.cpu.add(ours.cpuEach(), theirs.cpuEach())
	return nil
}

// throughChannel sends n numbers to a goroutine that receives them, one after the other.
func throughChannel(n int) sample {
	numbers, ended := make(chan int), make(chan struct{})
	before, start := ownCPU(), time.Now()
	go func() {
		defer close(ended)
		for range numbers {
		}
	}()
	for i := range n {
		numbers <- i
	}
	close(numbers)
	<-ended
	return sample{n: n, elapsed: time.Since(start), cpu: ownCPU() - before}
}

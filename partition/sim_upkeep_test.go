package partition

import "time"

// This file is what a node does by itself in the background: look through the past for triggers, and remove what has had its time. Both are one goroutine of a table,
// here one call after the other.

func (w *simWorld) stepPast() {
	if n := w.someNode(); n != nil {
		w.lookThroughPast(n)
	}
}

// lookThroughPast makes one step of the runs of all partitions.
func (w *simWorld) lookThroughPast(n *simNode) {
	c := &catchUp{table: n.table, candidates: map[stepKey]*candidates{}}
	if n.past != nil && n.past.table == n.table && w.rng.IntN(8) > 0 { // else as after a while in which there was nothing to do
		c = n.past
	}
	n.past = c
	w.begin(n, "look through the past", func() error {
		_, err := c.round()
		return err
	})
}

// begin starts a call that is the only one of its kind at a node.
func (w *simWorld) begin(n *simNode, what string, call func() error) {
	if n.busy[what] {
		return
	}
	n.busy[what] = true
	w.logf("epoch %d: %s", n.epoch, what)
	workers := &n.table.workers // Close waits for it, as it does for the goroutines that do this elsewhere
	w.call(func() func() {
		var err error
		done := make(chan struct{})
		workers.Go(func() { err = call(); close(done) })
		<-done
		return func() {
			n.busy[what] = false
			w.gone(n, what, err)
		}
	})
	w.settleDown()
}

// stepRetention begins to remove what has had its time; half of the time nothing else happens until that is done.
func (w *simWorld) stepRetention() {
	if n := w.someNode(); n != nil {
		if w.retain(n); w.rng.IntN(2) == 0 {
			w.hurry(n)
		}
	}
}

func (w *simWorld) retain(n *simNode) {
	r := n.table.retainer
	w.begin(n, "retention", func() error { return r.round(&simRetention) })
}

// hurry stores and delivers what a node appended until its retention has nothing more to do.
func (w *simWorld) hurry(n *simNode) {
	for range 60 {
		for p := range simPartitions {
			if n.dead || !n.busy["retention"] {
				return
			}
			w.store(n, p, 1000)
			w.deliver(n, p, 1000, 0)
			w.settleDown()
		}
	}
}

// looksBack says whether a trigger has something to look through.
func (n *simNode) looksBack() bool {
	for _, m := range n.models {
		for _, t := range m.triggers {
			if len(t.runs) > 0 {
				return true
			}
		}
	}
	return false
}

// checkNothingStays lets everything have its time: nothing is in a topic then, no dead letter is left, and the log is cut up to what nothing needs.
func (w *simWorld) checkNothingStays(n *simNode) {
	w.sleepFor(simLongestKeep + 31*time.Second) // a clock may be half a minute ahead
	w.retain(n)
	w.flow()
	w.afterStep()
	for p, m := range n.models {
		dead := 0
		for _, t := range m.triggers {
			dead += len(t.dead)
		}
		if len(m.index)+dead > 0 {
			w.found("partition %d has %d events and %d dead letters when all have had their time", p, len(m.index), dead)
		}
		if n := len(m.order); n > 0 && m.floor+trimStep < m.order[n-1] {
			w.found("partition %d: the floor is %d, and nothing needs the event at %d", p, m.floor, m.order[n-1])
		}
	}
}

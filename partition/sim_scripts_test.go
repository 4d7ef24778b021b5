package partition

import (
	"testing"
	"testing/synctest"

	"github.com/evoke-run/evoke/event"
)

// This file has runs that do not follow from a number: what the simulation has found, written down.

func simScript(t *testing.T, script func(*simWorld)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld(t, 1, "")
		w.reseed(0)
		defer w.end()
		w.start()
		script(w)
		w.afterStep()
		w.drain()
		if f := w.finding(); f != "" {
			t.Error(f)
		}
	})
}

// What the leader before still changed counts for the next one too, although that one had read the state before.
func TestNextLeaderMatchesAgainstWhatIsInForceWhenItBegins(t *testing.T) {
	simScript(t, func(w *simWorld) {
		first := w.nodes[0]
		w.flow()
		w.boot("")
		delete(w.wanted, 1)
		w.setTriggers(first)
		for p := range simPartitions { // the change is stored before the lead
			w.store(first, p, 10)
		}
		w.flow()
		w.publishOne(w.nodes[1], "one")
		w.flow()
	})
}

// A node whose registry is behind asks for triggers that apply refuses; what is published then is for those in force.
func TestTriggersOfAnOlderGenerationChangeNothing(t *testing.T) {
	simScript(t, func(w *simWorld) {
		w.flow()
		n := w.nodes[0]
		delete(w.wanted, 1)
		w.setTriggers(n)
		w.callSetTriggers(n, w.generation-1, []uint64{3})
		w.flow()
		w.publishOne(n, "one")
		w.flow()
	})
}

func (w *simWorld) publishOne(n *simNode, id string) {
	w.call(func() func() {
		_, err := n.table.Publish(n.ctx, "default", "a", []event.Event{newEvent(id, "k1")})
		return func() { w.gone(n, "publish", err) }
	})
	w.settleDown()
}

// A record that comes back together with newer ones does not take the place of those before it in the journal of deduplication.
func TestRecordsThatComeBackTwiceDoNotMakeForget(t *testing.T) {
	simScript(t, func(w *simWorld) {
		w.flow()
		n := w.nodes[0]
		p := n.table.place("default", "k1", "", "").index
		for again, id := range []string{"one", "two"} {
			w.publishOne(n, id)
			w.store(n, p, 1)
			w.deliver(n, p, 1, again)
			w.settleDown()
		}
		w.kill(n)
		w.boot(n.dir)
		w.flow()
		w.afterStep()
	})
}

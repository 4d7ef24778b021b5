package scheduler

import (
	"time"

	"github.com/evoke-run/evoke/partition"
)

// waitsForModule is why an event waits whose function cannot be loaded.
const waitsForModule = "module"

// WaitsFor says what keeps an invocation from running that partitions call running or whose turn it is, and until when if that is known: "" = it runs. See
// api.Invocation.Why.
func (s *Scheduler) WaitsFor(i *partition.Invocation) (why string, until time.Time) {
	if i.State == partition.Running && s.seats.has(i.Name(), i.Trigger.Namespace) {
		return "", time.Time{}
	}
	if i.State == partition.Waiting {
		if why, until := s.pace(i.Trigger.ID).waits(); why != "" {
			return string(why), until
		}
	}
	return s.heldBy(i), time.Time{}
}

func (s *Scheduler) heldBy(i *partition.Invocation) string {
	f := s.acquire(functionName{i.Trigger.Namespace, i.Trigger.Function})
	if f == nil {
		return waitsForModule
	}
	defer s.release(f)
	if f.module == nil {
		return waitsForModule
	}
	held, limited := s.processors.holding(f.share)
	switch {
	case i.State == partition.Running && held != "":
		return string(held)
	case i.State == partition.Running:
		return string(heldByProcessors)
	case limited != "":
		return string(limited)
	}
	return partition.WaitsForTurn
}

// holding is what kept the next guest of a function from beginning, and more of its events from being taken, when there was last a look.
func (p *processors) holding(s *share) (held, limited holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.held, s.limited
}

// has says whether an invocation sits.
func (s *seats) has(id, namespace string) bool {
	for i := range s.list {
		at := &s.list[i]
		at.mu.Lock()
		sits := at.sitting != nil && at.sitting.function.spec.Namespace == namespace && at.sitting.handles(id)
		at.mu.Unlock()
		if sits {
			return true
		}
	}
	return false
}

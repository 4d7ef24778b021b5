package scheduler

// demand is what scale looks at: one function on this node, at one moment.
type demand struct {
	wanted int // events and calls that could run now, with those in progress; what waits for a retry or a delay is not among them

	concurrency int // of fn.yaml, 0 = no limit: events in progress at once, until they are settled
	max         int // scale.max of fn.yaml, 0 = no limit: guests that have begun
	settling    int // of the events in progress, those whose guest has ended
	begun       int // guests that have begun
	away        int // of those, the ones that need no processor: asleep, or in a host call
	functions   int // that want a processor, this one among them

	memory int64 // of one guest
	free   int64 // that no guest has taken
}

const (
	// ahead is how many guests of a function may wait for a processor or be on one: enough to keep every processor busy while the next are taken, few enough
	// that what is decided now is not about events that run much later.
	ahead = 16

	// aheadTogether bounds the same over all functions, and aheadLeast is what each has in any case.
	aheadTogether = 128
	aheadLeast    = 2
)

// scale says how many events of a function should be in progress, and what keeps it from being more: "" when that is all there are. It follows demand at once, from
// zero as well, and each guest that is away makes room for another one.
func scale(d demand) (n int, why holding) {
	n = d.wanted
	limit := func(most int, by holding) {
		if most < n {
			n, why = max(0, most), by
		}
	}
	limit(d.settling+d.away+min(ahead, max(aheadLeast, aheadTogether/max(1, d.functions))), heldByProcessors)
	fit := int((d.free) / max(1, d.memory))
	if d.begun == 0 {
		fit = max(1, fit) // it waits for its turn, rather than for somebody to look again
	}
	limit(d.settling+d.begun+fit, heldByMemory)
	if d.max > 0 {
		limit(d.settling+d.max, heldByMax)
	}
	if d.concurrency > 0 {
		limit(d.concurrency, heldByConcurrency)
	}
	return n, why
}

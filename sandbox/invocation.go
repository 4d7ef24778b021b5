package sandbox

import (
	"context"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

type phase uint8

const (
	initialising phase = iota // start section, _initialize, evoke_init
	handling                  // evoke_handle or _start
	ended
)

// invocation is the state of one delivery. It is the context that guests are called with, so that host functions find it without a look-up.
type invocation struct {
	context.Context

	module  *Module
	host    Host
	memory  *linearMemory
	started time.Time
	phase   phase
	during  string // the export that runs
	bill    Bill

	event   *event.Event
	parts   [lastPart + 1][]byte // built when first asked for
	built   [lastPart + 1]bool
	stdin   []byte // what is left of it
	log     guestLog
	reply   []byte
	tooLong bool // stdout went over the limit of a reply
	json    []byte

	verdictSet bool
	verdict    abi.Verdict
	retryAfter time.Duration
	reason     string

	emitted []Emitted
	effects effects
	calls   calls
}

// effects counts the bytes that a delivery wants to make real (docs/abi.md section 6).
type effects struct {
	emitted int
	state   map[string]int // bytes written by name: the last write of a name counts
	written int            // sum of state
}

// fits says whether n more bytes are within the limit, when they replace what was written under a state name.
func (e *effects) fits(n int, stateName string) bool {
	return e.emitted+e.written-e.state[stateName]+n <= abi.MaxEffects
}

func (e *effects) write(stateName string, n int) {
	if e.state == nil {
		e.state = map[string]int{}
	}
	e.written += n - e.state[stateName]
	e.state[stateName] = n
}

package sandbox

import (
	"context"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// duringStart names the start function, which has no export of its own in messages.
const duringStart = "the start function"

type phase uint8

const (
	initialising phase = iota // start section, _initialize, evoke_init, evoke_restore
	warming                   // a script's handler, with an event for nobody
	handling                  // evoke_handle or _start
	over
)

// invocation is the state of one delivery. It is the context that guests are called with, so that host functions find it without a look-up.
type invocation struct {
	context.Context

	program  *program
	instance *instance
	host     Host
	started  time.Time // when the event came
	begun    time.Time // when it had its instance
	deadline time.Time
	timeout  time.Duration // from started to the first deadline; the host may have moved that on since
	turn     time.Time     // when the guest last let other goroutines run
	patience time.Duration // how long others have to wait from then on
	outside  time.Duration // time that was not the guest's: in host calls, asleep, waiting for its turn
	moment   time.Duration // what it has beyond the deadline, see scriptMoment
	world    *world        // of a snapshot that is being made, else nil: the real one
	phase    phase
	during   string // the export that runs
	stack    [1]uint64
	bill     Bill

	interrupted bool       // a script was told to end
	where       string     // a script was when it ended, for messages
	rejections  rejections // promises of a script that nobody has looked at
	webProblem  string     // what was wrong with a script's last call of package web, as JSON: name and message

	first   delivered
	more    []delivered // of a batch: the events behind the first
	stdin   []byte      // what is left of it
	log     guestLog
	reply   []byte
	tooLong bool // stdout went over the limit of a reply
	json    []byte

	emitted []Emitted
	effects effects
	calls   calls
}

// delivered is one event of a delivery and what the guest said of it.
type delivered struct {
	event *event.Event
	parts [lastPart + 1][]byte // built when first asked for
	built [lastPart + 1]bool

	verdictSet bool
	verdict    abi.Verdict
	retryAfter time.Duration
	reason     string
}

// count is how many events the delivery has.
func (inv *invocation) count() int { return 1 + len(inv.more) }

// at is the event of a number from 0 on, below count.
func (inv *invocation) at(ev int) *delivered {
	if ev == 0 {
		return &inv.first
	}
	return &inv.more[ev-1]
}

// Value hides the caller's values from the engine, which looks for some of its own at each call. Hosts get the caller's context itself.
func (inv *invocation) Value(any) any { return nil }

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

package sandbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// Host is what one delivery may reach outside its sandbox. Its methods are called in the goroutine of Invoke; only what Begin returns runs in others.
type Host interface {
	// AllowEmit says whether the function may emit to a topic (valid topic names only).
	AllowEmit(topic string) bool

	// Call runs a capability (docs/abi.md section 8) and returns its status and answer. It must return soon after ctx ends. The request is the
	// guest's, checked for its size only; the host may keep it. The sandbox answers config.get itself.
	Call(ctx context.Context, op string, request []byte) (status int32, answer []byte)

	// Begin is asked before Call. A capability that takes long, such as a request to another machine, answers it with what there is to do, and Call is not asked then. That runs
	// in a goroutine of its own while the guest goes on; ctx ends when the guest does not want it any more, or with the delivery, and it must return soon after. The
	// delivery ends when all have returned. reserve says whether the answer may have so many more bytes. nil = it takes no time worth speaking of.
	Begin(op string, request []byte) (run func(ctx context.Context, reserve func(n int) bool) (status int32, answer []byte))

	// Attempt is which try of an event it is, from 1 on; of a batch, of the event at a place from 0 on.
	Attempt(ev int) int

	// Log takes a line of the guest, already cut to the limit. It is valid UTF-8.
	Log(level slog.Level, message string)

	// Yield is called about every millisecond while the guest runs, with the fuel it has used so far, and may wait before the guest goes on: until ctx ends
	// at the latest. The deadline of ctx may be a later one afterwards, as after Outside.
	Yield(ctx context.Context, fuel int64)

	// Outside runs wait, during which the guest needs no processor: it sleeps. It may wait itself before the guest goes on, until ctx ends at the latest.
	Outside(ctx context.Context, fuel int64, wait func())
}

// Emitted is an event the guest emitted: id, source and time may still be empty, type never is.
type Emitted struct {
	Topic string
	Event event.Event
}

// Result is how a delivery ended.
type Result struct {
	Verdict    abi.Verdict
	Class      string        // "" when done; else one of the Class constants
	Reason     string        // for people, at most 4 KiB; "" when done
	RetryAfter time.Duration // −1 = the policy decides
	Data       []byte        // reply; also of a guest that said failed or rejected
	Attributes []byte        // reply JSON, nil when not set
	Emitted    []Emitted     // empty unless done; of a batch, unless all its events are
	Dropped    int           // how many events were emitted that are not in Emitted, because not all is done
	Bill       Bill
	More       []Result // of a batch: what became of the events behind the first, one by one; the rest of the fields is for the whole batch
}

// Classes of results that are not done.
const (
	ClassError    = "error"    // the guest said failed
	ClassRejected = "rejected" // the guest said rejected
	ClassTrap     = "trap"     // the guest did what a guest must not
	ClassDeadline = "deadline" // the guest was not done in time
	ClassMemory   = "memory"   // the guest wanted more memory than its limit and died of it
	ClassExit     = "exit"     // the guest called proc_exit while it handled an event
	ClassInit     = "init"     // the guest failed before it saw the event
	ClassCanceled = "canceled" // the caller's context was canceled
	ClassInternal = "internal" // our fault
)

// Bill is what an attempt used.
type Bill struct {
	Wall       time.Duration
	Guest      time.Duration // until the guest ended, without capabilities, sleep, and what other goroutines took when it made room for them
	Fuel       int64         // units of work: about one for each instruction
	PeakMemory int64         // bytes of linear memory
	BytesIn    int64         // of the event and of answers, copied into the guest
	BytesOut   int64         // of replies, emitted events and requests, copied out of it
	HostCalls  int64         // imported functions the guest called
}

package partition

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evoke-run/evoke/event"
)

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("not found")
	ErrClosed   = errors.New("partitions are closed")
	ErrDeposed  = errors.New("this node leads no more")
	ErrBehind   = errors.New("the state is too far behind the log")
	ErrDiskLow  = errors.New("disk is nearly full")
	ErrTooLarge = errors.New("too large")
)

// ID names one delivery: the event at an offset of a partition, for one trigger. It is also the id of its invocation and of its dead letter.
type ID struct {
	Partition int
	Offset    uint64
	Trigger   uint64
}

// String is the form that people and URLs use, "3-1042-17".
func (id ID) String() string {
	return strconv.Itoa(id.Partition) + "-" + strconv.FormatUint(id.Offset, 10) + "-" + strconv.FormatUint(id.Trigger, 10)
}

// ParseID reads the form of String.
func ParseID(s string) (ID, error) {
	parts := strings.Split(s, "-")
	if len(parts) == 3 {
		p, err1 := strconv.ParseUint(parts[0], 10, 16)
		offset, err2 := strconv.ParseUint(parts[1], 10, 64)
		trigger, err3 := strconv.ParseUint(parts[2], 10, 64)
		if errors.Join(err1, err2, err3) == nil {
			return ID{Partition: int(p), Offset: offset, Trigger: trigger}, nil
		}
	}
	return ID{}, fmt.Errorf("%q is not an id such as 3-1042-17 (partition, offset, trigger)", s)
}

// Stored says where a published event is. Duplicate means that the same source and id came before, to the same topic, and is at Offset.
type Stored struct {
	Partition int
	Offset    uint64
	Duplicate bool
}

// Trigger is what a partition must know of a topic trigger. It is stored as JSON in control records.
type Trigger struct {
	ID        uint64 `json:"id"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Function  string `json:"function"`
	Topic     string `json:"topic"` // with * and >
	Filter    string `json:"filter,omitempty"`
	Order     string `json:"order,omitempty"`     // "" or "key"
	OnFailure string `json:"onFailure,omitempty"` // "" or "park", with order "key"

	// Paused hands no event out; what matches waits.
	Paused bool `json:"paused,omitempty"`
	// Start is what of the past the trigger begins with, nil = nothing. It counts when the trigger is put in force for the first time.
	Start *Range `json:"start,omitempty"`
	// Replay is the newest replay asked for. It begins where its ID is higher than that of the one before.
	Replay *Replay `json:"replay,omitempty"`
	// Priority is an expression for a rank of -100 to 100: of events that wait, those of higher rank come first. "" = all have the same. Not with order or batch.
	Priority string `json:"priority,omitempty"`
	// Batch lets it hand out several events at a time; nil = one.
	Batch *Batch `json:"batch,omitempty"`
}

// Attempt is what the log keeps of one try.
type Attempt struct {
	Number   int // from 1 on within a generation
	Revision int
	Start    time.Time
	Duration time.Duration
	Verdict  int32 // of sdk/abi
	Class    string
	Error    string
}

// Delivery is an event handed to one trigger for one attempt, or the first one of a batch.
type Delivery struct {
	ID         ID
	Generation uint32
	Revision   int       // that must run it; 0 = the one in force
	Attempt    int       // from 1 on
	First      time.Time // start of the first attempt of this generation; zero at the first
	Stored     time.Time // when the event was stored
	Trigger    Trigger
	Topic      string
	Event      event.Event
	More       []Delivery // of a batch: those behind the first, of the same partition and trigger
}

// All yields the delivery and those behind it in its batch.
func (d *Delivery) All() iter.Seq[*Delivery] {
	return func(yield func(*Delivery) bool) {
		if !yield(d) {
			return
		}
		for i := range d.More {
			if !yield(&d.More[i]) {
				return
			}
		}
	}
}

// Alone is the delivery without those behind it.
func (d *Delivery) Alone() *Delivery {
	alone := *d
	alone.More = nil
	return &alone
}

// Invocation is the id under which the delivery is known: the same for all its attempts, a new one for each redrive and replay.
func (d *Delivery) Invocation() string { return invocationName(d.ID, d.Generation) }

// StateRead is a state entry that an invocation looked at: the version it saw, 0 for an absent one.
type StateRead struct {
	Name    string
	Version uint64
}

// StateWrite is a state entry that an invocation set or deleted.
type StateWrite struct {
	Name   string
	Value  []byte
	Delete bool
}

// Emit is an event that an invocation emits to a topic of its namespace.
type Emit struct {
	Topic string
	Event event.Event
}

// Effects are what an invocation did.
type Effects struct {
	Reads  []StateRead
	Writes []StateWrite
	Emits  []Emit
	Joints []Joint // at most one of each function
}

// Empty says that nothing has to be stored for a synchronous call.
func (e *Effects) Empty() bool {
	return len(e.Writes) == 0 && len(e.Emits) == 0 && !slices.ContainsFunc(e.Joints, func(j Joint) bool { return len(j.Writes) > 0 })
}

// Next is what becomes of an event after an attempt. The zero value means it is settled: done.
type Next struct {
	RetryAt    time.Time // try again then
	DeadLetter bool      // give up
	GoOn       bool      // with DeadLetter: its key does not park
	Cancel     bool      // somebody does not want it done: settled, without effects
}

// Outcome is what apply said of a settle or of effects.
type Outcome int

// Outcomes. Conflict: a state entry has changed since it was read, nothing happened, run it again. Stale: this attempt was settled before
// or its trigger is gone, nothing happened. Answered: see PerformOnce. Throttled: see Admit. Overlaps: see Fire.
const (
	Applied Outcome = iota
	Conflict
	Stale
	Answered
	Throttled
	Overlaps
)

// TopicRecord is an event of a topic with its position.
type TopicRecord struct {
	Partition int
	Offset    uint64
	Time      time.Time // when it was stored
	Topic     string
	Event     event.Event
	Position  Cursor // behind this event, in the order of the tail
}

// Stats counts what a trigger has to do.
type Stats struct {
	Pending     int            // waiting, running or between attempts
	Retrying    int            // of those, failed at least once
	Timed       int            // of those, may not run before a time that has not come: a retry, or a delayed event
	Running     int            // of those, taken
	Queued      int            // of those, behind an event of their key; some may have been settled
	Aside       map[string]int // of those, set aside, by reason
	DeadLetters int
	CatchingUp  int // partitions that have not looked through all of the past that the trigger asked for
	Parked      int // keys that stand still behind a dead letter
	Behind      int // events found waiting behind them

	OldestDeadLetter, OldestParked time.Time // when they were given up; zero = there is none
}

// DeadLetter is an event given up on.
type DeadLetter struct {
	ID         ID
	Trigger    Trigger
	Topic      string
	Generation uint32
	Time       time.Time
	Attempts   []Attempt // of all generations
	Event      event.Event

	Parked      bool   // its key stands still until it is redriven or discarded
	Behind      int    // how many events of the key have been found waiting for that
	TriggerGone bool   // its trigger is out of force; it can only be discarded
	EditedAt    uint32 // the generation that began with an edited event; 0 = Event is as it came

	source uint64 // where Event is
}

package evoke

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Emit, the state functions, Config, Secret and Fetch; compare with errors.Is.
var (
	// ErrDenied means that the manifest does not allow it.
	ErrDenied = errors.New("denied")
	// ErrTooLarge means that a limit of the delivery is reached.
	ErrTooLarge = errors.New("too large")
	// ErrNoKey means that the event has no key, which state needs.
	ErrNoKey = errors.New("the event has no key")
	// ErrInvalid means that the runtime cannot accept a value.
	ErrInvalid = errors.New("invalid")
	// ErrBusy means that as many requests as are possible were open until the time was over.
	ErrBusy = errors.New("too many requests are open")
	// ErrUnreachable means that a host did not take the connection, or broke it off.
	ErrUnreachable = errors.New("unreachable")
)

// opError says what was tried, why it is refused and what helps. It does without package fmt to keep small functions small.
type opError struct {
	op, name, help string
	err            error
}

func (e *opError) Error() string {
	text := e.op
	if e.name != "" {
		text += " " + quote(e.name)
	}
	text += ": " + e.err.Error()
	if e.help != "" {
		text += "; " + e.help
	}
	return text
}

func (e *opError) Unwrap() error { return e.err }

type rejection struct{ err error }

func (r *rejection) Error() string { return r.err.Error() }
func (r *rejection) Unwrap() error { return r.err }

// Reject says that trying again is of no use: the event becomes a dead letter with this error as its reason. Wrapping the result keeps its meaning.
func Reject(err error) error {
	if err == nil {
		err = errors.New("rejected without a reason")
	}
	return &rejection{err}
}

// Rejectf is Reject with a formatted error; %w works as in fmt.Errorf.
func Rejectf(format string, args ...any) error { return &rejection{fmt.Errorf(format, args...)} }

type delay struct {
	after time.Duration
	err   error
}

func (d *delay) Error() string { return d.err.Error() }
func (d *delay) Unwrap() error { return d.err }

// RetryAfter says that the event is to be tried again after d (at most 15 minutes), instead of when the policy of the trigger would. The attempt
// counts like any other.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = errors.New("failed without a reason")
	}
	return &delay{max(d, 0), err}
}

package sandbox

import (
	"errors"
	"fmt"
)

// RefusedError says why a module cannot run here: the module's fault, not the runtime's.
type RefusedError struct {
	Reason string // what was found
	Advice string // what to do about it; may be empty
}

func (e *RefusedError) Error() string {
	if e.Advice == "" {
		return "module refused: " + e.Reason
	}
	return "module refused: " + e.Reason + ". Try: " + e.Advice
}

// InitError says how the initialisation of a module ended, in the words of a Result.
type InitError struct {
	Class  string // ClassInit, ClassDeadline, ClassMemory or ClassInternal
	Reason string
}

func (e *InitError) Error() string { return e.Reason }

// maxReason bounds a refusal in bytes: it may repeat names of the module.
const maxReason = 2 << 10

func refuse(advice, format string, args ...any) *RefusedError {
	return &RefusedError{Reason: cutText(printable(fmt.Sprintf(format, args...)), maxReason), Advice: printable(advice)}
}

// Host functions end the guest by panicking with one of the three below; the engine unwinds and returns them as the error of the call.

// trapError is a misuse of a host function that the guest cannot go on from.
type trapError struct{ text string }

func (e *trapError) Error() string { return e.text }

// exitError is the guest's proc_exit.
type exitError struct{ code uint32 }

func (e *exitError) Error() string { return fmt.Sprintf("exited with code %d", e.code) }

// errStopped ends a guest whose context is done.
var errStopped = errors.New("stopped")

package registry

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotFound: there is no such function, topic, secret or module.
	ErrNotFound = errors.New("not found")
	// ErrConflict: someone else holds what was to be changed, or changed it at the same time.
	ErrConflict = errors.New("conflict")
	// ErrInUse: something needs what was to be removed.
	ErrInUse = errors.New("in use")
	// ErrDigest: a digest has the wrong form, or bytes do not hash to it.
	ErrDigest = errors.New("digest does not match")
	// ErrTooLarge: a module is over the limit.
	ErrTooLarge = errors.New("too large")
)

// Fault is one broken rule of a spec.
type Fault struct {
	// Field is a path as in fn.yaml, "functions.charge.on[0].topic.filter".
	Field string `json:"field"`
	// Problem says what is wrong with its value and what would be right.
	Problem string `json:"problem"`
}

// InvalidError lists all rules that a spec breaks, in the order of their fields.
type InvalidError struct{ Faults []Fault }

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.Field + ": " + f.Problem
	}
	return strings.Join(lines, "; ")
}

// faults collects what validation finds.
type faults struct{ list []Fault }

func (f *faults) add(field, format string, args ...any) {
	f.list = append(f.list, Fault{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return &InvalidError{Faults: f.list}
}

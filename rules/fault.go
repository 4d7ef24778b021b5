package rules

import (
	"fmt"
	"strings"
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

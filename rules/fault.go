package rules

import (
	"fmt"
	"strings"

	"github.com/evoke-run/evoke/api"
)

// InvalidError lists all rules that a spec breaks, in the order of their fields.
type InvalidError struct{ Faults []api.Fault }

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.Field + ": " + f.Problem
	}
	return strings.Join(lines, "; ")
}

// faults collects what validation finds.
type faults struct{ list []api.Fault }

func (f *faults) add(field, format string, args ...any) {
	f.list = append(f.list, api.Fault{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return &InvalidError{Faults: f.list}
}

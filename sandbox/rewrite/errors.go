package rewrite

import (
	"fmt"
	"strings"
)

// Error says why a module was refused.
type Error struct {
	Function int    // index of the function it was found in, imports counted, -1 when it lies outside of functions
	Name     string // that function's name in the name section, "" when it has none
	Offset   int    // byte of the module where it was found, -1 when no single place is at fault
	Reason   string // what was found
	Advice   string // what to try; "" when the module is simply broken
}

// Error is one line: where, what, and what to try.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Function >= 0 {
		b.WriteString(describe(e.Function, e.Name))
	} else {
		b.WriteString("module")
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at byte %#x", e.Offset)
	}
	b.WriteString(": " + e.Reason)
	if e.Advice != "" {
		b.WriteString("; " + e.Advice)
	}
	return b.String()
}

// broken is a fault of the encoding: no compiler writes it.
func broken(offset int, format string, args ...any) *Error {
	return &Error{Function: -1, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// refused is a module that is sound and asks for something this sandbox does not give.
func refused(offset int, advice, format string, args ...any) *Error {
	return &Error{Function: -1, Offset: offset, Reason: fmt.Sprintf(format, args...), Advice: advice}
}

// adviceLess is for what a module has too many of.
const adviceLess = "leave out what is not used, as linkers do with --gc-sections"

func describe(function int, name string) string {
	if name == "" {
		return fmt.Sprintf("function %d", function)
	}
	return fmt.Sprintf("function %d (%s)", function, name)
}

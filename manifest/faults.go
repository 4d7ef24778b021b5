package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a manifest.
type Fault struct {
	File string
	// Line and Column count from 1.
	Line, Column int
	Message      string
}

// Error is "fn.yaml:12:5: functions.charge.on[0].topic.batch is not supported yet".
func (f Fault) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Faults are all things wrong with a manifest in the order of the file; never empty when returned as an error.
type Faults []Fault

// Error has one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// at is a place in the file.
type at struct{ line, column int }

type decoder struct {
	file   string
	faults Faults
	places map[string]at // of each value, by its path
}

// remember keeps where a value stands, for faults that are found later.
func (d *decoder) remember(v value) {
	if d.places == nil {
		d.places = map[string]at{}
	}
	d.places[v.path] = v.at()
}

func (d *decoder) fault(p at, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.file, Line: p.line, Column: p.column, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) err() error {
	if len(d.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return d.faults
}

// closest returns the name that a mistyped one most likely meant, or "".
func closest(word string, names []string) string {
	best, distance := "", 3
	for _, name := range names {
		n := editDistance(strings.ToLower(word), strings.ToLower(name))
		// Two edits in a word of three letters are another word.
		if n < distance && n*2 < max(len(word), len(name)) {
			best, distance = name, n
		}
	}
	return best
}

// editDistance counts inserted, deleted, replaced and swapped neighbouring bytes that turn a into b.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := 1
			if a[i-1] == b[j-1] {
				replace = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// Package absent words the notes of a build about what a function calls and a sandbox does not have. It compiles, and fails when it is called, in words that were made for other places. What that is in
// a language, and where it is called, its builder finds out.
package absent

import (
	"fmt"
	"path/filepath"
)

// Use is a call of what is not there.
type Use struct {
	File string // absolute
	Line int
	Call string // as people name it, "os.Open"
	Why  string // why it fails, and what there is instead
}

// most is how many notes there are.
const most = 5

// Notes tell of uses, in their order, with files as seen from root.
func Notes(root string, uses []Use) []string {
	var out []string
	for _, u := range uses[:min(len(uses), most)] {
		file := u.File
		if short, err := filepath.Rel(root, file); err == nil {
			file = filepath.ToSlash(short)
		}
		out = append(out, fmt.Sprintf("%s:%d: %s: %s", file, u.Line, u.Call, u.Why))
	}
	if more := len(uses) - most; more > 0 {
		out = append(out, fmt.Sprintf("%d more calls are of what a function does not have", more))
	}
	return out
}

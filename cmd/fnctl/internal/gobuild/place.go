package gobuild

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var place = regexp.MustCompile(`^\s*(?:vet: )?([^\s:][^:]*\.(?:go|mod|sum)):(\d+)(?::(\d+))?: `)

// Place reads of a line of the toolchain's output where something is wrong: the file, as seen from the directory of the package, its line, and the column, 0 when it is not said.
func Place(text string) (file string, line, column int, ok bool) {
	m := place.FindStringSubmatch(text)
	if m == nil {
		return "", 0, 0, false
	}
	line, _ = strconv.Atoi(m[2]) // one that is too long is in no file
	column, _ = strconv.Atoi(m[3])
	return m[1], line, column, true
}

// filesOf are the files that an output about the package in dir is about.
func filesOf(output, dir, gomod string) []string {
	var files []string
	for text := range strings.Lines(output) {
		file, _, _, ok := Place(text)
		if !ok {
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		files, _ = filepath.Glob(filepath.Join(dir, "*.go")) // the pattern is only bad when dir has brackets; then none is known
	}
	if gomod != "" && gomod != os.DevNull {
		files = append(files, gomod, filepath.Join(filepath.Dir(gomod), "go.sum"))
	}
	slices.Sort(files)
	return slices.Compact(files)
}

package jsbuild

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Part is a package, or the user's own files.
type Part struct {
	Name  string // of the package; "" = the user's own
	Bytes int    // that it has in the module
}

// metafile is what esbuild says of a module, as far as it is needed here. Files are relative to the directory of the entry.
type metafile struct {
	Inputs  map[string]struct{ Imports []metaImport }
	Outputs map[string]struct {
		Exports    []string
		EntryPoint string
		Inputs     map[string]struct{ BytesInOutput int }
	}
}

type metaImport struct {
	Path     string // a file among the inputs, unless External
	Kind     string // "import-statement", "require-call", …
	External bool
}

// check finds what esbuild does not mind.
func (m *metafile) check(dir, entry string) error {
	for _, name := range slices.Sorted(maps.Keys(m.Inputs)) {
		file, isFile := inputFile(dir, name)
		if !isFile || packageOf(name) != "" || filepath.Ext(name) == ".bin" {
			continue
		}
		if text, err := os.ReadFile(file); err == nil && !utf8.Valid(text) {
			return &Error{Faults: []string{fmt.Sprintf("%s is not UTF-8 text: byte %d begins no character", name, invalidAt(text))}, Try: "save it as UTF-8"}
		}
	}
	for _, out := range m.Outputs {
		if out.EntryPoint == "" || slices.Contains(out.Exports, "default") {
			continue
		}
		text := entry + " has no default export, so nothing says what handles events"
		if len(out.Exports) > 0 {
			text += "; it exports " + strings.Join(out.Exports, ", ")
		}
		return &Error{Faults: []string{text}, Try: "export default function (event, context) { … }, or an object with fetch(request, env, context)"}
	}
	return nil
}

func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(text)
}

// lateFaults are what will fail if it ever runs.
func (m *metafile) lateFaults() []string {
	found := map[string]bool{}
	for name, input := range m.Inputs {
		for _, i := range input.Imports {
			if i.External && strings.HasPrefix(i.Path, nodePrefix) {
				found[fmt.Sprintf("%s loads %q while it runs, which fails: %s", cmp.Or(packageOf(name), name), i.Path, nodeText(i.Path))] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// inputFile is the file that an input was read from; what a plug-in has made of nothing has the plug-in's name before a colon.
func inputFile(dir, name string) (file string, ok bool) {
	file = filepath.FromSlash(name)
	switch {
	case filepath.IsAbs(file):
		return file, true
	case strings.Contains(name, ":"):
		return "", false
	}
	return filepath.Join(dir, file), true
}

// files are the files among the inputs, absolute.
func (m *metafile) files(dir string) []string {
	var out []string
	for name := range m.Inputs {
		if file, ok := inputFile(dir, name); ok {
			out = append(out, file)
		}
	}
	slices.Sort(out)
	return out
}

// parts are what the module was made of, the largest first.
func (m *metafile) parts() []Part {
	bytes := map[string]int{}
	for _, out := range m.Outputs {
		for file, in := range out.Inputs {
			bytes[packageOf(file)] += in.BytesInOutput
		}
	}
	var out []Part
	for name, n := range bytes {
		out = append(out, Part{name, n})
	}
	slices.SortFunc(out, func(a, b Part) int { return cmp.Or(b.Bytes-a.Bytes, strings.Compare(a.Name, b.Name)) })
	return out
}

// importers says of each package by which other one it was imported first, "" = by the user's own files: the shortest way there.
func (m *metafile) importers() map[string]string {
	from := map[string]string{}
	imports := map[string]map[string]bool{} // of a package, or of the user's own files: other packages
	for file, input := range m.Inputs {
		a := packageOf(file)
		for _, i := range input.Imports {
			if b := packageOf(i.Path); !i.External && b != a && b != "" {
				if imports[a] == nil {
					imports[a] = map[string]bool{}
				}
				imports[a][b] = true
			}
		}
	}
	for round := []string{""}; len(round) > 0; {
		var next []string
		for _, a := range round {
			for _, b := range slices.Sorted(maps.Keys(imports[a])) {
				if _, known := from[b]; !known {
					from[b] = a
					next = append(next, b)
				}
			}
		}
		round = next
	}
	return from
}

// tooLarge names what makes a module so large.
func tooLarge(size, largest int, parts []Part) *Error {
	const most = 5
	var names []string
	for _, p := range parts[:min(len(parts), most)] {
		names = append(names, fmt.Sprintf("%s (%s)", cmp.Or(p.Name, "your own files"), mebibytes(p.Bytes)))
	}
	return &Error{
		Faults: []string{fmt.Sprintf("the module has %s, and a script may have %s; the most of it is %s", mebibytes(size), mebibytes(largest), strings.Join(names, ", "))},
		Try:    "a smaller package, an import of only what is used, or data that is fetched or kept in state",
	}
}

func mebibytes(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

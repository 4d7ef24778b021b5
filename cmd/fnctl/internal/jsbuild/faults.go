package jsbuild

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// maxFaults are shown; one missing package can be imported a hundred times.
const maxFaults = 10

// newError puts what esbuild says into words that help here.
func newError(file string, messages []api.Message) *Error {
	e := &Error{files: filesOf(filepath.Dir(file), messages)}
	var install []string
	var through map[string]string // made for the first fault that needs it
	seen := map[string]bool{}
	kept := messages[:0]
	for _, m := range messages {
		name, unresolved := unresolvedImport(m.Text)
		switch top := topOf(name); {
		case unresolved && isNode(name):
			if through == nil {
				through = chains(file)
			}
			importer := packageOf(fileOf(m))
			if key := importer + " " + top; seen[key] {
				continue // a package may ask for it in many places
			} else {
				seen[key] = true
			}
			m.Text, m.Notes = nodeText(name)+through[importer], nil
		case unresolved && isPackage(name):
			m.Notes = withoutExternal(m.Notes)
			if len(m.Notes) == 0 && !slices.Contains(install, top) {
				install = append(install, top)
			}
		case unresolved:
			m.Notes = append(withoutExternal(m.Notes), api.Note{Text: "A path begins at the file that imports it; .ts, .tsx, .js, .jsx and .json may be left out."})
		case strings.HasPrefix(m.Text, "No loader is configured"):
			m.Notes = []api.Note{{Text: "JSON becomes a value, .txt, .html, .md, .sql, .csv, .xml and .svg a text, and .bin a Uint8Array. WebAssembly cannot be imported by scripts."}}
		}
		kept = append(kept, m)
	}
	if more := len(kept) - maxFaults; more > 0 {
		e.Faults = append(texts(kept[:maxFaults], api.ErrorMessage), fmt.Sprintf("and %d more", more))
	} else {
		e.Faults = texts(kept, api.ErrorMessage)
	}
	if len(install) > 0 {
		slices.Sort(install)
		e.Try = "npm install " + strings.Join(install, " ") + " beside the source, or correct the name"
	}
	return e
}

// texts are messages with file, line and caret.
func texts(messages []api.Message, kind api.MessageKind) []string {
	var out []string
	for _, m := range api.FormatMessages(messages, api.FormatMessagesOptions{Kind: kind, TerminalWidth: 120}) {
		out = append(out, strings.TrimSpace(m))
	}
	return out
}

// filesOf are the files, absolute, that messages and their notes are about, as far as they say where.
func filesOf(dir string, messages []api.Message) []string {
	var out []string
	add := func(name string) {
		if file, ok := inputFile(dir, name); ok && name != "" {
			out = append(out, file)
		}
	}
	for _, m := range messages {
		add(fileOf(m))
		if name, ok := lacksExport(m.Text); ok {
			add(name)
		}
		for _, n := range m.Notes {
			if n.Location != nil {
				add(n.Location.File)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lacksExport is the file of which a message says that it does not export what another one imports.
func lacksExport(text string) (name string, ok bool) {
	quoted, ok := strings.CutPrefix(text, "No matching export in ")
	quoted, _, found := strings.Cut(quoted, " for import ")
	return name, ok && found && json.Unmarshal([]byte(quoted), &name) == nil
}

func fileOf(m api.Message) string {
	if m.Location == nil {
		return ""
	}
	return m.Location.File
}

// unresolvedImport is what a message says cannot be found.
func unresolvedImport(text string) (name string, ok bool) {
	quoted, ok := strings.CutPrefix(text, "Could not resolve ")
	return name, ok && json.Unmarshal([]byte(quoted), &name) == nil
}

// withoutExternal drops the advice to leave an import in the module: nothing is there to import it when the function runs.
func withoutExternal(notes []api.Note) []api.Note {
	return slices.DeleteFunc(notes, func(n api.Note) bool {
		return strings.HasPrefix(n.Text, "You can mark the path") || strings.Contains(n.Text, `"external"`)
	})
}

// isPackage says whether an import is of a package and not of a file.
func isPackage(name string) bool {
	return name != "" && !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#") && !filepath.IsAbs(name) && !strings.Contains(name, ":")
}

// topOf is the package of an import: of @scope/name/lib/x it is @scope/name.
func topOf(name string) string {
	n := 1
	if strings.HasPrefix(name, "@") {
		n = 2
	}
	parts := strings.Split(name, "/")
	return strings.Join(parts[:min(n, len(parts))], "/")
}

// packageOf is the package that a file belongs to; "" for those that are the user's own.
func packageOf(file string) string {
	const dir = "node_modules/"
	i := strings.LastIndex(filepath.ToSlash(file), dir)
	if i < 0 {
		return ""
	}
	return topOf(filepath.ToSlash(file)[i+len(dir):])
}

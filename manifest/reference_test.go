package manifest

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference-fn.yaml.md anew")

const referencePage = "../docs/reference-fn.yaml.md"

const referenceHead = `# fn.yaml

<!-- Made by make generate from what package manifest reads; edit the texts there. -->

Every key of fn.yaml: the shape of its value, what holds when it is left out, an example, and what it means. An unknown key is an error with line and column. The same as a JSON schema, for editors: ` + "`fnctl schema`" + `.

`

// The page says what is read, and no more.
func TestReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	page := referenceHead + strings.Join(reference(t), "\n")
	if *update {
		if err := os.WriteFile(referencePage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	there, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if string(there) != page {
		t.Errorf("%s is not what fn.yaml has; run make generate", referencePage)
	}
}

// Every key has an example, which can be read where the key stands, and so can what is said to be its default.
func TestEveryExampleCanBeRead(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, f := range keysOf(t) {
		path, d := detailOf(f.path)
		used[path] = true
		if d.example == "" {
			t.Errorf("%s has no example", f.path)
		}
		for _, v := range []string{d.example, d.without} {
			if v == "" {
				continue
			}
			text, key := manifestWith(f.path, v, d.with)
			if _, err := Parse("fn.yaml", []byte(text)); err != nil && strings.Contains(err.Error(), ": "+key) {
				t.Errorf("%s cannot be %s: %v\n%s", f.path, v, err, text)
			}
		}
	}
	for path := range details {
		if !used[path] {
			t.Errorf("%s has an example, and is no key", path)
		}
	}
}

// keysOf are the forms of all keys.
func keysOf(t *testing.T) (out []*form) {
	t.Helper()
	d, root := &decoder{}, &form{}
	for _, v := range root.probes("") {
		d.manifest(v)
	}
	var look func(f *form)
	look = func(f *form) {
		for _, a := range f.alternatives {
			for _, name := range slices.Sorted(maps.Keys(a.keys)) {
				out = append(out, a.keys[name])
				look(a.keys[name])
			}
			for _, below := range []*form{a.items, a.other} {
				if below != nil {
					look(below)
				}
			}
		}
	}
	look(root)
	if len(out) < 100 {
		t.Fatalf("only %d keys were found", len(out))
	}
	return out
}

// manifestWith is a manifest with a value at a path, and the path as errors name it. with are other keys of the same map.
func manifestWith(path, v, with string) (text, key string) {
	parts := strings.Split(path, ".")
	out := v
	for i := len(parts) - 1; i >= 0; i-- {
		name := parts[i]
		if i == 0 && len(parts) > 1 && (name == "functions" || name == "topics") {
			out = "{ f: " + out + " }"
		}
		out = "{ " + name + ": " + out + " }"
		if i == len(parts)-1 && with != "" {
			out = "{ " + with + "," + out[1:]
		}
	}
	key = path
	if len(parts) > 1 && (parts[0] == "functions" || parts[0] == "topics") {
		key = parts[0] + ".f." + strings.Join(parts[1:], ".")
	}
	return out, key
}

// reference is a section for each map of fixed keys, in the order in which they are come to.
func reference(t *testing.T) (sections []string) {
	t.Helper()
	d, root := &decoder{}, &form{path: ""}
	for _, v := range root.probes("") {
		d.manifest(v)
	}
	type section struct {
		title, table string
		paths        []string
	}
	var all []*section
	var look func(f *form)
	look = func(f *form) {
		for _, a := range f.alternatives {
			if len(a.keys) > 0 {
				title, table := titleOf(f.path), tableOf(a.keys)
				at := slices.IndexFunc(all, func(s *section) bool { return s.title == title })
				switch {
				case at < 0:
					all = append(all, &section{title, table, []string{f.path}})
				case all[at].table != table:
					t.Fatalf("%s and %s have the same title and not the same keys", all[at].paths[0], f.path)
				case !slices.Contains(all[at].paths, f.path):
					all[at].paths = append(all[at].paths, f.path)
				}
			}
			for _, name := range slices.Sorted(maps.Keys(a.keys)) {
				look(a.keys[name])
			}
			for _, below := range []*form{a.items, a.other} {
				if below != nil {
					look(below)
				}
			}
		}
	}
	look(root)
	for _, s := range all {
		var b strings.Builder
		fmt.Fprintf(&b, "## %s\n\n", s.title)
		if s.paths[0] != "" && s.paths[0] != s.title {
			for i, p := range s.paths {
				s.paths[i] = "`" + shownPath(p) + "`"
			}
			fmt.Fprintf(&b, "%s. ", strings.Join(s.paths, ", "))
		}
		if guide := guides[s.title]; guide != "" {
			fmt.Fprintf(&b, "More: [%s](%s).", guide, guide)
		}
		sections = append(sections, strings.TrimRight(b.String(), " \n")+"\n\n"+s.table)
	}
	return sections
}

func titleOf(path string) string {
	if path == "" {
		return "The file"
	}
	return path[strings.LastIndexByte(path, '.')+1:]
}

func shownPath(path string) string {
	head, rest, _ := strings.Cut(path, ".")
	if head == "functions" || head == "topics" {
		head += ".NAME"
	}
	return strings.TrimSuffix(head+"."+rest, ".")
}

func tableOf(keys map[string]*form) string {
	var b strings.Builder
	b.WriteString("| key | value | left out | example | |\n|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		f := keys[name]
		_, d := detailOf(f.path)
		without := cmp.Or(d.otherwise, "–")
		if d.without != "" {
			without = code(d.without)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, shape(f), without, code(d.example), strings.ReplaceAll(description(f.path), "|", `\|`))
	}
	return b.String()
}

func code(s string) string { return "`" + strings.ReplaceAll(s, "|", `\|`) + "`" }

// shape says in a few words what may stand there.
func shape(f *form) string {
	var out []string
	for _, a := range f.alternatives {
		text := shapeOf(f, a)
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, " or ")
}

func shapeOf(f *form, a *alternative) string {
	switch {
	case len(a.keys) > 0:
		return fmt.Sprintf("[map](#%s)", strings.ToLower(titleOf(f.path)))
	case a.other != nil:
		return "map of " + shape(a.other)
	case a.items != nil:
		return "list of " + shape(a.items)
	case len(a.Enum) > 0:
		return "`" + strings.Join(a.Enum, "`, `") + "`"
	case a.Pattern != "":
		return words[a.Pattern]
	case a.Minimum != nil && *a.Minimum == *a.Maximum:
		return fmt.Sprintf("`%d`", *a.Minimum)
	case a.Minimum != nil:
		return fmt.Sprintf("number, %d to %d", *a.Minimum, *a.Maximum)
	case a.Type == "string" && len(a.Examples) > 0:
		return map[any]string{"500ms": "time span", "64Mi": "size"}[a.Examples[0]]
	}
	switch v := a.Type.(type) {
	case string:
		return map[string]string{"string": "text", "integer": "number", "number": "number", "boolean": "`true`, `false`", "object": "map", "array": "list"}[v]
	default:
		return "map"
	}
}

var words = map[string]string{namePattern: "name", topicPattern: "topic", topicsPattern: "topic, `*` and `>` allowed"}

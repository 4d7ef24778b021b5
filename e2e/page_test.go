package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// step is one thing that a page tells its reader to do.
type step struct {
	place string // "README.md:29", where its fence is
	// Either commands are run, or a file is written.
	commands string
	file     string
	content  string
	// output is what the page shows as the end of what the commands print; "" when it shows nothing. … stands for any text, alone on a line for any lines.
	output string
}

// plan makes steps of a page. ```sh blocks are commands, the ```text block behind one its output; a ```go, ```js, ```ts, ```rust, ```toml or ```yaml block behind a line that is nothing
// but a name, `fn.yaml`:, is that file. Blocks that no test can run are ```console: notRun has the reason for each, by its first line.
func plan(page, text string, notRun map[string]string) ([]step, error) {
	blocks, err := fences(page, text)
	if err != nil {
		return nil, err
	}
	var steps []step
	used := map[string]bool{}
	for _, b := range blocks {
		first, _, _ := strings.Cut(b.text, "\n")
		switch b.kind {
		case "sh":
			steps = append(steps, step{place: b.place, commands: b.text})
		case "text":
			if len(steps) == 0 || steps[len(steps)-1].commands == "" || steps[len(steps)-1].output != "" {
				return nil, fmt.Errorf("%s: a text block is the output of the sh block before it, and there is none", b.place)
			}
			steps[len(steps)-1].output = b.text
		case "go", "js", "ts", "rust", "toml", "yaml":
			if b.name == "" {
				return nil, fmt.Errorf("%s: the line before a %s block must be the name of its file, `main.go`:", b.place, b.kind)
			}
			steps = append(steps, step{place: b.place, file: b.name, content: b.text})
		case "console":
			if notRun[first] == "" {
				return nil, fmt.Errorf("%s: %q is not run; make it a sh block, or list it with the reason in the test", b.place, first)
			}
			used[first] = true
		case "":
		default:
			return nil, fmt.Errorf("%s: nobody knows what to do with a %s block; there are sh, text, go, js, ts, rust, toml, yaml and console", b.place, b.kind)
		}
	}
	for first := range notRun {
		if !used[first] {
			return nil, fmt.Errorf("%s: the test lists the console block %q, which is not there", page, first)
		}
	}
	return steps, nil
}

// fence is a fenced block of a page.
type fence struct {
	place, kind, text string
	name              string // of the line before it, when that is `name`: and nothing else
}

var nameLine = regexp.MustCompile("^`([^`]+)`:?$")

func fences(page, text string) ([]fence, error) {
	var out []fence
	open, before := false, ""
	for i, line := range strings.Split(text, "\n") {
		kind, isFence := strings.CutPrefix(line, "```")
		switch {
		case open && isFence && kind == "":
			open = false
		case open:
			out[len(out)-1].text += line + "\n"
		case isFence:
			open = true
			f := fence{place: fmt.Sprintf("%s:%d", page, i+1), kind: kind}
			if m := nameLine.FindStringSubmatch(before); m != nil {
				f.name = m[1]
			}
			out = append(out, f)
		}
		if strings.TrimSpace(line) != "" {
			before = line
		}
	}
	if open {
		return nil, fmt.Errorf("%s: the block is not closed", out[len(out)-1].place)
	}
	return out, nil
}

// prints says whether what was printed ends as the page shows.
func prints(printed, shown string) bool {
	var pattern strings.Builder
	pattern.WriteString(`(?:\A|\n)`)
	for line := range strings.Lines(shown) {
		if line = strings.TrimRight(line, " \n"); line == "…" {
			pattern.WriteString(`(?:[^\n]*\n)*`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*`) + ` *\n`)
	}
	pattern.WriteString(`\z`)
	return regexp.MustCompile(pattern.String()).MatchString(strings.TrimRight(printed, "\n") + "\n")
}

const goodPage = "# Title\n\n```console\nmake demo\n```\n\nFirst:\n\n```sh\ncd x\nls\n```\n\nIt prints\n\n```text\na\n…\n```\n\n`fn.yaml`:\n\n```yaml\nversion: 1\n```\n\n```\na picture\n```\n" +
	"\n`greet/main.go`:\n\n```go\npackage main\n\nfunc main() {}\n```\n\n```sh\npwd\n```\n"

func TestPlanOfAPage(t *testing.T) {
	t.Parallel()
	steps, err := plan("P.md", goodPage, map[string]string{"make demo": "takes long"})
	if err != nil {
		t.Fatal(err)
	}
	want := []step{
		{place: "P.md:9", commands: "cd x\nls\n", output: "a\n…\n"},
		{place: "P.md:23", file: "fn.yaml", content: "version: 1\n"},
		{place: "P.md:33", file: "greet/main.go", content: "package main\n\nfunc main() {}\n"},
		{place: "P.md:39", commands: "pwd\n"},
	}
	if fmt.Sprintf("%q", steps) != fmt.Sprintf("%q", want) {
		t.Errorf("got  %q\nwant %q", steps, want)
	}
}

func TestPagesThatCannotBeRun(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		page   string
		notRun map[string]string
		want   string
	}{
		"not closed":         {"a\n```sh\nls\n", nil, "P.md:2: the block is not closed"},
		"file without name":  {"```go\npackage main\n```\n", nil, "P.md:1: the line before a go block must be the name of its file"},
		"output of nothing":  {"```text\na\n```\n", nil, "P.md:1: a text block is the output of the sh block before it"},
		"output twice":       {"```sh\nls\n```\n```text\na\n```\n```text\na\n```\n", nil, "P.md:7: a text block is the output"},
		"console not listed": {"```console\nmake demo\n```\n", nil, `P.md:1: "make demo" is not run; make it a sh block, or list it`},
		"listed, not there":  {"", map[string]string{"make demo": "long"}, `P.md: the test lists the console block "make demo", which is not there`},
		"unknown kind":       {"```bash\nls\n```\n", nil, "P.md:1: nobody knows what to do with a bash block"},
	} {
		if _, err := plan("P.md", tc.page, tc.notRun); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func TestOutputAsThePageShowsIt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		printed, shown string
		want           bool
	}{
		{"a\nb\n", "a\nb\n", true},
		{"a\nb", "a\nb\n", true},
		{"before\na\nb\n", "a\nb\n", true}, // the end is enough
		{"a\nb\nafter\n", "a\nb\n", false},
		{"xa\nb\n", "a\nb\n", false},
		{"a\n", "a\nb\n", false},
		{"id=17 ok\n", "id=… ok\n", true},
		{"id=17\nok\n", "id=… ok\n", false},
		{"a\n1\n2\nb\n", "a\n…\nb\n", true},
		{"a\nb\n", "a\n…\nb\n", true},
		{"a   \nb\n", "a\nb\n", true},
		{"a.c\n", "abc\n", false},
		{"abc\n", "a.c\n", false},
	} {
		if got := prints(tc.printed, tc.shown); got != tc.want {
			t.Errorf("printed %q, shown %q: %v", tc.printed, tc.shown, got)
		}
	}
}

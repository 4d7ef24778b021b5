package evoke_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are all Markdown files for users, by their path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*.md", "examples/*/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out[file] = withoutCode(string(text))
		}
	}
	if len(out) < 30 {
		t.Fatalf("only %d pages were found", len(out))
	}
	return out
}

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")
	codeSpan  = regexp.MustCompile("`[^`\n]+`")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// withoutCode is a page without its blocks, in which # is no heading.
func withoutCode(text string) string { return codeBlock.ReplaceAllString(text, "") }

// Every link of a page leads to a file that is there, and to a heading that it has.
func TestNoLinkIsDead(t *testing.T) {
	t.Parallel()
	all := pages(t)
	checked := 0
	for page, text := range all {
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(text, ""), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") {
				continue
			}
			checked++
			file := page
			if to != "" {
				file = filepath.Join(filepath.Dir(page), to)
			}
			if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if target, isPage := all[file]; anchor != "" && isPage && !anchors(target)[anchor] {
				t.Errorf("%s links to %s, and that page has no such heading", page, m[1])
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d links were found", checked)
	}
}

// anchors are made of headings as GitHub and GitLab do it.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		out[strings.ReplaceAll(notAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), ""), " ", "-")] = true
	}
	return out
}

// Every page of docs/ is in its index, every example in that of examples/, and README.md leads to both.
func TestEveryPageIsFound(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for page := range all {
		dir := strings.Split(filepath.ToSlash(page), "/")[0]
		index := dir + "/README.md"
		if dir == page || page == index {
			continue
		}
		if to := strings.TrimPrefix(page, dir+"/"); !strings.Contains(all[index], "]("+to+")") {
			t.Errorf("%s does not link to %s", index, to)
		}
	}
	for _, index := range []string{"docs/README.md", "examples/README.md"} {
		if !strings.Contains(all["README.md"], "]("+index+")") {
			t.Errorf("README.md does not link to %s", index)
		}
	}
}

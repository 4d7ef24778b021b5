package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Packages of npm that people use, as they come, do in a function what they are for. docs/javascript.md lists them.
func TestPackagesOfNpm(t *testing.T) {
	t.Parallel()
	dir := installNpm(t, "zod@4.6.7", "date-fns@4.4.0", "lodash-es@4.18.1", "ajv@8.20.0", "uuid@14.0.2", "nanoid@6.0.0", "jose@"+joseVersion, "@octokit/webhooks-methods@6.0.0", "hono@4.13.4",
		"stripe@23.0.0")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "packages"))); err != nil {
		t.Fatal(err)
	}
	issue := exec.CommandContext(t.Context(), "node", "issue.mjs")
	issue.Dir, issue.Stderr = dir, os.Stderr
	issued, err := issue.Output()
	if err != nil {
		t.Fatal(err)
	}
	a := sharedApp(t)
	a.dir = dir
	a.write(t, "issued.json", issued)
	a.deploy(t, "version: 1\napp: packages\nfunctions:\n  packages:\n    source: ./main.ts\n    on: [ { http: {} } ]\n")
	all := strings.Split(a.must(t, "invoke", "packages"), "\n")
	if len(all) < 14 {
		t.Errorf("only %d packages were tried: %q", len(all), all)
	}
	for _, line := range all {
		if name, said, _ := strings.Cut(line, ": "); said != "true" && line != "" {
			t.Errorf("%s: %s", name, said)
		}
	}
}

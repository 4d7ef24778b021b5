package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// installNpm is a directory whose node_modules has the packages. It needs node, npm and its registry. Where tests must run (CI is set) their absence is a failure.
func installNpm(t *testing.T, packages ...string) string {
	t.Helper()
	missing := t.Fatalf
	if os.Getenv("CI") == "" {
		missing = t.Skipf
	}
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			missing("packages of npm need %s: %v", name, err)
		}
	}
	dir := t.TempDir()
	args := append([]string{"install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund"}, packages...)
	if out, err := exec.CommandContext(t.Context(), "npm", args...).CombinedOutput(); err != nil {
		missing("npm install %v: %v\n%s", packages, err, out)
	}
	return dir
}

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// notRun are the commands of README.md that no test runs.
var notRun = map[string]string{
	"make demo":          "a test of its own: e2e/demo",
	"make test":          "it would run this test",
	"go run ./bench log": "it measures for minutes, and its figures are of the machine",
}

func TestReadme(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("README.md shows curl, and this machine has none")
	}
	u := newUser(t)
	u.follow(t, "../README.md", notRun)
	// Where the reader ends up: the event that had failed went through the corrected function.
	eventually(t, "greeting of the redriven event", func() error {
		out, err := u.shell.run("fnctl topic tail greetings")
		if err != nil {
			return errors.Join(errGone, err)
		}
		if !strings.Contains(out, "hello stranger") {
			return fmt.Errorf("the topic greetings has:\n%s", out)
		}
		return nil
	})
}

// A page of docs/ whose commands are for the reader to run says so in a comment.
func TestPagesOfDocs(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("pages of docs: %v, %v", pages, err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "<!-- e2e runs these commands -->") {
			continue
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			if strings.Contains(string(text), "<!-- e2e needs Rust -->") {
				u.export(t, needRust(t))
			}
			u.follow(t, page, nil)
		})
	}
}

// user is someone with the programs on PATH who follows a page, in a directory like a clone whose programs have been built.
type user struct {
	shell *shell
	// The addresses of a runtime that is started without saying where; those in commands are changed to them. The defaults would be in the way of whoever
	// works on this machine; that they are what the page says, package node tests.
	gateway, admin string
}

func newUser(t *testing.T) *user {
	t.Helper()
	dir := t.TempDir()
	bin := programs.usual
	// `make build` has been done: TestMain has. That the real one works, .ci/run shows, whose `make demo` needs it.
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte("build:\n\ttest -x bin/runtime -a -x bin/fnctl\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	// Pages begin with an empty data directory; only the modules that have been compiled for others are there.
	if err := makeDataDir(filepath.Join(dir, "evoke-data")); err != nil {
		t.Fatal(err)
	}
	u := &user{gateway: freeAddress(t), admin: freeAddress(t)}
	u.shell = newShell(t, dir, "PATH="+bin+":"+os.Getenv("PATH"), "EVOKE_LISTEN="+u.gateway, "EVOKE_ADMIN="+u.admin, "FNCTL_SERVER=http://"+u.admin)
	return u
}

// export sets variables of the shell.
func (u *user) export(t *testing.T, env []string) {
	t.Helper()
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if _, err := u.shell.run(fmt.Sprintf("export %s='%s'", name, value)); err != nil {
			t.Fatal(err)
		}
	}
}

// freeAddress is below the ports that the system gives to connections, so that none of them takes it before it is used.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err == nil {
			defer l.Close() // only asked whether it is free
			return l.Addr().String()
		}
	}
	t.Fatal("no free port found")
	return ""
}

var startsRuntime, startsDev = regexp.MustCompile(`(?m)^runtime\b.*&$`), regexp.MustCompile(`(?m)^fnctl dev\b.*&$`)

// follow does what a page says.
func (u *user) follow(t *testing.T, path string, notRun map[string]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("no page to follow: %v", err)
	}
	steps, err := plan(filepath.Base(path), string(text), notRun)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 {
		t.Fatalf("%s has nothing to run", path)
	}
	for _, s := range steps {
		out, err := u.shell.run(u.script(s))
		if err != nil {
			t.Fatalf("%s: %v", s.place, err)
		}
		if shown := u.here(s.output); shown != "" && !prints(out, shown) {
			t.Fatalf("%s: the commands printed\n%s\nwhich does not end with what the page shows:\n%s", s.place, out, shown)
		}
		if startsRuntime.MatchString(s.commands) {
			u.awaitRuntime(t)
		}
		if startsDev.MatchString(s.commands) {
			u.awaitRuntime(t)
			u.awaitApp(t)
		}
	}
}

// script is a step for the shell. Files are written where the session is.
func (u *user) script(s step) string {
	if s.file != "" {
		return fmt.Sprintf("cat > '%s' <<'END OF FILE'\n%sEND OF FILE", s.file, s.content)
	}
	return u.here(s.commands)
}

// here changes the addresses of a page to those of this user.
func (u *user) here(text string) string {
	return strings.NewReplacer("localhost:8080", u.gateway, "127.0.0.1:8080", u.gateway, "localhost:8081", u.admin, "127.0.0.1:8081", u.admin).Replace(text)
}

// awaitRuntime gives the reader's runtime the moment that a person takes to type the next command.
func (u *user) awaitRuntime(t *testing.T) {
	t.Helper()
	eventually(t, "runtime of the page", func() error {
		res, err := http.Get("http://" + u.admin + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
}

// awaitApp waits until fnctl dev has deployed.
func (u *user) awaitApp(t *testing.T) {
	t.Helper()
	eventually(t, "app of fnctl dev", func() error {
		out, err := u.shell.run("fnctl ls -o name")
		if err != nil {
			return errors.Join(errGone, err)
		}
		if out == "" {
			return errors.New("nothing is deployed")
		}
		return nil
	})
}

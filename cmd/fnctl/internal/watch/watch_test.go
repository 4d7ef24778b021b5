package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// project is a directory that is watched, with what is outside of it.
type project struct {
	t             *testing.T
	root, outside string
	w             *watch.Watcher
	changes       chan watch.Change
}

func newProject(t *testing.T, files ...string) *project {
	t.Helper()
	temp, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, root: filepath.Join(temp, "project"), outside: filepath.Join(temp, "outside"), changes: make(chan watch.Change, 100)}
	for _, file := range append(files, "fn.yaml", "../outside/lib.ts") {
		p.write(file, "first")
	}
	if p.w, err = watch.New(p.root); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.w.Run(ctx, func(c watch.Change) { p.changes <- c }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := p.w.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *project) path(name string) string { return filepath.Join(p.root, filepath.FromSlash(name)) }

func (p *project) write(name, text string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) rename(from, to string) {
	p.t.Helper()
	if err := os.Rename(p.path(from), p.path(to)); err != nil {
		p.t.Fatal(err)
	}
}

// expect waits until a file is told of, and answers all files that were until then.
func (p *project) expect(name string) (told []string) {
	p.t.Helper()
	for {
		select {
		case c := <-p.changes:
			if c.Since.IsZero() {
				p.t.Error("a change without a time")
			}
			told = append(told, c.Files...)
			if slices.Contains(told, p.path(name)) {
				return told
			}
		case <-time.After(30 * time.Second):
			p.t.Fatalf("%s was not told of; there was %q", name, told)
		}
	}
}

// Editors save in three ways: they write the file, they write another one and rename it, or they rename the old one away and write a new one.
func TestEveryWayOfSaving(t *testing.T) {
	t.Parallel()
	p := newProject(t, "src/main.ts")
	for range 2 { // the second time it is another file
		p.write("src/main.ts", "in place")
		p.expect("src/main.ts")
		p.write("src/.main.ts.swp", "by rename")
		p.rename("src/.main.ts.swp", "src/main.ts")
		p.expect("src/main.ts")
		p.rename("src/main.ts", "src/main.ts~")
		p.write("src/main.ts", "anew")
		p.expect("src/main.ts")
	}
	if err := os.Remove(p.path("src/main.ts")); err != nil {
		t.Fatal(err)
	}
	p.expect("src/main.ts")
}

func TestDirectoriesThatCome(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("a/b/new.ts", "1")
	p.expect("a/b/new.ts")
	p.write("a/b/new.ts", "2")
	p.expect("a/b/new.ts")
	p.write("../outside/moved/c.ts", "1")
	p.rename("../outside/moved", "c")
	p.expect("c/c.ts")
	p.write("c/c.ts", "2")
	p.expect("c/c.ts")
}

// What is installed, built or kept by git is not watched, unless it is used by name; installed packages are not even then.
func TestWhatIsNotWatched(t *testing.T) {
	t.Parallel()
	ignored := []string{"node_modules/x/index.js", "dist/x.js", "target/x", ".git/index", ".evoke/LOCK", "sub/node_modules/y/y.js"}
	p := newProject(t, append(ignored, "dist/used/used.js")...)
	if err := p.w.Also([]string{p.path("dist/used/used.js"), p.path("node_modules/x/index.js"), p.path("nowhere/x.js")}); err != nil {
		t.Fatal(err)
	}
	for _, file := range ignored {
		p.write(file, "second")
	}
	p.write("dist/used/used.js", "second")
	told := p.expect("dist/used/used.js")
	p.write("fn.yaml", "second")
	told = append(told, p.expect("fn.yaml")...)
	for _, file := range ignored {
		if slices.Contains(told, p.path(file)) {
			t.Errorf("%s was told of", file)
		}
	}
}

func TestFilesOutside(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	if err := p.w.Also([]string{filepath.Join(p.outside, "lib.ts")}); err != nil {
		t.Fatal(err)
	}
	p.write("../outside/lib.ts", "second")
	p.expect("../outside/lib.ts")
}

func TestWhatCannotBeWatched(t *testing.T) {
	t.Parallel()
	if _, err := watch.New(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("no error")
	}
}

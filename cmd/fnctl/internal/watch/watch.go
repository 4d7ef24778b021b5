// Package watch tells which files of a project change, however editors save them: in place, by rename, or several at once.
//
// It watches directories and not files, because a file that is saved by rename is another file.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// What is saved together comes together: a change is told when nothing more has come for quiet, and at most patience after the first.
const (
	quiet    = 20 * time.Millisecond
	patience = 250 * time.Millisecond
)

// Change is a set of files that have changed at about the same time.
type Change struct {
	// Files are absolute, in order of their names. They may be gone. One that is nil means that changes were lost, and anything may have changed.
	Files []string
	// Since is when the first of them was seen to change.
	Since time.Time
}

// Watcher watches a project. Close it.
type Watcher struct {
	notify *fsnotify.Watcher
	root   string
}

// New begins to watch a directory and those below it, but for hidden ones and those that Ignored names. The root is real: absolute, without links.
func New(root string) (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", tooMany(err))
	}
	w := &Watcher{notify: notify, root: root}
	if _, err := w.addTree(root); err != nil {
		return nil, errors.Join(err, notify.Close())
	}
	return w, nil
}

// Close ends it.
func (w *Watcher) Close() error { return w.notify.Close() }

// Also watches the directories of files that may be outside of the root, or below a directory that is not looked at. Files of installed packages (node_modules) are left out.
func (w *Watcher) Also(files []string) error {
	seen := map[string]bool{}
	for _, file := range files {
		dir := filepath.Dir(file)
		if seen[dir] || strings.Contains(filepath.ToSlash(dir)+"/", "/node_modules/") {
			continue
		}
		seen[dir] = true
		// A directory that was made anew has to be added again, and nobody says so. One that is there already is no work.
		if err := w.add(dir); err != nil {
			return err
		}
	}
	return nil
}

// Ignored says whether directories of this name are not looked into.
func Ignored(name string) bool {
	return strings.HasPrefix(name, ".") && name != "." || slices.Contains([]string{"node_modules", "dist", "target"}, name)
}

// addTree watches a directory and those below, and answers the files that are in them.
func (w *Watcher) addTree(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != w.root:
			return nil // it has gone again
		case err != nil:
			return fmt.Errorf("watch %s: %w", path, err)
		case !d.IsDir():
			files = append(files, path)
			return nil
		case path != w.root && Ignored(d.Name()):
			return filepath.SkipDir
		}
		return w.add(path)
	})
	return files, err
}

func (w *Watcher) add(dir string) error {
	if err := w.notify.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("watch %s: %w", dir, tooMany(err))
	}
	return nil
}

// tooMany says in whose words a limit of the system is met.
func tooMany(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: the system watches as many directories as it may (on Linux fs.inotify.max_user_watches)", err)
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%w: there are as many watchers, or open files, as there may be (on Linux fs.inotify.max_user_instances)", err)
	}
	return err
}

// Run tells each change until ctx ends or it cannot go on. It calls tell from its own goroutine, and what changes meanwhile is told together afterwards.
func (w *Watcher) Run(ctx context.Context, tell func(Change)) error {
	var pending Change
	seen := map[string]bool{}
	timer := time.NewTimer(0) // of what is pending
	<-timer.C
	note := func(files ...string) {
		if pending.Since.IsZero() {
			pending.Since = time.Now()
		}
		for _, f := range files {
			seen[f] = true
		}
		timer.Reset(min(quiet, max(time.Until(pending.Since.Add(patience)), 0)))
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-w.notify.Events:
			if !open {
				return nil
			}
			files, err := w.changed(e)
			if err != nil {
				return err
			}
			if len(files) > 0 {
				note(files...)
			}
		case err, open := <-w.notify.Errors:
			if !open {
				return nil
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch files: %w", err)
			}
			if _, err := w.addTree(w.root); err != nil { // for directories that came meanwhile
				return err
			}
			note("")
		case <-timer.C:
			for f := range seen {
				pending.Files = append(pending.Files, f)
			}
			slices.Sort(pending.Files)
			if seen[""] {
				pending.Files = nil
			}
			tell(pending)
			pending = Change{}
			clear(seen)
		}
	}
}

// changed are the files that an event is about. A new directory is watched from now on, and what it has already is new, too.
func (w *Watcher) changed(e fsnotify.Event) ([]string, error) {
	if e.Op == fsnotify.Chmod {
		return nil, nil
	}
	if info, err := os.Lstat(e.Name); err != nil || !info.IsDir() {
		return []string{e.Name}, nil
	}
	if !e.Has(fsnotify.Create) || Ignored(filepath.Base(e.Name)) || !strings.HasPrefix(e.Name, w.root+string(filepath.Separator)) {
		return nil, nil
	}
	return w.addTree(e.Name)
}

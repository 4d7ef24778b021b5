package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/rules"
)

// moduleAge is how long the file of a module stays after anybody uploaded it, asked for it or loaded it: a deploy has it before it names it.
const moduleAge = time.Hour

// SweepModules removes the files of modules that no revision names which a function keeps, and that nobody has asked for in the last hour. It returns how many.
func (r *Registry) SweepModules(ctx context.Context) (removed int, err error) {
	old, err := r.modules.unusedSince(r.now().Add(-moduleAge))
	if err != nil || len(old) == 0 {
		return 0, err
	}
	named, err := r.namedModules(ctx) // read after: who names one of them from here on has asked for it first, and that makes it young
	if err != nil {
		return 0, err
	}
	for _, digest := range old {
		if named[digest] {
			continue
		}
		gone, err := r.modules.removeUnused(digest, r.now().Add(-moduleAge))
		if err != nil {
			return removed, fmt.Errorf("remove module %.71s: %w", digest, err)
		}
		if gone {
			removed++
		}
	}
	return removed, nil
}

// namedModules are the digests in functions and in revisions of functions that exist.
func (r *Registry) namedModules(ctx context.Context) (map[string]bool, error) {
	named, functions := map[string]bool{}, map[id]bool{}
	revision := int64(0)
	scan := func(dir string, each func(key string, digest string)) error {
		from, end := dir, clientv3.GetPrefixRangeEnd(dir)
		for more := true; more; {
			resp, err := r.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision))
			if err != nil {
				return fmt.Errorf("read registry: %w", err)
			}
			if more = resp.More; revision == 0 {
				revision = resp.Header.Revision
			}
			for _, kv := range resp.Kvs {
				has := map[string]bool{}
				if err := digestIn("revisions/", kv.Value, nil, has); err != nil {
					return fmt.Errorf("read registry key %s: %w", kv.Key, err)
				}
				for digest := range has {
					each(string(kv.Key), digest)
				}
				from = string(kv.Key) + "\x00"
			}
		}
		return nil
	}
	err := scan(r.keys.functions(), func(key, digest string) {
		if at, ok := split(r.keys.functions(), key); ok {
			functions[at] = true
		}
		named[digest] = true
	})
	if err != nil {
		return nil, err
	}
	err = scan(r.keys.revisions(), func(key, digest string) {
		if at, ok := split(r.keys.revisions(), key[:strings.LastIndexByte(key, '/')]); ok && functions[at] {
			named[digest] = true
		}
	})
	return named, err
}

// unusedSince lists the digests of files that are older.
func (m *moduleStore) unusedSince(limit time.Time) (digests []string, err error) {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		digest := "sha256:" + e.Name()
		if !rules.IsDigest(digest) {
			continue
		}
		if info, err := e.Info(); err == nil && info.ModTime().Before(limit) {
			digests = append(digests, digest)
		}
	}
	return digests, nil
}

// removeUnused looks again, now that nobody can ask for it in between.
func (m *moduleStore) removeUnused(digest string, limit time.Time) (gone bool, err error) {
	path, err := m.path(digest)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.ModTime().Before(limit) {
		return false, err
	}
	if err := os.Remove(path); err != nil {
		return false, err
	}
	return true, syncDir(filepath.Dir(path))
}

// touch notes that somebody asked for a module, and says whether it is there.
func (m *moduleStore) touch(path string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	_ = os.Chtimes(path, now, now) // then it may be removed an hour early, and the deploy says that it is missing
	return true
}

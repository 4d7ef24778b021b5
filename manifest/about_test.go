package manifest

import (
	"strings"
	"testing"
)

// Every key is described, and nothing is described that is no key.
func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	d, root := &decoder{}, &form{}
	for _, v := range root.probes("") {
		d.manifest(v)
	}
	used, keys := map[string]bool{}, 0
	var look func(f *form)
	look = func(f *form) {
		for _, a := range f.alternatives {
			for _, child := range a.keys {
				keys++
				if description(child.path) == "" {
					t.Errorf("nothing is said about %s", child.path)
				}
				for path := child.path; path != ""; _, path, _ = strings.Cut(path, ".") {
					if about[path] != "" {
						used[path] = true
						break
					}
				}
				look(child)
			}
			if a.items != nil {
				look(a.items)
			}
			if a.other != nil {
				look(a.other)
			}
		}
	}
	look(root)
	if keys < 100 {
		t.Errorf("only %d keys were found", keys)
	}
	for path := range about {
		if !used[path] {
			t.Errorf("%s is described, and is no key", path)
		}
	}
}

package manifest

import (
	"errors"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/rules"
)

// judge reports the rules of a deploy that the manifest breaks, where the settings stand in the file.
func (d *decoder) judge(m *Manifest) {
	var invalid *rules.InvalidError
	if !errors.As(rules.App("default", m.App, m.API(nil)), &invalid) {
		return
	}
	type told struct {
		at      at
		problem string
	}
	var before []told
	for _, f := range invalid.Faults {
		t := told{d.place(f.Field), f.Problem}
		if !slices.Contains(before, t) { // else it is of the defaults, which all functions have
			d.fault(t.at, "%s: %s", f.Field, f.Problem)
		}
		before = append(before, t)
	}
}

// place is where the setting of a field stands, or else what it would be part of.
func (d *decoder) place(field string) at {
	path := strings.NewReplacer(`["`, ".", `"]`, "", ".keyConcurrency", ".concurrency").Replace(field)
	if p, ok := d.places[inDefaults(path)]; ok && d.places[path] == (at{}) {
		return p
	}
	for ; path != ""; path = path[:max(0, strings.LastIndexAny(path, ".["))] {
		for _, path := range []string{path, strings.ReplaceAll(path, "[0]", "")} { // one thing may stand for a list of one
			if p, ok := d.places[path]; ok {
				return p
			}
		}
	}
	return at{1, 1}
}

// inDefaults is where a function has its setting from when it has none of its own.
func inDefaults(path string) string {
	parts := strings.SplitN(path, ".", 3)
	if len(parts) < 3 || parts[0] != "functions" {
		return ""
	}
	return "defaults." + parts[2]
}

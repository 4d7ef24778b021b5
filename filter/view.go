package filter

import (
	"strings"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/ordered"
)

// view is one event as filters see it, for as long as they are asked about it. It is used by one goroutine.
type view struct {
	event      *event.Event
	extensions map[string]any // for the SDK; nil before it asked

	wanted []ordered.Set[*dataPath] // what the data is asked for, once
	walked bool
	found  findings
}

// data is what the event's data has at a path that is among the wanted. The first question reads all of them.
func (v *view) data(p *dataPath) (datum, bool) {
	if !v.walked {
		v.walk()
	}
	return v.found.get(p.key)
}

// findings are what the data has at wanted places, in the order in which they stand there. Most events have few.
type findings struct {
	list  []finding
	byKey map[string]int // place in list; nil while it is short
}

type finding struct {
	key string // of a dataPath
	datum
}

func (f *findings) get(key string) (datum, bool) {
	if f.byKey != nil {
		i, ok := f.byKey[key]
		if !ok {
			return datum{}, false
		}
		return f.list[i].datum, true
	}
	for i := range f.list {
		if f.list[i].key == key {
			return f.list[i].datum, true
		}
	}
	return datum{}, false
}

// put adds what is not there yet.
func (f *findings) put(key string, d datum) {
	const short = 16
	if f.byKey == nil && len(f.list) == short {
		f.byKey = make(map[string]int, 2*short)
		for i := range f.list {
			f.byKey[f.list[i].key] = i
		}
	}
	if f.byKey != nil {
		f.byKey[key] = len(f.list)
	}
	f.list = append(f.list, finding{key, d})
}

// field is what a rule looks at: an attribute, or a place in the data.
type field struct {
	attribute string
	path      *dataPath // nil for an attribute
}

func (f field) String() string {
	if f.path != nil {
		return "data." + f.path.text
	}
	return f.attribute
}

// any calls is with every text that the field has, until it says yes: a list in the data has those of its members.
func (f field) any(v *view, is func(text string) bool) bool {
	if f.path == nil {
		text, ok := v.event.Attribute(f.attribute)
		return ok && is(text)
	}
	d, ok := v.data(f.path)
	return ok && d.any(func(d datum) bool { return d.hasText() && is(d.text) })
}

// dataPath is a place in JSON data: names of members, one inside the other.
type dataPath struct {
	text string // as written, joined by dots
	key  string // joined by zero bytes, which sort before all that names have: what is inside a place follows it at once
	uses int    // in a set of paths: by how many filters
}

func newPath(text string) *dataPath {
	return &dataPath{text: text, key: strings.ReplaceAll(text, ".", "\x00"), uses: 1}
}

func newPaths(paths ...*dataPath) ordered.Set[*dataPath] {
	return ordered.New(func(a, b *dataPath) int { return strings.Compare(a.key, b.key) }, paths...)
}

// wants says whether a place is asked for, and whether one inside it is.
func (v *view) wants(key []byte) (here, below bool) {
	for _, s := range v.wanted {
		for p := range s.From(func(p *dataPath) int {
			switch {
			case p.key < string(key):
				return -1
			case p.key == string(key):
				return 0
			}
			return 1
		}) {
			if p.key == string(key) {
				here = true
				continue
			}
			below = below || len(p.key) > len(key) && p.key[len(key)] == 0 && p.key[:len(key)] == string(key)
			break
		}
	}
	return here, below
}

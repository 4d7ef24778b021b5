package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

// revision is the immutable record of one version of a function.
type revision struct {
	Revision int              `json:"revision"`
	Kind     string           `json:"kind"`
	Spec     api.FunctionSpec `json:"spec"`
	Created  time.Time        `json:"created"`
	// Seed feeds whatever draws random bytes while the snapshot is made, so that every node derives the same image. 32 bytes.
	Seed []byte `json:"seed"`
}

// deploy is what the caller of Deploy wants.
type deploy struct {
	namespace, app string
	spec           api.App
	kinds          map[string]string
	now            time.Time
	seed           func() []byte // 32 random bytes
}

// plan is one transaction: what must still hold, what to write, and what it amounts to. It is made by pure functions from the state.
type plan struct {
	deploy
	keys  keys
	state *state

	compares []clientv3.Cmp
	writes   []clientv3.Op
	result   api.Deployed
	// newest is the newest revision that wrote a key this deploy relies on: where it holds when nothing is to be written.
	newest int64
	nextID uint64
}

func newPlan(d deploy, k keys, s *state) (*plan, error) {
	p := &plan{deploy: d, keys: k, state: s, nextID: s.nextTrigger.value}
	p.result.App = d.app
	topics := maps.Clone(d.spec.Topics)
	if topics == nil {
		topics = map[string]api.TopicSpec{}
	}
	for _, name := range slices.Sorted(maps.Keys(d.spec.Functions)) {
		if err := p.function(name, d.spec.Functions[name]); err != nil {
			return nil, err
		}
		if err := p.secrets(name, d.spec.Functions[name]); err != nil {
			return nil, err
		}
		for _, topic := range topicsNamed(d.spec.Functions[name]) {
			if _, given := topics[topic]; !given {
				topics[topic] = s.topics[topic].value.Spec // leaves it as it is; a new one is closed to the outside
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		if err := p.topic(name, topics[name]); err != nil {
			return nil, err
		}
	}
	if p.nextID != s.nextTrigger.value {
		p.relyOn(k.nextTrigger(), s.nextTrigger.mod)
		p.writes = append(p.writes, clientv3.OpPut(k.nextTrigger(), strconv.FormatUint(p.nextID, 10)))
	}
	for _, name := range d.orphans(s) {
		if err := p.orphan(name); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// relyOn makes the transaction fail when someone else changed the key since the state was read.
func (p *plan) relyOn(key string, mod int64) {
	p.compares = append(p.compares, clientv3.Compare(clientv3.ModRevision(key), "=", mod))
	p.newest = max(p.newest, mod)
}

func (p *plan) function(name string, spec api.FunctionSpec) error {
	before := p.state.functions[name]
	if before.exists() && !p.owns(before.value) {
		return fmt.Errorf("%w: function %s belongs to app %s; choose another name, or remove it there first; if that is what the app was called before, fnctl deploy --formerly %[3]s", ErrConflict, name, before.value.App)
	}
	p.relyOn(p.keys.function(p.namespace, name), before.mod)
	f := before.value
	change, old := "unchanged", before.value.Triggers
	var notes []string
	switch {
	case !before.exists():
		change = "created"
		f = api.Function{Namespace: p.namespace, Name: name, App: p.app, Revision: p.state.lastRevision[name], Created: p.now}
	case f.Kind != p.kinds[name] || !equalSpecs(f.Spec, spec):
		change = "updated"
	}
	if change != "unchanged" {
		f.Revision++
		f.App, f.Kind, f.Spec, f.Updated = p.app, p.kinds[name], spec, p.now
		f.Triggers = bind(p.namespace, name, spec.Triggers, f.Triggers, p.newTriggerID)
		keepPositions(f.Triggers, old, p.now)
		notes = p.bringIn(&f, before.orNil())
		if err := p.putFunction(f); err != nil {
			return err
		}
	} else if f.App != p.app {
		f.App = p.app
		if err := p.put(p.keys.function(p.namespace, name), f); err != nil {
			return err
		}
	}
	d := deployed(f, change)
	if change == "unchanged" {
		notes = p.unchangedNotes(&f)
	}
	if f.Rollout.Running() {
		d.Rollout = f.Rollout
	}
	d.Notes = slices.Concat(positionNotes(f.Triggers, old), notes, p.invokeNotes(name, spec))
	p.result.Functions = append(p.result.Functions, d)
	return nil
}

// invokeNotes name the functions that a function may invoke and that are not there. They may be deployed later, and one that is mistyped is seen.
func (p *plan) invokeNotes(function string, spec api.FunctionSpec) (notes []string) {
	for _, name := range spec.Allow.Invoke {
		_, deployed := p.spec.Functions[name]
		there := p.state.functions[name]
		leaves := p.spec.Prune && p.owns(there.value)
		if !deployed && (!there.exists() || leaves) {
			notes = append(notes, fmt.Sprintf("%s may invoke %s, and there is no function %s in namespace %s: until it is deployed, each of these invocations fails", function, name, name, p.namespace))
		}
	}
	return notes
}

// secrets refuses a function that names one which is not there: it would find out at its first event.
func (p *plan) secrets(function string, spec api.FunctionSpec) error {
	var missing []api.Fault
	for _, name := range secretsNamed(spec) {
		if !p.state.secrets[name] {
			missing = append(missing, api.Fault{
				Field:   "functions." + function + secretPlace(spec, name),
				Problem: fmt.Sprintf("there is no secret %q in namespace %s", name, p.namespace), Secret: name,
			})
			continue
		}
		p.compares = append(p.compares, clientv3.Compare(clientv3.CreateRevision(p.keys.secret(p.namespace, name)), ">", 0))
	}
	if missing != nil {
		return &rules.InvalidError{Faults: missing}
	}
	return nil
}

// secretPlace is where a spec names a secret first.
func secretPlace(spec api.FunctionSpec, name string) string {
	named := func(t api.TriggerSpec) bool { return t.Webhook != nil && t.Webhook.Secret == name }
	if i := slices.IndexFunc(spec.Triggers, named); i >= 0 && !slices.Contains(spec.Secrets, name) {
		return fmt.Sprintf(".on[%d].webhook.secret", i)
	}
	return ".secrets"
}

func (p *plan) newTriggerID() uint64 {
	p.nextID++
	return p.nextID - 1
}

// putFunction writes a function and its new revision.
func (p *plan) putFunction(f api.Function) error {
	rev := revision{Revision: f.Revision, Kind: f.Kind, Spec: f.Spec, Created: p.now, Seed: p.seed()}
	key := p.keys.revision(f.Namespace, f.Name, f.Revision)
	p.compares = append(p.compares, clientv3.Compare(clientv3.CreateRevision(key), "=", 0))
	if err := p.put(key, rev); err != nil {
		return err
	}
	return p.put(p.keys.function(f.Namespace, f.Name), f)
}

func (p *plan) topic(name string, spec api.TopicSpec) error {
	before := p.state.topics[name]
	key := p.keys.topic(p.namespace, name)
	p.relyOn(key, before.mod)
	if before.exists() && equalJSON(before.value.Spec, spec) {
		return nil
	}
	t := before.value
	if !before.exists() {
		t = api.Topic{Namespace: p.namespace, Name: name, Created: p.now}
	}
	t.Spec = spec
	p.result.Topics = append(p.result.Topics, name)
	return p.put(key, t)
}

func (p *plan) put(key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode registry key %s: %w", key, err)
	}
	p.writes = append(p.writes, clientv3.OpPut(key, string(b)))
	return nil
}

// orphan tells of a function that the spec does not name any more, or removes it.
func (p *plan) orphan(name string) error {
	f, key := p.state.functions[name], p.keys.function(p.namespace, name)
	switch {
	case p.spec.Prune:
		p.relyOn(key, f.mod)
		p.writes = append(p.writes, p.keys.removal(p.namespace, name, f.value.Revision)...)
		p.result.Removed = append(p.result.Removed, name)
		return nil
	case f.value.App != p.app: // it moves with the others
		p.relyOn(key, f.mod)
		f.value.App = p.app
		if err := p.put(key, f.value); err != nil {
			return err
		}
	}
	p.result.Orphans = append(p.result.Orphans, name)
	return nil
}

// owns says whether a function is of the app, under its name or the one before.
func (d deploy) owns(f api.Function) bool {
	return f.App == d.app || d.spec.Formerly != "" && f.App == d.spec.Formerly
}

// orphans are the functions of the app that the spec does not name any more, by name.
func (d deploy) orphans(s *state) (names []string) {
	for name, f := range s.functions {
		if _, named := d.spec.Functions[name]; !named && d.owns(f.value) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func deployed(f api.Function, change string) api.DeployedFunction {
	d := api.DeployedFunction{Name: f.Name, Revision: f.Revision, Change: change}
	for _, t := range f.Triggers {
		if t.Kind == "inbox" {
			continue // every function has it
		}
		d.Triggers = append(d.Triggers, t.Name)
		if t.Webhook != nil {
			d.URLs = append(d.URLs, t.Webhook.URLPath(f.Namespace, f.Name))
		}
		if t.Kind == "http" {
			d.URLs = append(d.URLs, t.HTTP.RouteText(f.Namespace, f.Name))
		}
	}
	return d
}

// equalSpecs compares specs as they are stored: an empty list is the same as none.
func equalSpecs(a, b api.FunctionSpec) bool { return equalJSON(a, b) }

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

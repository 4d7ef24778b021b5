package scheduler

import (
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/partition"
)

// What an event waits for, or a call was refused for, beside what processors say.
const (
	heldByKey      holding = "concurrency of its key"
	heldByFair     holding = "fair"
	heldByThrottle holding = "throttle"
	heldByRate     holding = "rateLimit"
	heldByAside    holding = "events that wait for their key or time"
)

// rule is one of fn.yaml.
type rule struct {
	why    holding
	text   string
	key    *filter.Value     // nil = all events are one group
	limit  int               // of a group at once; 0 = see most
	rate   partition.Rate    // of rate limit and throttle, without the key
	groups map[string]*group // guarded by flow.mu
}

// group is the events of one key. It is there while any is in progress, aside, or has to wait for a time.
type group struct {
	keyUse // of a function that is fair to its keys

	rule  *rule
	key   string
	busy  int            // events and calls that have passed
	queue []partition.ID // aside, in order

	// Of a throttle.
	asking bool        // somebody asks the partition now
	until  time.Time   // before that the answer is no
	due    int         // of the queue, how many were handed out again to ask
	timer  *time.Timer // hands out the next one; nil = not set
}

// current are the rules in force.
func (f *flow) current() []*rule {
	if rules := f.rules.Load(); rules != nil {
		return *rules
	}
	return nil
}

// configure takes over the rules of a revision. What is in progress counts on under a rule that has the same key as before.
func (f *flow) configure(spec *api.FunctionSpec) error {
	rules, err := f.read(spec)
	if err != nil {
		return err
	}
	f.mu.Lock()
	for _, old := range f.current() {
		for _, r := range rules {
			if r.why == old.why && r.text == old.text {
				r.groups = old.groups
				for _, g := range r.groups {
					g.rule = r
				}
			}
		}
	}
	if f.rules.Store(&rules); len(rules) == 0 {
		f.rules.Store(nil)
	} else if f.aside == nil {
		f.aside, f.fresh = map[partition.ID]*group{}, map[partition.ID]struct{}{}
	}
	f.mu.Unlock()
	return nil
}

func (f *flow) read(spec *api.FunctionSpec) (rules []*rule, err error) {
	add := func(why holding, text string, r *rule) {
		r.why, r.text, r.groups = why, text, map[string]*group{}
		if text != "" {
			var wrong error
			if r.key, wrong = filter.ParseValue(text); wrong != nil {
				err = errors.Join(err, fmt.Errorf("key of %s: %w", why, wrong))
			}
		}
		rules = append(rules, r)
	}
	if r := spec.RateLimit; r != nil {
		add(heldByRate, r.Key, &rule{rate: f.rate(r, "rateLimit", r.Limit)})
	}
	if k := spec.KeyConcurrency; k != nil {
		add(heldByKey, k.Key, &rule{limit: k.Limit})
	}
	if spec.Fair != "" {
		add(heldByFair, spec.Fair, &rule{})
	}
	if r := spec.Throttle; r != nil {
		add(heldByThrottle, r.Key, &rule{rate: f.rate(r, "throttle", 1)})
	}
	return rules, err
}

func (f *flow) rate(r *api.Rate, name string, burst int) partition.Rate {
	if r.Burst > 0 {
		burst = r.Burst
	}
	return partition.Rate{
		Namespace: f.name.namespace, Function: f.name.name, Name: name, Interval: time.Duration(r.Period) / time.Duration(max(1, r.Limit)), Burst: burst,
	}
}

func (r *rule) keyOf(e *event.Event) string {
	if r.key == nil {
		return ""
	}
	text, _ := r.key.Text(e) // those without are a group as well
	return text
}

// most is how many of a group may be in progress. A function that is fair to its keys leaves half of what it may have to those that have nothing yet, or nobody
// would look far enough to find them.
func (r *rule) most() int {
	if r.limit > 0 {
		return r.limit
	}
	return max(1, ahead/2/len(r.groups))
}

func (r *rule) group(key string) *group {
	g := r.groups[key]
	if g == nil {
		g = &group{rule: r, key: key}
		r.groups[key] = g
	}
	return g
}

// pop takes up to n out of the queue.
func (g *group) pop(n int) []partition.ID {
	n = max(0, min(n, len(g.queue)))
	next := g.queue[:n]
	g.queue = g.queue[n:]
	return next
}

// drop forgets a group that nobody needs.
func (g *group) drop() {
	if g.busy == 0 && len(g.queue) == 0 && !g.asking && g.timer == nil && g.rule.groups[g.key] == g {
		delete(g.rule.groups, g.key)
	}
}

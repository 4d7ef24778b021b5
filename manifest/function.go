package manifest

import (
	"path"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/api"
)

func (d *decoder) function(name string, keyAt at, v value, defs defaults) Function {
	f := Function{Name: name, Spec: api.FunctionSpec{Timeout: defs.timeout, Memory: defs.memory, Retry: defs.retry}}
	hasModule := false
	var reuseAt, warmAt at
	from := func(read func(value)) func(value) {
		return func(v value) {
			if hasModule {
				d.fault(v.at(), "functions.%s has both source and wasm; keep one", name)
			}
			hasModule = true
			read(v)
		}
	}
	if !d.object(v, keys{
		read: map[string]func(value){
			"source":      from(func(v value) { f.Source = d.source(v) }),
			"wasm":        from(d.anyText(&f.Wasm, "the path of a .wasm file")),
			"on":          func(v value) { f.Spec.Triggers = d.triggers(v) },
			"concurrency": func(v value) { d.concurrency(v, &f.Spec) },
			"throttle":    func(v value) { f.Spec.Throttle = d.rate(v, true) },
			"rateLimit":   func(v value) { f.Spec.RateLimit = d.rate(v, false) },
			"adaptive":    func(v value) { f.Spec.Adaptive = d.adaptive(v) },
			"fair":        d.anyText(&f.Spec.Fair, "an expression like subject or data.customer"),
			"scale":       func(v value) { f.Spec.Scale = d.scale(v) },
			"weight":      d.integer(&f.Spec.Weight, 1, api.MaxWeight),
			"env":         func(v value) { f.Spec.Env = d.env(v) },
			"secrets":     func(v value) { f.Spec.Secrets = d.secrets(v) },
			"allow":       func(v value) { f.Spec.Allow = d.allow(v) },
			"retry":       func(v value) { f.Spec.Retry = d.retry(v, defs.retry) },
			"timeout":     d.duration(&f.Spec.Timeout),
			"memory":      d.memory(&f.Spec.Memory),
			"reuse":       func(v value) { reuseAt = v.at(); d.boolean(&f.Spec.Reuse)(v) },
			"warm":        func(v value) { warmAt = v.at(); d.anyText(&f.Warm, "the path of an event in JSON")(v) },
			"deadLetter":  func(v value) { f.Spec.DeadLetter = d.deadLetter(v) },
		},
	}) {
		return f
	}
	if f.Script() && f.Spec.Reuse {
		d.fault(reuseAt, "functions.%s.reuse is not for scripts: each event begins with what the script's top-level code left; leave it out", name)
	}
	if f.Warm != "" && f.Source != "" && !f.Script() {
		d.fault(warmAt, "functions.%s.warm is for functions in TypeScript and JavaScript; in Go, do in init functions what is to be done before the first event", name)
	}
	if !hasModule {
		d.fault(keyAt, "functions.%s has no code; add `source: ./%s` (a Go package or a Rust crate), `source: ./%s.ts` or `wasm: ./%s.wasm`", name, name, name, name)
	}
	return f
}

func (d *decoder) scale(v value) api.Scale {
	var out api.Scale
	d.object(v, keys{read: map[string]func(value){
		"min": d.integer(&out.Min, 0, api.MaxReady),
		"max": d.limit(&out.Max),
	}})
	return out
}

// source reads the directory of a Go package or of a Rust crate, or the path of a script, and refuses other files.
func (d *decoder) source(v value) string {
	var s string
	d.anyText(&s, "the directory of a Go package or Rust crate, or a .ts or .js file")(v)
	switch ext := strings.ToLower(path.Ext(s)); ext {
	case ".cjs":
		d.fault(v.at(), "%s: %s is a CommonJS module; write it as an ES module, with export default, in a .js or .ts file", v.path, shorten(s))
	case ".rs", ".toml":
		d.fault(v.at(), "%s: %s is a file; name the directory of the Rust crate, the one with its Cargo.toml", v.path, shorten(s))
	case ".go":
		d.fault(v.at(), "%s: %s is a file; name the directory of the Go package, %s", v.path, shorten(s), path.Dir(s))
	case ".wasm":
		d.fault(v.at(), "%s: %s is built already; write `wasm: %s`", v.path, shorten(s), shorten(s))
	}
	return s
}

func (d *decoder) triggers(v value) []api.TriggerSpec {
	items := []value{v}
	if kind := kindName(v.node); kind != "a map" {
		items = d.items(v, "a list of triggers, like [ { http: {} } ]")
	}
	var out []api.TriggerSpec
	for _, item := range items {
		if t, ok := d.trigger(item); ok {
			out = append(out, t)
		}
	}
	return out
}

// trigger reads one entry of `on`. ok is false when it is of no kind that is in force; that has been reported.
func (d *decoder) trigger(v value) (t api.TriggerSpec, ok bool) {
	kinds, before := 0, len(d.faults)
	if !d.object(v, keys{
		read: map[string]func(value){
			"http":    func(v value) { kinds++; t.HTTP = d.http(v) },
			"topic":   func(v value) { kinds++; t.Topic = d.topic(v) },
			"cron":    func(v value) { kinds++; t.Cron = d.cron(v) },
			"webhook": func(v value) { kinds++; t.Webhook = d.webhook(v) },
		},
		later: []string{"kafka", "mqtt"},
	}) {
		return t, false
	}
	switch {
	case kinds > 1:
		d.fault(v.at(), "%s has %d kinds of trigger; write a list with one kind in each entry", v.path, kinds)
	case kinds == 0 && len(d.faults) == before:
		d.fault(v.at(), "%s names no trigger; write { http: {} } or { topic: { name: … } }", v.path)
	}
	return t, kinds == 1
}

func (d *decoder) topic(v value) *api.TopicTrigger {
	t := &api.TopicTrigger{}
	named := false
	ok := d.object(v, keys{
		read: map[string]func(value){
			"name":      func(v value) { named = true; t.Name = d.topicName(v, true) },
			"filter":    func(v value) { t.Filter = d.filter(v) },
			"order":     d.oneOf(&t.Order, "none", "key"),
			"start":     d.position(&t.Start),
			"onFailure": d.oneOf(&t.OnFailure, "skip", "park"),
			"delivery":  d.oneOf(&t.Delivery, "atLeastOnce", "atMostOnce"),
			"batch":     func(v value) { t.Batch = d.batch(v) },
			"priority":  d.anyText(&t.Priority, "an expression like urgency or data.plan.level"),
		},
		later: []string{"reply"},
	})
	if ok && !named {
		d.fault(v.at(), "%s has no name; write { name: orders.created }", v.path)
	}
	return t
}

// batch reads the size alone, or a map. nil is one event at a time.
func (d *decoder) batch(v value) *api.BatchSpec {
	out := &api.BatchSpec{Size: 1}
	sized := true
	if kindName(v.node) != "a map" {
		d.integer(&out.Size, 1, api.MaxBatch)(v)
	} else {
		sized = false
		ok := d.object(v, keys{
			read: map[string]func(value){
				"size":   func(v value) { sized = true; d.integer(&out.Size, 1, api.MaxBatch)(v) },
				"window": d.duration(&out.Window),
			},
		})
		if ok && !sized {
			d.fault(v.at(), "%s has no size; write { size: 100, window: 500ms } or only the number", v.path)
		}
	}
	if out.Size == 1 {
		if sized && out.Window > 0 {
			d.fault(v.at(), "%s: a batch of one event has nothing to wait for; raise size or take window away", v.path)
		}
		return nil
	}
	return out
}

func (d *decoder) deadLetter(v value) *api.DeadLetterSpec {
	out := &api.DeadLetterSpec{}
	d.object(v, keys{
		read: map[string]func(value){
			"keep":    d.duration(&out.Keep),
			"topic":   func(v value) { out.Topic = d.topicName(v, false) },
			"knative": d.boolean(&out.Knative),
		},
	})
	return out
}

func (d *decoder) allow(v value) api.Allow {
	var out api.Allow
	d.object(v, keys{
		read: map[string]func(value){
			"state":  d.boolean(&out.State),
			"invoke": func(v value) { out.Invoke = d.invoked(v) },
			"emit": func(v value) {
				for _, item := range d.items(v, "a list of topics, like [orders.created]") {
					out.Emit = append(out.Emit, d.topicName(item, true))
				}
			},
			"http": func(v value) { out.HTTP = d.httpTargets(v) },
		},
	})
	return out
}

func (d *decoder) httpTargets(v value) (targets []string) {
	var read []api.HTTPTarget
	for _, item := range d.items(v, "a list of hosts, like [api.stripe.com]") {
		text, ok := d.text(item, "a host, like api.stripe.com")
		if !ok {
			continue
		}
		t, err := api.ParseHTTPTarget(text)
		switch {
		case err != nil:
			d.fault(item.at(), "%s: %s", item.path, err)
		case slices.Contains(read, t):
			d.fault(item.at(), "%s: %s is there twice", item.path, shorten(text))
		case len(read) == api.MaxHTTPTargets:
			d.fault(item.at(), "%s: a function has at most %d of them; a pattern such as *.example.com stands for many", item.path, api.MaxHTTPTargets)
			return targets
		default:
			read, targets = append(read, t), append(targets, text)
		}
	}
	return targets
}

func (d *decoder) invoked(v value) (names []string) {
	for _, item := range d.items(v, "a list of functions, like [price]") {
		name, ok := d.text(item, "the name of a function")
		switch {
		case !ok:
		case !IsName(name):
			d.fault(item.at(), "%s: %q is not a name: it is %s", item.path, shorten(name), NameRule)
		case slices.Contains(names, name):
			d.fault(item.at(), "%s: %q is there twice", item.path, name)
		default:
			names = append(names, name)
		}
	}
	return names
}

func (d *decoder) secrets(v value) (names []string) {
	for _, item := range d.items(v, "a list of names, like [stripe_key]") {
		name, ok := d.text(item, "the name of a secret")
		switch {
		case !ok:
		case !api.IsSecretName(name):
			d.fault(item.at(), "%s: %q is no name of a secret: it has %s", item.path, shorten(name), api.SecretNameRule)
		case slices.Contains(names, name):
			d.fault(item.at(), "%s: %q is there twice", item.path, name)
		case len(names) == api.MaxSecrets:
			d.fault(item.at(), "%s: a function has at most %d secrets", item.path, api.MaxSecrets)
			return names
		default:
			names = append(names, name)
		}
	}
	return names
}

// env takes numbers and booleans in the form they were written, because that is what an environment holds.
func (d *decoder) env(v value) map[string]string {
	out := make(map[string]string)
	d.each(v, func(name string, _ at, child value) {
		if s, ok := d.scalar(child); ok {
			out[name] = s
		}
	})
	return out
}

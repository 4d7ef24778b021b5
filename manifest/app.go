package manifest

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/evoke-run/evoke/api"
)

// defaults are laid under every function.
type defaults struct {
	timeout api.Duration
	memory  int64
	retry   *api.Retry
}

// manifest reads the whole file.
func (d *decoder) manifest(root value) *Manifest {
	m := &Manifest{}
	var defs defaults
	var version, app, functions []value // at most one each, but for probes
	keep := func(out *[]value) func(value) { return func(v value) { *out = append(*out, v) } }
	if !d.object(root, keys{read: map[string]func(value){
		"version":   keep(&version),
		"app":       keep(&app),
		"defaults":  func(v value) { defs = d.defaults(v) },
		"functions": keep(&functions), // read last: defaults may stand below them
		"topics":    func(v value) { m.Topics = d.topics(v) },
	}}) {
		return m
	}
	if version == nil {
		d.fault(root.at(), "version is missing; write `version: 1`")
	}
	for _, v := range version {
		d.version(v)
	}
	if app == nil {
		d.fault(root.at(), "app is missing; name the app, like `app: shop`")
	}
	for _, v := range app {
		m.App = d.appName(v)
	}
	if functions == nil {
		d.fault(root.at(), "functions is missing; an app has at least one function")
	}
	for _, v := range functions {
		m.Functions = d.functions(v, defs)
	}
	return m
}

func (d *decoder) version(v value) {
	if v.tell(schema{Type: "integer", Minimum: &theVersion, Maximum: &theVersion}) {
		return
	}
	if n, ok := v.node.(*ast.IntegerNode); !ok || n.GetToken().Value != "1" {
		d.fault(v.at(), "version must be 1, the only one this fnctl reads, not %s", kindName(v.node))
	}
}

// theVersion of manifests is the only one.
var theVersion = 1

func (d *decoder) appName(v value) string {
	if v.tell(schema{Type: "string", Pattern: namePattern}) {
		return ""
	}
	s, ok := d.text(v, "a name like shop")
	if ok && !IsName(s) {
		d.fault(v.at(), "app: %q is not a name: it is %s", shorten(s), NameRule)
	}
	return s
}

func (d *decoder) defaults(v value) defaults {
	var out defaults
	d.object(v, keys{read: map[string]func(value){
		"timeout": d.duration(&out.timeout),
		"memory":  d.memory(&out.memory),
		"retry":   func(v value) { out.retry = d.retry(v, nil) },
	}})
	return out
}

// retry reads a retry policy over the one below it; what it does not say stays.
func (d *decoder) retry(v value, below *api.Retry) *api.Retry {
	var r api.Retry
	if below != nil {
		r = *below
	}
	d.object(v, keys{read: map[string]func(value){
		"attempts": d.integer(&r.Attempts, 1, 100),
		"initial":  d.duration(&r.Initial),
		"factor":   d.factor(&r.Factor),
		"max":      d.duration(&r.Max),
		"jitter":   d.oneOf(&r.Jitter, "full", "none"),
		"maxAge":   d.duration(&r.MaxAge),
	}})
	return &r
}

func (d *decoder) topics(v value) map[string]api.TopicSpec {
	out := make(map[string]api.TopicSpec)
	d.each(v, func(name string, keyAt at, child value) {
		if !isTopic(name) {
			d.fault(keyAt, "topics: %q is not a topic: it is %s", shorten(name), topicRule)
		}
		var spec api.TopicSpec
		d.object(child, keys{
			read: map[string]func(value){
				"ingress":   d.boolean(&spec.Ingress),
				"auth":      func(v value) { spec.Auth = d.auth(v) },
				"retention": d.duration(&spec.Retention),
				"unsettled": d.oneOf(&spec.Unsettled, "keep", "deadletter"),
			},
			later: []string{"dedup"},
		})
		out[name] = spec
	})
	return out
}

func (d *decoder) functions(v value, defs defaults) []Function {
	var out []Function
	ok := d.each(v, func(name string, keyAt at, child value) {
		if !IsName(name) {
			d.fault(keyAt, "functions: %q is not a name: it is %s", shorten(name), NameRule)
		}
		out = append(out, d.function(name, keyAt, child, defs))
	})
	if ok && len(out) == 0 {
		d.fault(v.at(), "functions is empty; an app has at least one function")
	}
	return out
}

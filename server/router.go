package server

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/ordered"
	"github.com/evoke-run/evoke/registry"
)

// router finds what serves a request. It never changes: each is made from the one before and what the registry has changed since, which it shares the rest with.
type router struct {
	of        *registry.Snapshot
	functions ordered.Set[*place] // /fn/NAME, by namespace and name
	sites     ordered.Set[*site]  // routes, by namespace and host
	hosted    int                 // sites that have a host
	webhooks  ordered.Set[*hook]  // by namespace and name
}

// place is /fn/NAME of a function.
type place struct {
	namespace, name string
	at              *leaf
}

// site has the routes of one host, "" for all that have none, in a namespace.
type site struct {
	namespace, host string
	root            *node
}

func newRouter() *router {
	return &router{
		functions: ordered.New(func(a, b *place) int { return a.compare(b.namespace, b.name) }),
		sites:     ordered.New(func(a, b *site) int { return a.compare(b.namespace, b.host) }),
		webhooks:  ordered.New(func(a, b *hook) int { return a.compare(b.namespace, b.name) }),
	}
}

func (p *place) compare(namespace, name string) int {
	return cmp.Or(cmp.Compare(p.namespace, namespace), cmp.Compare(p.name, name))
}

func (s *site) compare(namespace, host string) int {
	return cmp.Or(cmp.Compare(s.namespace, namespace), cmp.Compare(s.host, host))
}

func (h *hook) compare(namespace, name string) int {
	return cmp.Or(cmp.Compare(h.namespace, namespace), cmp.Compare(h.name, name))
}

// router is that of the newest snapshot. The first who asks after a change makes it.
func (s *Server) router() *router {
	snap := s.o.Registry.Snapshot()
	if r := s.routes.Load(); r.of == snap {
		return r
	}
	s.routing.Lock()
	defer s.routing.Unlock()
	r := s.routes.Load()
	if snap = s.o.Registry.Snapshot(); r.of != snap {
		before := r
		r = r.next(snap)
		s.routes.Store(r)
		for was, is := range r.webhooks.Since(before.webhooks) {
			if was != nil && (is == nil || is.trigger.Name != was.trigger.Name) {
				s.metrics.forgetWebhook(was)
			}
		}
	}
	return r
}

// next is the router of another snapshot.
func (r *router) next(snap *registry.Snapshot) *router {
	out := *r
	out.of = snap
	sites := map[*site][]edit{}
	at := map[[2]string]*site{}
	var places []ordered.Edit[*place]
	var hooks []ordered.Edit[*hook]
	collect := func(f *api.Function, gone bool) {
		p := &place{namespace: f.Namespace, name: f.Name}
		for _, route := range routesOf(f) {
			if route.http.Path == "" {
				p.at = p.at.with(edit{route: route})
				continue
			}
			key := [2]string{f.Namespace, route.http.Host}
			if at[key] == nil {
				at[key] = &site{namespace: key[0], host: key[1]}
			}
			sites[at[key]] = append(sites[at[key]], edit{rest: route.segments, route: route, gone: gone})
		}
		for _, h := range hooksOf(f) {
			hooks = append(hooks, ordered.Edit[*hook]{Value: h, Gone: gone})
		}
		if p.at != nil {
			places = append(places, ordered.Edit[*place]{Value: p, Gone: gone})
		}
	}
	var now []*api.Function
	for was, is := range out.changes(r.of) {
		if was != nil {
			collect(was, true)
		}
		if is != nil {
			now = append(now, is)
		}
	}
	for _, f := range now { // all that goes has gone: a route may come from another function
		collect(f, false)
	}
	out.functions, out.webhooks = r.functions.With(places...), r.webhooks.With(hooks...)
	var changed []ordered.Edit[*site]
	for s, edits := range sites {
		before, there := r.sites.Get(s)
		if there {
			s.root = before.root
		}
		s.root = s.root.with(edits)
		changed = append(changed, ordered.Edit[*site]{Value: s, Gone: s.root == nil})
		if s.host != "" {
			out.hosted += number(s.root != nil) - number(there)
		}
	}
	out.sites = r.sites.With(changed...)
	return &out
}

func (r *router) changes(before *registry.Snapshot) func(func(was, is *api.Function) bool) {
	if before != nil {
		return r.of.FunctionsSince(before)
	}
	return func(yield func(was, is *api.Function) bool) {
		for _, f := range r.of.Functions("") {
			if !yield(nil, f) {
				return
			}
		}
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// function finds what serves /fn/NAME; nil = nothing does.
func (r *router) function(namespace, name string) *leaf {
	p, ok := r.functions.Find(func(p *place) int { return p.compare(namespace, name) })
	if !ok {
		return nil
	}
	return p.at
}

// webhook finds what takes /webhooks/NAME; nil = nothing does.
func (r *router) webhook(namespace, name string) *hook {
	h, _ := r.webhooks.Find(func(h *hook) int { return h.compare(namespace, name) })
	return h
}

// found is what a path leads to.
type found struct {
	route  *route // nil = nothing
	params []string
	allow  []string // methods of what has the path, when none of it takes the one that was asked for
}

// maxHost is how long a name may be (RFC 1035), with a dot at its end. What comes instead may have ten thousand dots, and each would be looked at.
const maxHost = 254

// find looks for the route of a request. path is as it came, with its escapes when escaped; host is without a port. The order is that of docs/http.md: the host, then the
// path, segment by segment, then the method.
func (r *router) find(namespace, host, method, path string, escaped bool) found {
	w := walk{method: method, escaped: escaped}
	if r.hosted > 0 && len(host) <= maxHost && !strings.HasPrefix(host, ".") && !strings.HasPrefix(host, "*") { // else it is no name, and below none
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if r.search(&w, namespace, host, path) {
			return w.found
		}
		for _, rest, ok := strings.Cut(host, "."); ok; _, rest, ok = strings.Cut(rest, ".") {
			if r.search(&w, namespace, "*."+rest, path) {
				return w.found
			}
		}
	}
	r.search(&w, namespace, "", path)
	return w.found
}

func (r *router) search(w *walk, namespace, host, path string) bool {
	s, ok := r.sites.Find(func(s *site) int { return s.compare(namespace, host) })
	return ok && w.from(s.root, path[1:], true)
}

// node is a place in a tree of routes. Its parts never change; nil is the node without anything.
type node struct {
	literals ordered.Set[*branch]
	param    *node
	ends     *leaf // routes that end here
	tail     *leaf // routes whose last parameter takes all the rest
}

type branch struct {
	literal string
	to      *node
}

// edit puts a route into a tree, or takes out those of its function.
type edit struct {
	rest  []api.Segment
	route *route
	gone  bool
}

// with is the node after the edits, of which those that take out come first.
func (n *node) with(edits []edit) *node {
	out := node{literals: ordered.New(func(a, b *branch) int { return cmp.Compare(a.literal, b.literal) })}
	if n != nil {
		out = *n
	}
	var params []edit
	literals := map[string][]edit{}
	for _, e := range edits {
		if len(e.rest) == 0 {
			out.ends = out.ends.with(e)
			continue
		}
		s := e.rest[0]
		e.rest = e.rest[1:]
		switch {
		case s.Tail:
			out.tail = out.tail.with(e)
		case s.Param != "":
			params = append(params, e)
		default:
			literals[s.Literal] = append(literals[s.Literal], e)
		}
	}
	if params != nil {
		out.param = out.param.with(params)
	}
	var changed []ordered.Edit[*branch]
	for literal, edits := range literals {
		to := out.literal(literal).with(edits)
		changed = append(changed, ordered.Edit[*branch]{Value: &branch{literal, to}, Gone: to == nil})
	}
	out.literals = out.literals.With(changed...)
	if out.literals.Len() == 0 && out.param == nil && out.ends == nil && out.tail == nil {
		return nil
	}
	return &out
}

func (n *node) literal(text string) *node {
	if b, ok := n.literals.Find(func(b *branch) int { return cmp.Compare(b.literal, text) }); ok {
		return b.to
	}
	return nil
}

// leaf has the routes of one shape, which take different methods; nil is none.
type leaf struct{ routes []*route }

func (l *leaf) with(e edit) *leaf {
	var out leaf
	if l != nil {
		out.routes = slices.Clone(l.routes)
	}
	if e.gone {
		out.routes = slices.DeleteFunc(out.routes, func(r *route) bool { return r.function == e.route.function })
	} else {
		out.routes = append(out.routes, e.route)
	}
	if len(out.routes) == 0 {
		return nil
	}
	return &out
}

// pick chooses by method: a route that names it, for HEAD also one that names GET, then one that takes all.
func (l *leaf) pick(method string) *route {
	var all *route
	for _, r := range l.routes {
		if slices.Contains(r.http.Methods, method) {
			return r
		}
		if len(r.http.Methods) == 0 {
			all = r
		}
	}
	if method == "HEAD" {
		return l.pick("GET")
	}
	return all
}

// allow is the methods that it takes, when it does not take all.
func (l *leaf) allow() (out []string) {
	for _, r := range l.routes {
		out = append(out, r.http.Methods...)
	}
	if slices.Contains(out, "GET") && !slices.Contains(out, "HEAD") {
		out = append(out, "HEAD")
	}
	return out
}

// walk looks for a route along a path.
type walk struct {
	method  string
	escaped bool
	found
}

// from goes on at a node with what is left of the path; more = something is, if only an empty segment.
func (w *walk) from(n *node, rest string, more bool) bool {
	if !more {
		return w.take(n.ends)
	}
	segment, next, follows := strings.Cut(rest, "/")
	if to := n.literal(w.decode(segment)); to != nil && w.from(to, next, follows) {
		return true
	}
	if n.param != nil && segment != "" {
		w.params = append(w.params, w.decode(segment))
		if w.from(n.param, next, follows) {
			return true
		}
		w.params = w.params[:len(w.params)-1]
	}
	if n.tail == nil {
		return false
	}
	w.params = append(w.params, w.decode(rest))
	if w.take(n.tail) {
		return true
	}
	w.params = w.params[:len(w.params)-1]
	return false
}

func (w *walk) take(l *leaf) bool {
	if l == nil {
		return false
	}
	if w.route = l.pick(w.method); w.route != nil {
		return true
	}
	w.allow = append(w.allow, l.allow()...)
	return false
}

func (w *walk) decode(text string) string {
	if !w.escaped {
		return text
	}
	if decoded, err := url.PathUnescape(text); err == nil {
		return decoded
	}
	return text
}

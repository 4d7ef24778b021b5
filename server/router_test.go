package server

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/ordered"
)

// routeOf is an http trigger of a function that is called like what it serves: "GET,PUT a.example/x/{y}".
func routeOf(t testing.TB, text string) *route {
	t.Helper()
	h := &api.HTTPTrigger{Path: text}
	if methods, path, ok := strings.Cut(text, " "); ok {
		h.Methods, h.Path = strings.Split(methods, ","), path
	}
	at := strings.IndexByte(h.Path, '/')
	h.Host, h.Path = h.Path[:at], h.Path[at:]
	f := &api.Function{Namespace: "default", Name: text, Triggers: []api.Trigger{{Kind: "http", HTTP: h}}}
	routes := routesOf(f)
	if len(routes) != 1 {
		t.Fatalf("%q cannot be read", text)
	}
	return routes[0]
}

// routerOf has routes without a registry.
func routerOf(t testing.TB, routes ...string) *router {
	t.Helper()
	r := newRouter()
	sites := map[string][]edit{}
	for _, text := range routes {
		one := routeOf(t, text)
		sites[one.http.Host] = append(sites[one.http.Host], edit{rest: one.segments, route: one})
	}
	for host, edits := range sites {
		r.sites = r.sites.With(siteEdit("default", host, (*node)(nil).with(edits)))
		r.hosted += number(host != "")
	}
	return r
}

func TestRoutePrecedence(t *testing.T) {
	t.Parallel()
	r := routerOf(t,
		"/", "/orders", "/orders/", "GET /orders/{id}", "POST /orders/new", "/orders/{id}/items", "/orders/7/{what}", "/orders/{rest...}",
		"/{a}/{b}/{c}", "/files/{path...}", "GET /m", "PUT,GET /m/{x}", "POST /m/{y}", "/m/{z}", "HEAD,PUT /h", "GET /h",
		"api.example/orders", "*.example/orders", "*.api.example/{any...}", "GET api.example/only", "/ü/{x}",
	)
	for _, c := range []struct{ method, host, path, want, params string }{
		{"GET", "", "/", "/", ""},
		{"GET", "", "/orders", "/orders", ""},
		{"GET", "", "/orders/", "/orders/", ""},
		{"GET", "", "/orders/new", "GET /orders/{id}", "new"}, // the literal one does not take GET
		{"POST", "", "/orders/new", "POST /orders/new", ""},
		{"HEAD", "", "/orders/5", "GET /orders/{id}", "5"},
		{"PUT", "", "/orders/5", "/orders/{rest...}", "5"},
		{"GET", "", "/orders/5/items", "/orders/{id}/items", "5"},
		{"GET", "", "/orders/7/items", "/orders/7/{what}", "items"}, // from the left: 7 before {id}
		{"GET", "", "/orders/7/items/1", "/orders/{rest...}", "7/items/1"},
		{"GET", "", "/orders/5/x", "/orders/{rest...}", "5/x"}, // /orders before {a}, whatever follows
		{"GET", "", "/other/5/x", "/{a}/{b}/{c}", "other 5 x"},
		{"GET", "", "/other/5/", "", ""}, // a parameter is not empty
		{"GET", "", "/other//x", "", ""},
		{"GET", "", "/files", "", ""},
		{"GET", "", "/files/", "/files/{path...}", ""},
		{"GET", "", "/files/a//b/", "/files/{path...}", "a//b/"},
		{"GET", "", "/files/a%2Fb", "/files/{path...}", "a/b"},
		{"GET", "", "/orders/a%2Fb", "GET /orders/{id}", "a/b"}, // an escaped slash divides nothing
		{"GET", "", "/order%73", "/orders", ""},
		{"GET", "", "/Orders", "", ""},
		{"GET", "", "/%C3%BC/%C3%BC", "/ü/{x}", "ü"},
		{"PATCH", "", "/m", "405 GET HEAD", ""},
		{"GET", "", "/m/1", "PUT,GET /m/{x}", "1"},
		{"HEAD", "", "/m/1", "PUT,GET /m/{x}", "1"},
		{"POST", "", "/m/1", "POST /m/{y}", "1"},
		{"DELETE", "", "/m/1", "/m/{z}", "1"},
		{"HEAD", "", "/h", "HEAD,PUT /h", ""},
		{"POST", "", "/h", "405 GET HEAD PUT", ""},
		{"GET", "api.example", "/orders", "api.example/orders", ""},
		{"GET", "API.Example.", "/orders", "api.example/orders", ""},
		{"GET", "x.example", "/orders", "*.example/orders", ""},
		{"GET", "example", "/orders", "/orders", ""},
		{"GET", "y.x.example", "/orders", "*.example/orders", ""},
		{"GET", "v1.api.example", "/orders", "*.api.example/{any...}", "orders"}, // the longer name
		{"GET", "api.example", "/orders/5", "GET /orders/{id}", "5"},
		{"PUT", "api.example", "/only", "405 GET HEAD", ""},
		{"GET", "", "/only", "", ""},
		{"GET", strings.Repeat("a.", 123) + "example.", "/orders", "*.example/orders", ""}, // as long as a name may be
		{"GET", strings.Repeat("a.", 124) + "example.", "/orders", "/orders", ""},          // and what is none
	} {
		got, params := answered(t, r, c.method, c.host, c.path)
		if got != c.want || params != c.params {
			t.Errorf("%s %s%s: %q with %q, want %q with %q", c.method, c.host, c.path, got, params, c.want, c.params)
		}
	}
}

// answered finds as a request does.
func answered(t testing.TB, r *router, method, host, path string) (name, params string) {
	t.Helper()
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Fatal(err)
	}
	raw := u.RawPath
	if raw == "" {
		raw = u.Path
	}
	f := r.find("default", host, method, raw, u.RawPath != "")
	switch {
	case f.route != nil:
		if len(f.params) != len(f.route.names) {
			t.Fatalf("%s %s: %s has the parameters %q", method, path, f.route.function.Name, f.params)
		}
		return f.route.function.Name, strings.Join(f.params, " ")
	case f.allow != nil:
		slices.Sort(f.allow)
		return "405 " + strings.Join(slices.Compact(f.allow), " "), ""
	}
	return "", ""
}

// Routes that come and go in any order: what serves a path is what the words of docs/http.md say, looked for one by one.
func TestRouterDoesAsTheOrderSays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var tree *node
		there := map[string]*route{} // by shape
		for range 40 {
			text := randomPath(rnd, "ab", true)
			one := routeOf(t, text)
			shape := api.Route{Segments: one.segments}.Shape()
			if old := there[shape]; old != nil {
				tree = tree.with([]edit{{rest: old.segments, route: old, gone: true}})
				delete(there, shape)
			} else {
				tree = tree.with([]edit{{rest: one.segments, route: one}})
				there[shape] = one
			}
			for range 10 {
				path := randomPath(rnd, "abc", false)
				w := walk{method: "GET"}
				found := tree != nil && w.from(tree, path[1:], true)
				if want := best(there, path); found != (want != nil) || found && w.route != want {
					t.Fatalf("seed %d: %s found %v, want %v", seed, path, w.route, want)
				}
			}
		}
		var gone []edit
		for _, one := range there {
			gone = append(gone, edit{rest: one.segments, route: one, gone: true})
		}
		if left := tree.with(gone); left != nil {
			t.Fatalf("seed %d: %+v is left when all have gone", seed, left)
		}
	}
}

func randomPath(rnd *rand.Rand, letters string, pattern bool) string {
	var b strings.Builder
	n := 1 + rnd.IntN(4)
	for i := range n {
		b.WriteByte('/')
		switch k := rnd.IntN(10); {
		case pattern && k < 3:
			fmt.Fprintf(&b, "{p%d}", i)
		case pattern && k == 3 && i == n-1:
			fmt.Fprintf(&b, "{p%d...}", i)
		case k == 4 && i == n-1: // an empty segment
		default:
			b.WriteByte(letters[rnd.IntN(len(letters))])
		}
	}
	return b.String()
}

// best looks at every route.
func best(there map[string]*route, path string) (out *route) {
	segments := strings.Split(path[1:], "/")
	rank := func(s api.Segment) int {
		switch {
		case s.Tail:
			return 2
		case s.Param != "":
			return 1
		}
		return 0
	}
	for _, one := range there {
		if !covers(one.segments, segments) {
			continue
		}
		if out == nil || slices.CompareFunc(one.segments, out.segments, func(a, b api.Segment) int { return cmp.Compare(rank(a), rank(b)) }) < 0 {
			out = one
		}
	}
	return out
}

func covers(pattern []api.Segment, path []string) bool {
	for i, s := range pattern {
		switch {
		case i >= len(path):
			return false
		case s.Tail:
			return true
		case s.Param != "" && path[i] == "", s.Param == "" && path[i] != s.Literal:
			return false
		}
	}
	return len(pattern) == len(path)
}

// FuzzRouter: no path brings it down, and what it finds has as many values as names.
func FuzzRouter(f *testing.F) {
	for _, seed := range []string{"/", "/a/b", "/a%2f", "//", "/x/%zz", "/files/%2e%2e/a"} {
		f.Add(seed, "a.example", true)
	}
	r := routerOf(f, "/", "/a/{b}", "/files/{p...}", "GET /{a}/{b}/{c}", "*.example/{all...}")
	f.Fuzz(func(t *testing.T, path, host string, escaped bool) {
		got := r.find("default", host, "GET", "/"+path, escaped)
		if got.route != nil && len(got.params) != len(got.route.names) {
			t.Errorf("%q: %q for %v", path, got.params, got.route.names)
		}
	})
}

func BenchmarkRouter(b *testing.B) {
	routes := make([]string, 0, 100_000)
	for i := range 50_000 {
		routes = append(routes, fmt.Sprintf("GET /s%d/orders/{id}", i), fmt.Sprintf("/s%d/{rest...}", i))
	}
	r := routerOf(b, routes...)
	r.functions = r.functions.With(placeEdits(100_000)...)
	b.Run("function", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r.function("default", "f77777").pick("GET") == nil {
				b.Fatal("not found")
			}
		}
	})
	b.Run("literal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r.find("default", "", "GET", "/s777/orders/7", false).route == nil {
				b.Fatal("not found")
			}
		}
	})
	root, _ := r.sites.Find(func(s *site) int { return s.compare("default", "") })
	b.Run("one more", func(b *testing.B) {
		one := routeOf(b, "/s777/more")
		b.ReportAllocs()
		for b.Loop() {
			root.root.with([]edit{{rest: one.segments, route: one}})
		}
	})
}

func siteEdit(namespace, host string, root *node) ordered.Edit[*site] {
	return ordered.Edit[*site]{Value: &site{namespace: namespace, host: host, root: root}}
}

// placeEdits are so many functions that are served at /fn/NAME.
func placeEdits(n int) (out []ordered.Edit[*place]) {
	for i := range n {
		f := &api.Function{Namespace: "default", Name: fmt.Sprintf("f%05d", i)}
		at := &leaf{routes: []*route{{function: f, http: &api.HTTPTrigger{}}}}
		out = append(out, ordered.Edit[*place]{Value: &place{"default", f.Name, at}})
	}
	return out
}

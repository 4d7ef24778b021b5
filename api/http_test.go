package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestParseRoute(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct{ shape, params string }{
		"/":                            {"/", "[]"},
		"/orders":                      {"/orders", "[]"},
		"/orders/":                     {"/orders/", "[]"},
		"/orders/{id}/items/{item_2}":  {"/orders/{}/items/{}", "[id item_2]"},
		"/files/{path...}":             {"/files/{...}", "[path]"},
		"/{a}":                         {"/{}", "[a]"},
		"/{all...}":                    {"/{...}", "[all]"},
		"/.well-known/a:b@c,ü!$&'()+;": {"/.well-known/a:b@c,ü!$&'()+;", "[]"},
	} {
		r, err := api.ParseRoute(path)
		if err != nil || r.Shape() != want.shape || fmt.Sprint(r.Params()) != want.params {
			t.Errorf("%s: %v, shape %s, parameters %v", path, err, r.Shape(), r.Params())
		}
	}
}

func TestParseRouteRefuses(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"":                               `"" is no path: it begins with /`,
		"orders":                         `"orders" is no path: it begins with /`,
		"/a//b":                          "it has two slashes in a row",
		"/a/../b":                        "no request has the segment ..",
		"/./b":                           "no request has the segment .",
		"/a?b":                           `'?' cannot be in it`,
		"/a%20b":                         `'%' cannot be in it; write what the request has without percent-encoding`,
		"/a/*":                           `'*' cannot be in it; write what the request has without percent-encoding, {name} for a segment of any kind and {name...} for the rest`,
		"/a b":                           `' ' cannot be in it`,
		"/a\x00":                         `'\x00' cannot be in it`,
		"/\xff":                          "not valid UTF-8",
		"/a{b}":                          `a parameter is a whole segment, {name}, and "a{b}" is not`,
		"/{a}{b}":                        `a parameter is a whole segment, {name}, and "{a}{b}" is not`,
		"/{}":                            `the name of a parameter has letters, digits and _`,
		"/{1}":                           `and does not begin with a digit, unlike "{1}"`,
		"/{a-b}":                         `the name of a parameter has letters, digits and _`,
		"/{a...}/b":                      `{a...} takes all the rest, so nothing can follow it`,
		"/{a}/{a...}":                    `it has two parameters a; give each a name of its own`,
		"/fn":                            `"/fn" is taken: /fn/, /topics/, /webhooks/ and /@ are the gateway's own`,
		"/topics/x":                      `is taken`,
		"/webhooks/":                     `is taken`,
		"/@acme":                         `is taken`,
		"/" + strings.Repeat("a/", 40):   "the path has 41 segments, the limit is 32",
		"/" + strings.Repeat("a", 1<<10): "the path has 1025 bytes, the limit is 512",
	} {
		if _, err := api.ParseRoute(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", path, err, want)
		}
	}
}

func TestRouteText(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]struct {
		t  api.HTTPTrigger
		ns string
	}{
		"/fn/f":                              {api.HTTPTrigger{}, "default"},
		"GET,PUT /fn/f":                      {api.HTTPTrigger{Methods: []string{"GET", "PUT"}}, "default"},
		"/@acme/fn/f":                        {api.HTTPTrigger{}, "acme"},
		"POST api.example.com/orders/{id}":   {api.HTTPTrigger{Methods: []string{"POST"}, Host: "api.example.com", Path: "/orders/{id}"}, "default"},
		"*.example.com/@acme/orders/{id...}": {api.HTTPTrigger{Host: "*.example.com", Path: "/orders/{id...}"}, "acme"},
	} {
		if got := in.t.RouteText(in.ns, "f"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// FuzzParseRoute: what is read has the form that its shape says, and is read again as the same.
func FuzzParseRoute(f *testing.F) {
	for _, seed := range []string{"/", "/a/{b}/{c...}", "/{a", "/a/", "/%2f", "/{a...", "/a}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := api.ParseRoute(path)
		if err != nil {
			return
		}
		shape := r.Shape()
		for _, name := range r.Params() {
			shape = strings.Replace(shape, "{}", "{"+name+"}", 1)
			if !strings.Contains(shape, "{"+name+"}") {
				shape = strings.Replace(shape, "{...}", "{"+name+"...}", 1)
			}
		}
		if shape != path {
			t.Errorf("%q has the shape %q", path, r.Shape())
		}
	})
}

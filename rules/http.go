package rules

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
)

func (f *faults) http(path string, t *api.HTTPTrigger) {
	if err := api.CheckMethods(t.Methods); err != nil {
		f.add(path+".method", "%s", err)
	}
	var params []string
	if t.Path != "" {
		route, err := api.ParseRoute(t.Path)
		if err != nil {
			f.add(path+".path", "%s", err)
		}
		params = route.Params()
	}
	switch {
	case t.Host != "" && t.Path == "":
		f.add(path+".host", "a host belongs to a route; add a path, or leave it out to be served at /fn/NAME under every name")
	case t.Host != "":
		if err := api.CheckHost(t.Host); err != nil {
			f.add(path+".host", "%s", err)
		}
	}
	f.httpKey(path+".key", t.Key, params)
	f.auth(path+".auth", t.Auth)
	if t.CORS != nil {
		f.cors(path+".cors", t.CORS)
	}
}

// httpKey checks where the key of a request is looked for.
func (f *faults) httpKey(path, key string, params []string) {
	where, name, _ := strings.Cut(key, ".")
	switch {
	case key == "":
	case where == "header" && !headerRule.MatchString(name):
		f.add(path, "%q names no header; write header.NAME", shorten(key))
	case where == "query" && name == "":
		f.add(path, "%q names no query parameter; write query.NAME", shorten(key))
	case where == "header" || where == "query":
	case where == "params" && len(params) == 0:
		f.add(path, "%q: params.NAME is for a parameter of the path, and the path has none; write header.NAME, query.NAME or an expression like data.customer.id", shorten(key))
	case where == "params":
		if !slices.Contains(params, name) {
			f.add(path, "the path has no {%s}; params.NAME is for a parameter of the path", shorten(name))
		}
	default:
		if _, err := filter.ParseValue(key); err != nil {
			f.add(path, "%q is neither header.NAME, query.NAME nor params.NAME, and as an expression: %s", shorten(key), err)
		}
	}
}

func (f *faults) cors(path string, c *api.CORS) {
	if len(c.Origins) == 0 {
		f.add(path, "has no origins; name the pages that may call, or \"*\" for all")
	}
	for i, origin := range c.Origins {
		if origin != "*" && !isOrigin(origin) {
			f.add(fmt.Sprintf("%s.origins[%d]", path, i), "%q is no origin; write it as browsers do, https://shop.example or http://localhost:3000, without a path", shorten(origin))
		}
	}
	if c.Credentials && slices.Contains(c.Origins, "*") {
		f.add(path+".credentials", "every page could act as the user; name the origins instead of \"*\", or leave credentials out")
	}
	if err := api.CheckMethods(c.Methods); err != nil {
		f.add(path+".methods", "%s", err)
	}
	for _, list := range []struct {
		name  string
		names []string
	}{{"headers", c.Headers}, {"expose", c.Expose}} {
		for _, name := range list.names {
			if name != "*" && !headerRule.MatchString(name) {
				f.add(path+"."+list.name, "%q is no name of a header", shorten(name))
			}
		}
	}
	if c.MaxAge < 0 {
		f.add(path+".maxAge", "%s is below zero", time.Duration(c.MaxAge))
	}
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && u.Host != "" && u.Scheme+"://"+u.Host == s && s == strings.ToLower(s)
}

// claimedTwice finds bindings of one deploy that could get the same request, and neither comes first.
func (f *faults) claimedTwice(path, function string, on []api.TriggerSpec, seen map[Slot]string) {
	for i, t := range on {
		at := fmt.Sprintf("%s.on[%d]", path, i)
		for _, s := range Slots(function, t) {
			if other, taken := seen[s]; taken {
				f.add(at, "serves %s, and so does %s, at the same place in the order; change the method, the path or the host of one of them", s, other)
				break
			}
			seen[s] = at
		}
	}
}

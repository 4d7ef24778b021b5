package manifest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/evoke-run/evoke/api"
)

// What one request can say by itself; everything else is an expression, which the server reads.
var isRequestKey = regexp.MustCompile(`^(header|query|params)\.[A-Za-z0-9!#$%&'*+.^_|~-]+$`).MatchString

func (d *decoder) http(v value) *api.HTTPTrigger {
	t := &api.HTTPTrigger{}
	var host, key value
	ok := d.object(v, keys{
		read: map[string]func(value){
			"method": func(v value) { t.Methods = d.methods(v) },
			"path":   func(v value) { t.Path = d.route(v) },
			"host": func(v value) {
				host = v
				d.checked(&t.Host, "a name like api.example.com", api.CheckHost)(v)
			},
			"key": func(v value) {
				key = v
				d.anyText(&t.Key, "header.NAME, query.NAME, params.NAME or an expression like data.customer.id")(v)
			},
			"cors":     func(v value) { t.CORS = d.cors(v) },
			"compress": d.boolean(&t.Compress),
			"auth":     func(v value) { t.Auth = d.auth(v) },
		},
	})
	if !ok {
		return t
	}
	if t.Host != "" && t.Path == "" {
		d.fault(host.at(), "%s: a host belongs to a route; add a path, or leave it out to be served at /fn/NAME under every name", host.path)
	}
	d.requestKey(key, t)
	return t
}

// requestKey checks what can be checked without the server.
func (d *decoder) requestKey(v value, t *api.HTTPTrigger) {
	from, name, _ := strings.Cut(t.Key, ".")
	switch {
	case from != "header" && from != "query" && from != "params":
	case !isRequestKey(t.Key):
		d.fault(v.at(), "%s: %q has no name; write header.NAME, query.NAME or params.NAME", v.path, shorten(t.Key))
	case from == "params":
		route, err := api.ParseRoute(t.Path)
		if t.Path == "" || err == nil && !slices.Contains(route.Params(), name) {
			d.fault(v.at(), "%s: the path has no {%s}; params.NAME is for a parameter of the path", v.path, shorten(name))
		}
	}
}

func (d *decoder) route(v value) string {
	var out string
	d.checked(&out, "a path like /orders/{id}", func(s string) error {
		_, err := api.ParseRoute(s)
		return err
	})(v)
	return out
}

// methods reads one method or a list.
func (d *decoder) methods(v value) []string {
	out := d.texts(v, "a method like POST, or a list like [GET, POST]")
	if err := api.CheckMethods(out); err != nil {
		d.fault(v.at(), "%s: %v", v.path, err)
	}
	return out
}

func (d *decoder) cors(v value) *api.CORS {
	out := &api.CORS{}
	var credentials value
	ok := d.object(v, keys{read: map[string]func(value){
		"origins":     func(v value) { out.Origins = d.texts(v, `an origin like https://shop.example, "*", or a list`) },
		"methods":     func(v value) { out.Methods = d.methods(v) },
		"headers":     func(v value) { out.Headers = d.texts(v, `a header, "*", or a list`) },
		"expose":      func(v value) { out.Expose = d.texts(v, "a header, or a list") },
		"credentials": func(v value) { credentials = v; d.boolean(&out.Credentials)(v) },
		"maxAge":      d.duration(&out.MaxAge),
	}})
	switch {
	case ok && len(out.Origins) == 0:
		d.fault(v.at(), `%s has no origins; write { origins: ["https://shop.example"] }, or "*" for every page`, v.path)
	case out.Credentials && slices.Contains(out.Origins, "*"):
		d.fault(credentials.at(), "%s: every page could act as the user; name the origins instead of \"*\", or leave credentials out", credentials.path)
	}
	return out
}

// texts reads one text or a list of them.
func (d *decoder) texts(v value, want string) []string {
	items := []value{v}
	if _, isList := v.node.(*ast.SequenceNode); isList {
		items = d.items(v, want)
	}
	var out []string
	for _, item := range items {
		var s string
		if d.anyText(&s, want)(item); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// checked reads text that check finds nothing wrong with.
func (d *decoder) checked(out *string, want string, check func(string) error) func(value) {
	return func(v value) {
		s, ok := d.text(v, want)
		if !ok {
			return
		}
		if err := check(s); err != nil {
			d.fault(v.at(), "%s: %v", v.path, err)
			return
		}
		*out = s
	}
}

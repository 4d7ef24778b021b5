package manifest

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/evoke-run/evoke/api"
)

func (d *decoder) http(v value) *api.HTTPTrigger {
	t := &api.HTTPTrigger{}
	d.object(v, keys{
		read: map[string]func(value){
			"method":   func(v value) { t.Methods = d.methods(v) },
			"path":     func(v value) { t.Path = d.route(v) },
			"host":     d.checked(&t.Host, "a name like api.example.com", api.CheckHost),
			"key":      d.anyText(&t.Key, "header.NAME, query.NAME, params.NAME or an expression like data.customer.id"),
			"cors":     func(v value) { t.CORS = d.cors(v) },
			"compress": d.boolean(&t.Compress),
			"auth":     func(v value) { t.Auth = d.auth(v) },
		},
	})
	return t
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
	d.object(v, keys{read: map[string]func(value){
		"origins":     func(v value) { out.Origins = d.texts(v, `an origin like https://shop.example, "*", or a list`) },
		"methods":     func(v value) { out.Methods = d.methods(v) },
		"headers":     func(v value) { out.Headers = d.texts(v, `a header, "*", or a list`) },
		"expose":      func(v value) { out.Expose = d.texts(v, "a header, or a list") },
		"credentials": d.boolean(&out.Credentials),
		"maxAge":      d.duration(&out.MaxAge),
	}})
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

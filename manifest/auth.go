package manifest

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/evoke-run/evoke/api"
)

const authExample = "none, key, { jwt: { issuer: …, audience: … } }, or a list of ways in"

// auth reads who may send: a word, a map with one way in, or a list of ways in. nil is everybody.
func (d *decoder) auth(v value) *api.Auth {
	if kindName(v.node) == "a list" {
		out := &api.Auth{}
		items := d.items(v, authExample)
		for _, item := range items {
			if rule, ok := d.authRule(item); ok {
				out.Any = append(out.Any, rule)
			}
		}
		if len(items) == 0 {
			d.fault(v.at(), "%s is an empty list, which would let nobody in; write none for everybody", v.path)
		}
		return out
	}
	if s, ok := wordOf(v); ok && (v.tell(schema{Type: "string", Enum: []string{"none", "key"}}) || s == "none") {
		return nil
	}
	rule, ok := d.authRule(v)
	if !ok {
		return nil
	}
	return &api.Auth{Any: []api.AuthRule{rule}}
}

// authRule reads one way in; ok is false when it is none, which has been reported.
func (d *decoder) authRule(v value) (rule api.AuthRule, ok bool) {
	if s, isWord := wordOf(v); isWord {
		v.tell(schema{Type: "string", Enum: []string{"key"}})
		switch s {
		case "key":
			return api.AuthRule{Key: &api.KeyAuth{}}, true
		case "jwt":
			d.fault(v.at(), "%s: jwt needs an issuer and an audience; write { jwt: { issuer: https://id.example.com, audience: shop } }", v.path)
		case "none":
			d.fault(v.at(), "%s: none lets everybody in, so the other ways in would mean nothing; write auth: none alone", v.path)
		default:
			d.fault(v.at(), "%s must be %s, not %q", v.path, authExample, shorten(s))
		}
		return rule, false
	}
	if kindName(v.node) != "a map" {
		d.wrongType(v, authExample)
		return rule, false
	}
	kinds, before := 0, len(d.faults)
	d.object(v, keys{read: map[string]func(value){
		"key": func(v value) { kinds++; rule.Key = d.keyAuth(v) },
		"jwt": func(v value) { kinds++; rule.JWT = d.jwtAuth(v) },
	}})
	if kinds != 1 && len(d.faults) == before {
		d.fault(v.at(), "%s has %d ways in; write one, or a list with one in each entry: any of them lets in", v.path, kinds)
	}
	return rule, kinds == 1
}

func (d *decoder) keyAuth(v value) *api.KeyAuth {
	out := &api.KeyAuth{}
	d.object(v, keys{read: map[string]func(value){
		"names": func(v value) {
			for _, item := range d.items(v, "a list of API keys, like [web]") {
				s, ok := d.text(item, "the name of an API key")
				if ok && !IsName(s) {
					d.fault(item.at(), "%s: %q is not a name: it is %s", item.path, shorten(s), NameRule)
				}
				out.Names = append(out.Names, s)
			}
			if len(out.Names) == 0 {
				d.fault(v.at(), "%s names no key, which would let nobody in; leave it out for all that are for it", v.path)
			}
		},
	}})
	return out
}

func (d *decoder) jwtAuth(v value) *api.JWTAuth {
	out := &api.JWTAuth{}
	ok := d.object(v, keys{read: map[string]func(value){
		"issuer":   d.address(&out.Issuer, api.CheckIssuer),
		"jwks":     d.address(&out.JWKS, api.CheckJWKS),
		"audience": d.anyText(&out.Audience, "who the tokens are for, like shop"),
		"claims": func(v value) {
			out.Claims = map[string]string{}
			d.each(v, func(name string, _ at, child value) {
				if s, ok := d.scalar(child); ok {
					out.Claims[name] = s
				}
			})
		},
		"forward": func(v value) {
			for _, item := range d.items(v, "a list of claims, like [email, roles]") {
				if s, ok := d.text(item, "the name of a claim"); ok {
					out.Forward = append(out.Forward, s)
				}
			}
		},
	}})
	if ok && (out.Issuer == "" || out.Audience == "") {
		d.fault(v.at(), "%s needs an issuer and an audience: without one, a token that somebody got for another service would be good here", v.path)
	}
	return out
}

func (d *decoder) address(out *string, check func(string) error) func(value) {
	return func(v value) {
		d.anyText(out, "an address like https://id.example.com")(v)
		if *out == "" {
			return
		}
		if err := check(*out); err != nil {
			d.fault(v.at(), "%s: %q %v", v.path, shorten(*out), err)
		}
	}
}

// wordOf is the text of a plain value.
func wordOf(v value) (string, bool) {
	if n, ok := v.node.(*ast.StringNode); ok {
		return n.Value, true
	}
	return "", false
}

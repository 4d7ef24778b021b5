package manifest

import (
	"strings"

	"github.com/evoke-run/evoke/api"
)

// webhook reads a webhook trigger. What only the server can judge, filters and expressions, it judges.
func (d *decoder) webhook(v value) *api.WebhookTrigger {
	t, h := &api.WebhookTrigger{}, &api.HMAC{}
	var secret, tolerance, idHeader, key, failure, signed value
	var ofHMAC []value
	only := func(to *value, read func(value)) func(value) {
		return func(v value) { *to = v; read(v) }
	}
	hmac := func(read func(value)) func(value) {
		return func(v value) { ofHMAC = append(ofHMAC, v); read(v) }
	}
	schemed := false
	ok := d.object(v, keys{read: map[string]func(value){
		"scheme": func(v value) {
			schemed = true
			d.checked(&t.Scheme, "github, stripe, slack, standard, hmac or none", api.CheckScheme)(v)
		},
		"secret":          only(&secret, d.checked(&t.Secret, "the name of a secret", api.CheckSecretName)),
		"path":            d.checked(&t.Path, "a path like /webhooks/github", api.CheckWebhookPath),
		"tolerance":       only(&tolerance, d.duration(&t.Tolerance)),
		"idHeader":        only(&idHeader, d.anyText(&t.IDHeader, "the name of a header")),
		"key":             only(&key, d.anyText(&t.Key, "header.NAME, query.NAME or an expression like data.repository.full_name")),
		"origins":         func(v value) { t.Origins = d.texts(v, "a host name, or a list") },
		"filter":          func(v value) { t.Filter = d.filter(v) },
		"order":           d.oneOf(&t.Order, "none", "key"),
		"onFailure":       only(&failure, d.oneOf(&t.OnFailure, "skip", "park")),
		"header":          hmac(d.anyText(&h.Header, "the header of the signature")),
		"prefix":          hmac(d.anyText(&h.Prefix, "what stands before the signature, like sha256=")),
		"encoding":        hmac(d.oneOf(&h.Encoding, "hex", "base64")),
		"algorithm":       hmac(d.oneOf(&h.Algorithm, "sha256", "sha512", "sha1")),
		"timestampHeader": hmac(d.anyText(&h.TimestampHeader, "the header of the time")),
		"signed":          hmac(only(&signed, d.anyText(&h.Signed, "what is signed, like {timestamp}.{body}"))),
	}})
	if !ok || !schemed {
		if ok {
			d.fault(v.at(), "%s has no scheme; write { scheme: github, secret: NAME }, or one of stripe, slack, standard, hmac and none", v.path)
		}
		return t
	}
	if t.Scheme == "" {
		return t // reported
	}
	switch {
	case t.Scheme == "none" && secret.node != nil:
		d.fault(secret.at(), "%s: with scheme none nothing is checked; leave the secret out, or name the scheme that it is for", secret.path)
	case t.Scheme != "none" && secret.node == nil:
		d.fault(v.at(), "%s has no secret; name the one that deliveries are signed with, secret: NAME, and set it with fnctl secret set NAME", v.path)
	}
	if t.Scheme == "hmac" {
		t.HMAC = h
		if h.Header == "" {
			d.fault(v.at(), "%s has no header; name the one that has the signature", v.path)
		} else if _, err := h.Parts(t.IDHeader); err != nil {
			place := signed
			if place.node == nil {
				place = v
			}
			d.fault(place.at(), "%s: %v", place.path, err)
		}
	} else {
		for _, one := range ofHMAC {
			d.fault(one.at(), "%s is only for scheme hmac; %s says itself how it signs", one.path, t.Scheme)
		}
	}
	if t.IDHeader != "" && t.Scheme != "hmac" && t.Scheme != "none" {
		d.fault(idHeader.at(), "%s is only for the schemes hmac and none; %s has an id of its own", idHeader.path, t.Scheme)
	}
	if t.Tolerance > 0 && !t.Timed() {
		d.fault(tolerance.at(), "%s: a delivery of scheme %s has no time that is signed; leave it out", tolerance.path, t.Scheme)
	}
	if from, _, _ := strings.Cut(t.Key, "."); from == "params" || (from == "header" || from == "query") && !isRequestKey(t.Key) {
		d.fault(key.at(), "%s: %q is neither header.NAME, query.NAME nor an expression like data.repository.full_name", key.path, shorten(t.Key))
	} else if err := t.CheckKey(); err != nil {
		d.fault(key.at(), "%s: %v", key.path, err)
	}
	if t.OnFailure == "park" && t.Order != "key" {
		d.fault(failure.at(), "%s: only keys that are kept in order can park; add `order: key`, or leave it at skip", failure.path)
	}
	return t
}

package manifest

import "github.com/evoke-run/evoke/api"

// webhook reads a webhook trigger.
func (d *decoder) webhook(v value) *api.WebhookTrigger {
	t, h := &api.WebhookTrigger{}, &api.HMAC{}
	hmac := func(read func(value)) func(value) {
		return func(v value) { t.HMAC = h; read(v) }
	}
	schemed := false
	ok := d.object(v, keys{read: map[string]func(value){
		"scheme": func(v value) {
			schemed = true
			d.checked(&t.Scheme, "github, stripe, slack, standard, hmac or none", api.CheckScheme)(v)
		},
		"secret":          d.checked(&t.Secret, "the name of a secret", api.CheckSecretName),
		"path":            d.checked(&t.Path, "a path like /webhooks/github", api.CheckWebhookPath),
		"tolerance":       d.duration(&t.Tolerance),
		"idHeader":        d.anyText(&t.IDHeader, "the name of a header"),
		"key":             d.anyText(&t.Key, "header.NAME, query.NAME or an expression like data.repository.full_name"),
		"origins":         func(v value) { t.Origins = d.texts(v, "a host name, or a list") },
		"filter":          func(v value) { t.Filter = d.filter(v) },
		"order":           d.oneOf(&t.Order, "none", "key"),
		"onFailure":       d.oneOf(&t.OnFailure, "skip", "park"),
		"header":          hmac(d.anyText(&h.Header, "the header of the signature")),
		"prefix":          hmac(d.anyText(&h.Prefix, "what stands before the signature, like sha256=")),
		"encoding":        hmac(d.oneOf(&h.Encoding, "hex", "base64")),
		"algorithm":       hmac(d.oneOf(&h.Algorithm, "sha256", "sha512", "sha1")),
		"timestampHeader": hmac(d.anyText(&h.TimestampHeader, "the header of the time")),
		"signed":          hmac(d.anyText(&h.Signed, "what is signed, like {timestamp}.{body}")),
	}})
	if ok && !schemed {
		d.fault(v.at(), "%s has no scheme; write { scheme: github, secret: NAME }, or one of stripe, slack, standard, hmac and none", v.path)
	}
	return t
}

package manifest_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/manifest"
)

func TestParseReadsWebhooks(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("fn.yaml", []byte(`
version: 1
app: hooks
functions:
  f:
    source: ./f
    on:
      - webhook: { scheme: github, secret: hub, filter: "subject = 'push'", order: key, onFailure: park, key: data.repository.full_name }
      - webhook: { scheme: stripe, secret: stripe_key, path: /webhooks/stripe, tolerance: 1m }
      - webhook: { scheme: hmac, secret: k, path: /webhooks/own, header: X-Sig, prefix: sha256=, encoding: base64, algorithm: sha512, timestampHeader: X-At, signed: "{id}:{timestamp}:{body}", idHeader: X-Id }
      - webhook: { scheme: none, path: /webhooks/any, filter: { prefix: { type: com. } }, origins: [eventgrid.azure.net, "*.example.com"], key: header.X-User }
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []api.TriggerSpec{
		{Webhook: &api.WebhookTrigger{Scheme: "github", Secret: "hub", Filter: "subject = 'push'", Order: "key", OnFailure: "park", Key: "data.repository.full_name"}},
		{Webhook: &api.WebhookTrigger{Scheme: "stripe", Secret: "stripe_key", Path: "/webhooks/stripe", Tolerance: duration(time.Minute)}},
		{Webhook: &api.WebhookTrigger{Scheme: "hmac", Secret: "k", Path: "/webhooks/own", IDHeader: "X-Id", HMAC: &api.HMAC{
			Header: "X-Sig", Prefix: "sha256=", Encoding: "base64", Algorithm: "sha512", TimestampHeader: "X-At", Signed: "{id}:{timestamp}:{body}",
		}}},
		{Webhook: &api.WebhookTrigger{Scheme: "none", Path: "/webhooks/any", Filter: `{"prefix":{"type":"com."}}`, Origins: []string{"eventgrid.azure.net", "*.example.com"}, Key: "header.X-User"}},
	}
	if got := m.Functions[0].Spec.Triggers; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", dump(got), dump(want))
	}
}

func TestWebhookFaults(t *testing.T) {
	t.Parallel()
	const place = "functions.charge.on[0].webhook"
	for keys, want := range map[string]string{
		"":                            "fn.yaml:5:22: " + place + " has no scheme; write { scheme: github, secret: NAME }, or one of stripe, slack, standard, hmac and none",
		"scheme: gitlab, secret: a":   "fn.yaml:5:32: " + place + `.scheme: "gitlab" is no scheme; there are github, stripe, slack, standard, hmac, none`,
		"scheme: github":              "fn.yaml:5:22: " + place + ".secret: scheme github needs the secret that deliveries are signed with; name it, secret: NAME, and set it with fnctl secret set NAME",
		"scheme: github, secret: a b": "fn.yaml:5:48: " + place + `.secret: "a b" is no name of a secret: it has 1 to 63 letters, digits, _, - and ., beginning and ending with a letter, a digit or _`,
		"scheme: none, secret: a":     "fn.yaml:5:46: " + place + ".secret: with scheme none nothing is checked; leave the secret out, or name the scheme that it is for",
		"scheme: github, secret: a, path: /hooks/a":                           "fn.yaml:5:57: " + place + `.path: "/hooks/a" is not /webhooks/NAME, where NAME is 1 to 63 lower-case letters, digits and inner "-"`,
		"scheme: github, secret: a, path: /webhooks/a/b":                      "fn.yaml:5:57: " + place + `.path: "/webhooks/a/b" is not /webhooks/NAME, where NAME is 1 to 63 lower-case letters, digits and inner "-"`,
		"scheme: github, secret: a, tolerance: 5m":                            "fn.yaml:5:62: " + place + ".tolerance: a delivery of scheme github has no time that is signed; leave it out",
		"scheme: hmac, secret: a":                                             "fn.yaml:5:22: " + place + ".header: scheme hmac needs the name of the header that has the signature",
		"scheme: hmac, secret: a, header: X, signed: '{ip}.{body}'":           "fn.yaml:5:68: " + place + `.signed: "{ip}.{body}" has a { that begins neither {body}, {timestamp} nor {id}`,
		"scheme: hmac, secret: a, header: X, signed: '{timestamp}'":           "fn.yaml:5:68: " + place + ".signed: what is signed has {body} once, as in {timestamp}.{body}",
		"scheme: hmac, secret: a, header: X, signed: '{timestamp}{body}'":     "fn.yaml:5:68: " + place + ".signed: {timestamp} and timestampHeader belong together: a time that is not signed, or not sent, proves nothing",
		"scheme: hmac, secret: a, header: X, signed: '{id}.{body}'":           "fn.yaml:5:68: " + place + ".signed: {id} is signed; name its header with idHeader",
		"scheme: hmac, secret: a, header: X, signed: '{id}{body}'":            "fn.yaml:5:68: " + place + ".signed: a text like . comes behind {id}, or nobody can say where the id ends",
		"scheme: hmac, secret: a, header: X, timestampHeader: Y, idHeader: Z": "fn.yaml:5:22: " + place + ".signed: the id is not signed, so a replay could change it and would not be known again; write what the sender signs, like {id}.{timestamp}.{body}, or leave idHeader out",
		"scheme: hmac, secret: a, header: X, encoding: rot13":                 "fn.yaml:5:70: " + place + `.encoding must be hex or base64, not "rot13"`,
		"scheme: hmac, secret: a, header: X, algorithm: md5":                  "fn.yaml:5:71: " + place + `.algorithm must be sha256 or sha512 or sha1, not "md5"`,
		"scheme: github, secret: a, header: X":                                "fn.yaml:5:59: " + place + ".header: only scheme hmac says how deliveries are signed; leave header, prefix, encoding, algorithm, timestampHeader and signed out",
		"scheme: slack, secret: a, idHeader: X":                               "fn.yaml:5:60: " + place + ".idHeader: scheme slack has an id of its own; leave it out",
		"scheme: slack, secret: a, key: header.X":                             "fn.yaml:5:55: " + place + `.key: "header.X" is not signed, so a replay could change it and would not be known again; take the key from the body, like data.account`,
		"scheme: github, secret: a, key: params.id":                           "fn.yaml:5:56: " + place + `.key: "params.id": params.NAME is for a parameter of the path, and the path has none; write header.NAME, query.NAME or an expression like data.customer.id`,
		"scheme: github, secret: a, key: header.":                             "fn.yaml:5:56: " + place + `.key: "header." names no header; write header.NAME`,
		"scheme: github, secret: a, filter: { sqll: x }":                      "fn.yaml:5:61: " + place + `.filter: there is no dialect "sqll"; known are exact, prefix, suffix, all, any, not, sql (or cesql) and data`,
		"scheme: github, secret: a, onFailure: park":                          "fn.yaml:5:62: " + place + ".onFailure: only keys that are kept in order can park; add order: key, or leave it at skip",
		"scheme: github, secret: a, secrets: b":                               "fn.yaml:5:51: " + place + ".secrets is not a known key; did you mean secret?",
	} {
		if _, err := manifest.Parse("fn.yaml", []byte(fn("    on: [ { webhook: { "+keys+" } } ]"))); err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", keys, err, want)
		}
	}
}

package rules

import (
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestWebhooksThatCannotBe(t *testing.T) {
	t.Parallel()
	hmac := func(h api.HMAC) api.WebhookTrigger { return api.WebhookTrigger{Scheme: "hmac", Secret: "a", HMAC: &h} }
	for _, c := range []struct {
		trigger api.WebhookTrigger
		want    string
	}{
		{api.WebhookTrigger{}, `scheme: "" is no scheme; there are github, stripe, slack, standard, hmac, none`},
		{api.WebhookTrigger{Scheme: "github"}, "secret: scheme github needs the secret that deliveries are signed with; name it, secret: NAME, and set it with fnctl secret set NAME"},
		{api.WebhookTrigger{Scheme: "github", Secret: "a/b"}, `secret: "a/b" is no name of a secret`},
		{api.WebhookTrigger{Scheme: "none", Secret: "a"}, "secret: with scheme none nothing is checked; leave the secret out, or name the scheme that it is for"},
		{api.WebhookTrigger{Scheme: "none", Path: "/x"}, `path: "/x" is not /webhooks/NAME, where NAME is 1 to 63 lower-case letters, digits and inner "-"`},
		{api.WebhookTrigger{Scheme: "none", Tolerance: api.Duration(time.Minute)}, "tolerance: a delivery of scheme none has no time that is signed; leave it out"},
		{api.WebhookTrigger{Scheme: "slack", Secret: "a", Tolerance: api.Duration(6 * time.Minute)}, "tolerance: 6m0s is not between 1s and 5m, so that a replay is known by its id until it is too old"},
		{api.WebhookTrigger{Scheme: "slack", Secret: "a", Tolerance: -1}, "tolerance: -1ns is not between 1s and 5m"},
		{api.WebhookTrigger{Scheme: "slack", Secret: "a", IDHeader: "X-Id"}, "idHeader: scheme slack has an id of its own; leave it out"},
		{api.WebhookTrigger{Scheme: "none", IDHeader: "X Id"}, `idHeader: "X Id" is no name of a header`},
		{api.WebhookTrigger{Scheme: "none", Key: "data."}, `key: "data." is neither header.NAME, query.NAME nor`},
		{api.WebhookTrigger{Scheme: "none", Key: "params.id"}, `key: "params.id": params.NAME is for a parameter of the path, and the path has none`},
		{api.WebhookTrigger{Scheme: "stripe", Secret: "a", Key: "query.user"}, `key: "query.user" is not signed, so a replay could change it and would not be known again; take the key from the body, like data.account`},
		{api.WebhookTrigger{Scheme: "none", Origins: []string{"a", "A:1"}}, `origins[1]: "A:1" is no host`},
		{api.WebhookTrigger{Scheme: "none", Filter: "type ="}, "filter: at character 7: "},
		{api.WebhookTrigger{Scheme: "none", Order: "keys"}, `order: "keys" is neither none nor key`},
		{api.WebhookTrigger{Scheme: "none", OnFailure: "park"}, "onFailure: only keys that are kept in order can park; add order: key, or leave it at skip"},
		{api.WebhookTrigger{Scheme: "none", HMAC: &api.HMAC{}}, "header: only scheme hmac says how deliveries are signed; leave header, prefix, encoding, algorithm, timestampHeader and signed out"},
		{api.WebhookTrigger{Scheme: "hmac", Secret: "a"}, "header: scheme hmac needs the name of the header that has the signature"},
		{hmac(api.HMAC{Signed: "{body}"}), "header: scheme hmac needs the name of the header that has the signature"},
		{hmac(api.HMAC{Header: "X Y"}), `header: "X Y" is no name of a header`},
		{hmac(api.HMAC{Header: "X", TimestampHeader: "é"}), `timestampHeader: "é" is no name of a header`},
		{hmac(api.HMAC{Header: "X", Encoding: "rot13"}), `encoding: "rot13" is neither hex nor base64`},
		{hmac(api.HMAC{Header: "X", Algorithm: "md5"}), `algorithm: "md5" is not sha256, sha512 or sha1`},
		{hmac(api.HMAC{Header: "X", Prefix: "v1= "}), `prefix: "v1= " begins or ends with a space, or has more than 64 bytes`},
		{hmac(api.HMAC{Header: "X", Signed: "{body}{body}"}), "signed: what is signed has {body} once, as in {timestamp}.{body}"},
		{hmac(api.HMAC{Header: "X", Signed: "{bod"}), `signed: "{bod" has a { that begins neither {body}, {timestamp} nor {id}`},
		{api.WebhookTrigger{Scheme: "hmac", Secret: "a", IDHeader: "Z", HMAC: &api.HMAC{Header: "X", TimestampHeader: "Y"}}, "signed: the id is not signed, so a replay could change it and would not be known again"},
		{hmac(api.HMAC{Header: "X", TimestampHeader: "Y", Signed: "{body}"}), "signed: {timestamp} and timestampHeader belong together: a time that is not signed, or not sent, proves nothing"},
	} {
		a := app(map[string]api.FunctionSpec{"f": function(onWebhook(c.trigger))})
		checkFault(t, Deploy("default", "shop", a, kindsOf(a)), "functions.f.on[0].webhook."+c.want)
	}
	two := app(map[string]api.FunctionSpec{"f": function(api.TriggerSpec{HTTP: &api.HTTPTrigger{}, Webhook: &api.WebhookTrigger{}})})
	checkFault(t, Deploy("default", "shop", two, kindsOf(two)), "functions.f.on[0]: has both http and webhook; write a trigger for each")
	twice := app(map[string]api.FunctionSpec{"g": function(onWebhook(api.WebhookTrigger{Scheme: "none", Path: "/webhooks/g"}), onWebhook(api.WebhookTrigger{Scheme: "none"}))})
	checkFault(t, Deploy("default", "other", twice, kindsOf(twice)), "functions.g.on[1]: serves POST /webhooks/g, and so does functions.g.on[0]")
}

package registry

import (
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

func onWebhook(w api.WebhookTrigger) api.TriggerSpec { return api.TriggerSpec{Webhook: &w} }

func TestWebhooksThatCannotBe(t *testing.T) {
	t.Parallel()
	hmac := func(h api.HMAC) api.WebhookTrigger { return api.WebhookTrigger{Scheme: "hmac", Secret: "a", HMAC: &h} }
	for _, c := range []struct {
		trigger api.WebhookTrigger
		want    string
	}{
		{api.WebhookTrigger{}, `scheme: "" is no scheme; there are github, stripe, slack, standard, hmac, none`},
		{api.WebhookTrigger{Scheme: "github"}, "secret: scheme github needs the name of the secret that deliveries are signed with"},
		{api.WebhookTrigger{Scheme: "github", Secret: "a/b"}, `secret: "a/b" is no name of a secret`},
		{api.WebhookTrigger{Scheme: "none", Secret: "a"}, "secret: with scheme none nothing is checked; leave the secret out, or name the scheme that it is for"},
		{api.WebhookTrigger{Scheme: "none", Path: "/x"}, `path: "/x" is not /webhooks/NAME, where NAME is 1 to 63 lower-case letters, digits and inner "-"`},
		{api.WebhookTrigger{Scheme: "none", Tolerance: api.Duration(time.Minute)}, "tolerance: a delivery of scheme none has no time that is signed; leave it out"},
		{api.WebhookTrigger{Scheme: "slack", Secret: "a", Tolerance: api.Duration(6 * time.Minute)}, "tolerance: 6m0s is not between 1s and 5m, so that a replay is known by its id until it is too old"},
		{api.WebhookTrigger{Scheme: "slack", Secret: "a", Tolerance: -1}, "tolerance: -1ns is not between 1s and 5m"},
		{api.WebhookTrigger{Scheme: "slack", Secret: "a", IDHeader: "X-Id"}, "idHeader: scheme slack has an id of its own; leave it out"},
		{api.WebhookTrigger{Scheme: "none", IDHeader: "X Id"}, `idHeader: "X Id" is no name of a header`},
		{api.WebhookTrigger{Scheme: "none", Key: "data."}, `key: "data." is neither header.NAME, query.NAME nor`},
		{api.WebhookTrigger{Scheme: "none", Key: "params.id"}, "key: the path has no {id}"},
		{api.WebhookTrigger{Scheme: "stripe", Secret: "a", Key: "query.user"}, `key: "query.user" is not signed, so a replay could change it and would not be known again; take the key from the body, like data.account`},
		{api.WebhookTrigger{Scheme: "none", Origins: []string{"a", "A:1"}}, `origins[1]: "A:1" is no host`},
		{api.WebhookTrigger{Scheme: "none", Filter: "type ="}, "filter: at character 7: "},
		{api.WebhookTrigger{Scheme: "none", Order: "keys"}, `order: "keys" is neither none nor key`},
		{api.WebhookTrigger{Scheme: "none", OnFailure: "park"}, "onFailure: only keys that are kept in order can park; add order: key, or leave it at skip"},
		{api.WebhookTrigger{Scheme: "none", HMAC: &api.HMAC{}}, "header: only scheme hmac says how deliveries are signed; leave header, prefix, encoding, algorithm, timestampHeader and signed out"},
		{api.WebhookTrigger{Scheme: "hmac", Secret: "a"}, "header: scheme hmac needs the header that has the signature"},
		{hmac(api.HMAC{}), `header: "" is no name of a header`},
		{hmac(api.HMAC{Header: "X", TimestampHeader: "é"}), `timestampHeader: "é" is no name of a header`},
		{hmac(api.HMAC{Header: "X", Encoding: "rot13"}), `encoding: "rot13" is neither hex nor base64`},
		{hmac(api.HMAC{Header: "X", Algorithm: "md5"}), `algorithm: "md5" is not sha256, sha512 or sha1`},
		{hmac(api.HMAC{Header: "X", Prefix: "v1= "}), `prefix: "v1= " begins or ends with a space, or has more than 64 bytes`},
		{hmac(api.HMAC{Header: "X", Signed: "{body}{body}"}), "signed: what is signed has {body} once, as in {timestamp}.{body}"},
		{hmac(api.HMAC{Header: "X", Signed: "{bod"}), `signed: "{bod" has a { that begins neither {body}, {timestamp} nor {id}`},
		{api.WebhookTrigger{Scheme: "hmac", Secret: "a", IDHeader: "Z", HMAC: &api.HMAC{Header: "X", TimestampHeader: "Y"}}, "signed: the id is not signed, so a replay could change it and would not be known again"},
		{hmac(api.HMAC{Header: "X", TimestampHeader: "Y", Signed: "{body}"}), "signed: {timestamp} and timestampHeader belong together: a time that is not signed, or not sent, proves nothing"},
	} {
		a := app(map[string]api.FunctionSpec{"f": function("v1", onWebhook(c.trigger))})
		checkFault(t, validate("default", "shop", a, kindsOf(a)), "functions.f.on[0].webhook."+c.want)
	}
	two := app(map[string]api.FunctionSpec{"f": function("v1", api.TriggerSpec{HTTP: &api.HTTPTrigger{}, Webhook: &api.WebhookTrigger{}})})
	checkFault(t, validate("default", "shop", two, kindsOf(two)), "functions.f.on[0]: has both http and webhook; write a trigger for each")
}

// A webhook is bound to a topic of its own, by which its deliveries are retried and given up on like other events; its path is claimed.
func TestWebhooksAreBoundAndClaimed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Registry = b.withKeys(t, ring(t, key(1)))
	deploy := func(name string, functions map[string]api.FunctionSpec) (api.Deployed, int64, error) {
		a := app(functions)
		return b.Deploy(t.Context(), "acme", name, a, kindsOf(a))
	}
	none := func(path string) api.TriggerSpec { return onWebhook(api.WebhookTrigger{Scheme: "none", Path: path}) }
	git := onWebhook(api.WebhookTrigger{Scheme: "github", Secret: "hub", Path: "/webhooks/git", Filter: "subject = 'push'", Order: "key", OnFailure: "park"})

	_, _, err := deploy("hooks", map[string]api.FunctionSpec{"f": function("v1", none(""), git)})
	if want := `functions.f.on[1].webhook.secret: there is no secret "hub" in namespace acme; set it first: fnctl secret set hub`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, _, err := b.PutSecret(t.Context(), "acme", "hub", []byte("s"), 0); err != nil {
		t.Fatal(err)
	}
	d, revision, err := deploy("hooks", map[string]api.FunctionSpec{"f": function("v1", none(""), git)})
	if err != nil || strings.Join(d.Functions[0].Triggers, " ") != "f:webhook f:webhook:2" || strings.Join(d.Functions[0].URLs, " ") != "/@acme/webhooks/f /@acme/webhooks/git" {
		t.Fatalf("%v %+v", err, d)
	}
	next := run(t, b.Registry)
	bound := func(revision int64) []api.Trigger {
		f, ok := next(revision).Function("acme", "f")
		if !ok {
			t.Fatal("no function")
		}
		return f.Triggers
	}
	triggers := bound(revision)
	if second := triggers[1]; second.Kind != "webhook" || second.Topic.Name != "_webhook.f.2" || second.Topic.Filter != "subject = 'push'" || second.Topic.Order != "key" || second.Topic.OnFailure != "park" ||
		triggers[0].Topic.Name != "_webhook.f" {
		t.Errorf("%+v", triggers)
	}
	id := triggers[1].ID
	git.Webhook.Filter = ""
	if _, revision, err = deploy("hooks", map[string]api.FunctionSpec{"f": function("v2", none(""), git)}); err != nil {
		t.Fatal(err)
	}
	if triggers = bound(revision); triggers[1].ID != id || triggers[1].Topic.Filter != "" {
		t.Errorf("%+v", triggers)
	}
	for path, want := range map[string]string{
		"/webhooks/git": "trigger g:webhook would serve POST /webhooks/git, which trigger f:webhook:2 of function f serves", "/webhooks/f": "trigger f:webhook of function f",
	} {
		if _, _, err := deploy("other", map[string]api.FunctionSpec{"g": function("v1", none(path))}); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	twice := app(map[string]api.FunctionSpec{"g": function("v1", none("/webhooks/g"), none(""))})
	checkFault(t, validate("default", "other", twice, kindsOf(twice)), "functions.g.on[1]: ")
	if _, err := b.DeleteSecret(t.Context(), "acme", "hub", false); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "function f names it") {
		t.Errorf("remove the secret: %v", err)
	}
	if _, err := b.DeleteFunction(t.Context(), "acme", "f"); err != nil {
		t.Fatal(err)
	}
	left, err := b.client.Get(t.Context(), b.keys.route("acme", ""), clientv3.WithPrefix())
	if err != nil || len(left.Kvs) != 0 {
		t.Errorf("claims left behind: %v %v", left, err)
	}
}

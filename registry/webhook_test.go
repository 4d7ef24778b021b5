package registry

import (
	"errors"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/evoke-run/evoke/api"
)

func onWebhook(w api.WebhookTrigger) api.TriggerSpec { return api.TriggerSpec{Webhook: &w} }

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
	if want := `functions.f.on[1].webhook.secret: there is no secret "hub" in namespace acme`; err == nil || !strings.Contains(err.Error(), want) {
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

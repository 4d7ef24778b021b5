package server

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c, ctx := b.client(), t.Context()
	if list, err := c.Secrets(ctx, "default"); err != nil || list == nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	s, err := c.SetSecret(ctx, "default", "stripe_key", api.SecretRequest{Value: []byte("sk_live_1")})
	if err != nil || s.Name != "stripe_key" || s.Key == "" || !s.Created.Equal(s.Updated) {
		t.Fatalf("%+v, %v", s, err)
	}
	if s, err = c.SetSecret(ctx, "default", "stripe_key", api.SecretRequest{Value: []byte("sk_live_2"), KeepOld: api.Duration(time.Hour)}); err != nil || s.OldUntil.IsZero() {
		t.Fatalf("%+v, %v", s, err)
	}
	values, err := b.o.Secrets.Secret("default", "stripe_key") // in force when it is answered
	if err != nil || len(values) != 2 || string(values[0]) != "sk_live_2" || string(values[1]) != "sk_live_1" {
		t.Errorf("%q, %v", values, err)
	}
	app := api.App{Functions: map[string]api.FunctionSpec{"charge": {Module: b.module(), Secrets: []string{"stripe_key"}}}}
	if got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/shop", app); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if list, err := c.Secrets(ctx, "default"); err != nil || len(list) != 1 || strings.Join(list[0].UsedBy, " ") != "charge" {
		t.Errorf("%+v, %v", list, err)
	}
	one := b.do("GET", b.admin+"/api/v1/ns/default/secrets/stripe_key", "")
	if one.status != 200 || !strings.Contains(one.body, `"usedBy":["charge"]`) || strings.Contains(one.body, "sk_live") {
		t.Errorf("%+v", one)
	}
	if p := problemOf(t, c.DeleteSecret(ctx, "default", "stripe_key", false)); p.Status != http.StatusConflict || !strings.Contains(p.Detail, "function charge names it") {
		t.Errorf("%+v", p)
	}
	if err := c.DeleteSecret(ctx, "default", "stripe_key", true); err != nil {
		t.Error(err)
	}
	for _, got := range []answer{b.do("GET", b.admin+"/metrics", ""), b.do("GET", b.admin+"/api/v1/ns/default/logs", ""), b.do("GET", b.admin+"/api/v1/ns/default/functions/charge", "")} {
		if strings.Contains(got.body, "sk_live") {
			t.Errorf("a secret is shown: %s", got.body)
		}
	}
	if logged := b.logged.String(); strings.Contains(logged, "sk_live") {
		t.Errorf("a secret is logged: %s", logged)
	}
}

func TestSecretRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	url := b.admin + "/api/v1/ns/default/secrets/"
	if got := b.send("PUT", url+"used", api.SecretRequest{Value: []byte("x")}); got.status != 200 {
		t.Fatalf("set: %d %s", got.status, got.body)
	}
	spec := api.FunctionSpec{Module: b.module(), Secrets: []string{"used"}}
	if got := b.send("PUT", b.admin+"/api/v1/ns/default/apps/a", api.App{Functions: map[string]api.FunctionSpec{"f": spec}}); got.status != 200 {
		t.Fatalf("deploy: %d %s", got.status, got.body)
	}
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		detail             string
	}{
		"delete used":   {"DELETE", "used", "", 409, "delete secret used in namespace default: in use: function f names it; remove it from its fn.yaml and deploy first, or use --force"},
		"unknown":       {"GET", "none", "", 404, `no secret "none" in namespace "default"`},
		"delete none":   {"DELETE", "none", "", 404, "delete secret none in namespace default: not found"},
		"name":          {"PUT", "a%20b", `{"value":"eA=="}`, 400, `name: "a b" is no name of a secret: it has ` + api.SecretNameRule},
		"empty":         {"PUT", "a", `{"value":""}`, 400, "value: it is empty"},
		"misspelt":      {"PUT", "a", `{"valeu":"c2VjcmV0"}`, 400, `unknown key "valeu"`},
		"no base64":     {"PUT", "a", `{"value":"s3cr3t!"}`, 400, "the body is not the JSON expected here: illegal base64 data at input byte 6"},
		"kept too long": {"PUT", "a", `{"value":"eA==","keepOld":"800h"}`, 400, "keepOld: 800h0m0s is not between 0 and 30 days"},
		"force":         {"DELETE", "a?force=perhaps", "", 400, `force "perhaps" is neither true nor false`},
	} {
		p := b.do(tc.method, url+tc.path, tc.body, "Content-Type", "application/json").problem(t)
		if p.Status != tc.status || p.Detail != tc.detail || p.Next == "" || tc.method != "PUT" && tc.status != 400 && !strings.Contains(p.Next, "fnctl secret ls") {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if s := b.do("PUT", url+"a", `{"value":"`+strings.Repeat("A", 100_000)+`"}`, "Content-Type", "application/json").problem(t); s.Detail != "value: it has 75000 bytes, the limit is 65536" {
		t.Errorf("%+v", s)
	}
	if bytes.Contains([]byte(b.logged.String()), []byte("s3cr3t")) {
		t.Error("a value was logged")
	}
}

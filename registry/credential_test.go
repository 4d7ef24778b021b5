package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func tokenOf(id, name string) Credential {
	return Credential{ID: id, Hash: []byte{1, 2}, Token: &api.AccessToken{Name: name, Role: api.RoleViewer}}
}

func keyOf(id, namespace, name string) Credential {
	return Credential{ID: id, Hash: []byte{3}, Key: &api.Key{Namespace: namespace, Name: name, Topics: []string{"orders.*"}, Rate: &api.KeyRate{Limit: 5, Period: api.Duration(time.Second)}}}
}

func (b *bundle) create(t *testing.T, c Credential) int64 {
	t.Helper()
	revision, err := b.CreateCredential(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// idsOf lists credentials as "id:name".
func idsOf(list []*Credential) string {
	var out []string
	for _, c := range list {
		out = append(out, c.ID+":"+c.at())
	}
	return strings.Join(out, " ")
}

func TestCredentialsAreSeenAndGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, tokenOf("t0", "old"))
	next := run(t, b.Registry)
	b.create(t, tokenOf("t1", "ci"))
	b.create(t, keyOf("k1", "shop", "web"))
	s := next(b.create(t, keyOf("k2", "shop2", "web")))
	if got := idsOf(s.Tokens()); got != "t1:tokens/ci t0:tokens/old" {
		t.Errorf("tokens %s", got)
	}
	if got := idsOf(s.Keys("shop")); got != "k1:keys/shop/web" {
		t.Errorf("keys %s", got)
	}
	if k, ok := s.Credential("k2"); !ok || k.Key.Namespace != "shop2" || k.Key.Rate.Limit != 5 || k.Hash[0] != 3 {
		t.Errorf("k2 is %+v, %v", k, ok)
	}
	ci, ok := s.Token("ci")
	if !ok || ci.ID != "t1" {
		t.Fatalf("ci is %+v, %v", ci, ok)
	}
	if _, err := b.DeleteCredential(t.Context(), ci); err != nil {
		t.Fatal(err)
	}
	s = next(b.create(t, tokenOf("t2", "ci"))) // the same name, another secret
	if _, ok := s.Credential("t1"); ok {
		t.Error("a revoked token is still there")
	}
	if again, ok := s.Token("ci"); !ok || again.ID != "t2" {
		t.Errorf("the new one is %+v, %v", again, ok)
	}
}

// What one node revokes, another one hears of by its watch.
func TestCredentialsOfTwoNodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, other := run(t, b.Registry), run(t, open(t, b.options))
	revision := b.create(t, keyOf("k1", "shop", "web"))
	if _, ok := other(revision).Credential("k1"); !ok {
		t.Fatal("the other node does not know the key")
	}
	web, _ := one(revision).Key("shop", "web")
	revision, err := b.DeleteCredential(t.Context(), web)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := other(revision).Credential("k1"); ok {
		t.Error("the other node still takes a key that was revoked")
	}
}

func TestCredentialsThatCannotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t, tokenOf("t1", "ci"))
	b.create(t, keyOf("k8", "shop", "web"))
	many := keyOf("x", "shop", "many")
	many.Key.Topics = strings.Split(strings.Repeat("orders ", 100)+"orders", " ")
	role := tokenOf("x", "boss")
	role.Token.Role, role.Token.Namespaces = "root", []string{"Shop"}
	rate := keyOf("x", "shop", "fast")
	rate.Key.Rate = &api.KeyRate{Limit: 0, Period: 1}
	topic := keyOf("x", "shop", "inbox")
	topic.Key.Topics, topic.Key.Functions = []string{"_inbox.a"}, []string{"No"}
	for _, tc := range []struct {
		c    Credential
		want string
	}{
		{keyOf("k9", "shop", "web"), `create API key "web" in namespace shop: conflict: there is one already`},
		{tokenOf("t2", "ci"), "create token \"ci\": conflict: there is one already; choose another name, or revoke that one first"},
		{tokenOf("t2", "C I"), `name: "C I" is no name`},
		{role, `role: "root" is no role; there are viewer, deployer, admin; namespaces[0]: "Shop" is no name`},
		{many, "the key is for 101 functions and topics, the limit is 100"},
		{rate, "rate.limit: 0 is not between 1 and 100000; rate.period: 1ns is not between 1ms and 720h0m0s"},
		{topic, `functions[0]: "No" is no name`},
		{topic, `topics[0]: "_inbox.a" has a part that begins with "_"`},
	} {
		if _, err := b.CreateCredential(t.Context(), tc.c); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	gone := tokenOf("t9", "gone")
	if _, err := b.DeleteCredential(t.Context(), &gone); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoke what is not there: %v", err)
	}
}

func TestCredentialsOfAReload(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 3 {
		b.create(t, keyOf(fmt.Sprint("k", i), "shop", fmt.Sprint("web", i)))
	}
	revision := b.create(t, tokenOf("t", "ci"))
	if _, err := server.Client().Put(t.Context(), b.options.Prefix+"keys/shop/odd", `{"id":"z","token":{"name":"odd"}}`); err != nil {
		t.Fatal(err)
	}
	s := run(t, b.Registry)(revision)
	if got := idsOf(s.Keys("shop")); got != "k0:keys/shop/web0 k1:keys/shop/web1 k2:keys/shop/web2" {
		t.Errorf("keys %s", got)
	}
	again := open(t, b.options)
	web1, _ := s.Key("shop", "web1")
	revision, err := again.DeleteCredential(t.Context(), web1)
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(run(t, again)(revision).Keys("shop")); got != "k0:keys/shop/web0 k2:keys/shop/web2" {
		t.Errorf("keys of another node %s", got)
	}
}

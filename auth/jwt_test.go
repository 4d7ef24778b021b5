package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rsaKey is made once; the tests only read it.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// identity is an issuer: a server with keys, and a clock.
type identity struct {
	t      *testing.T
	server *httptest.Server
	*Verifier
	rule api.JWTAuth

	mu    sync.Mutex
	now   time.Time
	keys  string            // the JWK set
	other map[string]string // answers of other paths
	asked atomic.Int64      // for keys
	gate  chan struct{}     // when it is not nil, keys are answered once it is closed
}

func newIdentity(t *testing.T) *identity {
	t.Helper()
	i := &identity{t: t, now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), other: map[string]string{}}
	i.server = httptest.NewServer(i)
	t.Cleanup(i.server.Close)
	i.Verifier = NewVerifier(VerifierOptions{Now: func() time.Time {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.now
	}})
	t.Cleanup(i.Verifier.Close)
	i.rule = api.JWTAuth{Issuer: i.server.URL, Audience: "shop"}
	i.publish(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"})
	return i
}

func (i *identity) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	keys, other, gate := i.keys, i.other[r.URL.Path], i.gate
	i.mu.Unlock()
	switch {
	case strings.HasPrefix(other, "http"):
		http.Redirect(w, r, other, http.StatusFound)
	case other != "":
		fmt.Fprint(w, other)
	case r.URL.Path == "/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.server.URL, i.server.URL+"/keys")
	case r.URL.Path == "/keys":
		i.asked.Add(1)
		if gate != nil {
			<-gate
		}
		if keys == "" {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, keys)
	default:
		http.NotFound(w, r)
	}
}

// set changes what the issuer answers.
func (i *identity) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *identity) later(d time.Duration) { i.set(func() { i.now = i.now.Add(d) }) }

func (i *identity) publish(keys ...jose.JSONWebKey) {
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		i.t.Fatal(err)
	}
	i.set(func() { i.keys = string(text) })
}

// claims are good ones, changed.
func (i *identity) claims(change ...any) map[string]any {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := map[string]any{"iss": i.rule.Issuer, "aud": []string{"shop", "other"}, "sub": "ada", "exp": i.now.Add(time.Hour).Unix()}
	for n := 0; n < len(change); n += 2 {
		c[change[n].(string)] = change[n+1]
		if change[n+1] == nil {
			delete(c, change[n].(string))
		}
	}
	return c
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, kid string, key any, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signWith signs with more in the head.
func signWith(t testing.TB, head map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: rsaKey(), KeyID: "k1"}}, &jose.SignerOptions{ExtraHeaders: head})
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signRaw signs any payload.
func signRaw(t testing.TB, payload string) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: rsaKey(), KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// good is a token that is taken.
func (i *identity) good(change ...any) string {
	return sign(i.t, jose.RS256, "k1", rsaKey(), i.claims(change...))
}

func (i *identity) verify(token string) (Identity, error) {
	return i.Verify(i.t.Context(), token, &i.rule)
}

// wants checks that a token is not taken, and why.
func (i *identity) wants(what, token, want string) {
	i.t.Helper()
	_, err := i.verify(token)
	if bad, ok := errors.AsType[*InvalidError](err); !ok || !strings.Contains(bad.Reason, want) {
		i.t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func TestTokensThatAreTaken(t *testing.T) {
	t.Parallel()
	i := newIdentity(t)
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.publish(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "r"}, jose.JSONWebKey{Key: ec.Public(), KeyID: "e"}, jose.JSONWebKey{Key: edPublic, KeyID: "d"})
	for alg, k := range map[jose.SignatureAlgorithm]struct {
		id  string
		key crypto.PrivateKey
	}{jose.RS256: {"r", rsaKey()}, jose.PS512: {"r", rsaKey()}, jose.ES384: {"e", ec}, jose.EdDSA: {"d", ed}, jose.RS512: {"", rsaKey()}} {
		for range 2 { // checked, and remembered
			who, err := i.verify(sign(t, alg, k.id, k.key, i.claims("nbf", i.now.Add(20*time.Second).Unix())))
			if err != nil || who != (Identity{Type: "app_user", ID: "ada", Claims: `{"iss":"` + i.server.URL + `"}`}) {
				t.Errorf("%s: %+v, %v", alg, who, err)
			}
		}
	}
	if n := i.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
	i.rule.Audience = "other"
	if _, err := i.verify(i.good("aud", "other")); err == nil {
		t.Error("a key that is not there any more is taken") // k1 is not in this set
	}
}

func TestTokensThatAreNotTaken(t *testing.T) {
	t.Parallel()
	i := newIdentity(t)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: mustMarshal(t, rsaKey().Public())})
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(i.good(), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	minute := time.Minute
	for _, tc := range []struct{ what, token, want string }{
		{"expired", i.good("exp", i.now.Add(-minute).Unix()), "the token has expired at 2026-01-31T11:59:00Z"},
		{"not yet valid", i.good("nbf", i.now.Add(minute).Unix()), "the token is not valid before 2026-01-31T12:01:00Z"},
		{"without an end", i.good("exp", nil), "the token has no exp"},
		{"odd end", i.good("exp", "soon"), "the token's claims cannot be read"},
		{"sub that is a number", i.good("sub", 7), "the token's claims cannot be read: sub is no text"},
		{"aud that is a number", i.good("aud", 7), "the token's claims cannot be read: aud is neither a text nor a list of texts"},
		{"aud with a number", i.good("aud", []any{"shop", 7}), "the token's claims cannot be read: aud is no list of texts"},
		{"exp before 1970", i.good("exp", -5), "the token's claims cannot be read: exp is no number of seconds since 1970"},
		{"exp that is null", signRaw(t, `{"iss":"`+i.rule.Issuer+`","aud":"shop","exp":null}`), "the token's claims cannot be read: exp is no number"},
		{"a name twice", signRaw(t, `{"iss":"`+i.rule.Issuer+`","aud":"shop","aud":"other","exp":1}`), "the token's claims cannot be read: "},
		{"a list of claims", signRaw(t, `["iss"]`), "the token's claims cannot be read: "},
		{"no claims", signRaw(t, `null`), "the token's claims cannot be read: they are no JSON object"},
		{"huge nbf", i.good("nbf", 1e300), "the token's claims cannot be read"},
		{"wrong audience", i.good("aud", "elsewhere"), `the token is for "elsewhere", and not for "shop"`},
		{"no audience", i.good("aud", nil), `the token is for nobody, and not for "shop"`},
		{"wrong issuer", i.good("iss", "https://evil.example"), `the token is of issuer "https://evil.example", and not of "http://127.0.0.1:`},
		{"wrong key id", sign(t, jose.RS256, "k2", rsaKey(), i.claims()), `the token is signed with RS256 and the key "k2", which its issuer does not have`},
		{"wrong algorithm of the key", sign(t, jose.RS384, "k1", rsaKey(), i.claims()), `the token is signed with RS384 and the key "k1", which its issuer does not have`},
		{"a stranger's signature", sign(t, jose.RS256, "k1", stranger, i.claims()), "the signature of the token is wrong"},
		{"changed claims", parts[0] + "." + strings.Split(i.good("sub", "eve"), ".")[1] + "." + parts[2], "the signature of the token is wrong"},
		{"alg none", none, `the token is signed with "none", which is not taken`},
		{"alg None", strings.Replace(none, none[:strings.IndexByte(none, '.')], base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"None"}`)), 1), `the token is signed with "None", which is not taken`},
		{"HS256 with the public key", sign(t, jose.HS256, "k1", publicPEM, i.claims()), `the token is signed with "HS256", which is not taken`},
		{"a critical extension", signWith(t, map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1}, i.claims()), "the token has the critical header crit: [exp], and none is known here"},
		{"payload that is not encoded", signWith(t, map[jose.HeaderKey]any{"crit": []string{"b64"}, "b64": false}, i.claims()), "the token has the critical header crit: [b64]"},
		{"no token", "abc", "the token is no signed JSON Web Token"},
		{"empty parts", "..", "the token is no signed JSON Web Token"},
		{"1 MiB", strings.Repeat("a", 1<<20), "the token has 1048576 bytes, the limit is 16384"},
		{"control characters", i.good("sub", "a\nb"), "the token's sub has control characters"},
		{"long subject", i.good("sub", strings.Repeat("a", 300)), "or more than 255 bytes"},
		{"encrypted", "a.b.c.d.e", "the token is no signed JSON Web Token"},
	} {
		i.wants(tc.what, tc.token, tc.want)
		i.wants(tc.what+", again", tc.token, tc.want)
	}
	if n := i.asked.Load(); n > 2 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func mustMarshal(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestATokenThatIsRememberedStillEnds(t *testing.T) {
	t.Parallel()
	i := newIdentity(t)
	token := i.good()
	if _, err := i.verify(token); err != nil {
		t.Fatal(err)
	}
	i.later(time.Hour + 29*time.Second)
	if _, err := i.verify(token); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	i.later(time.Second)
	i.wants("after it", token, "the token has expired")
}

func TestClaims(t *testing.T) {
	t.Parallel()
	i := newIdentity(t)
	token := i.good("scope", "orders:read orders:write", "roles", []any{"a", "b", []any{"nested"}}, "level", 3, "admin", true,
		"realm_access", map[string]any{"roles": []string{"shop"}}, "https://x.example/role", "boss", "text", "one two")
	for claim, good := range map[string]bool{
		"scope=orders:write": true, "scope=orders": false, "scope=orders:read orders:write": true, "roles=b": true, "roles=c": false, "roles=nested": false,
		"level=3": true, "level=4": false, "admin=true": true, "admin=false": false, "realm_access.roles=shop": true, "realm_access.none=shop": false,
		"none.none=shop": false, "https://x.example/role=boss": true, "text=one": false, "missing=": false, "realm_access=shop": false,
	} {
		name, value, _ := strings.Cut(claim, "=")
		rule := i.rule
		rule.Claims = map[string]string{name: value}
		_, err := i.Verify(t.Context(), token, &rule)
		if denied, ok := errors.AsType[*DeniedError](err); good != (err == nil) || err != nil && (!ok || denied.Reason != "the token has not the claim "+name+": "+value) {
			t.Errorf("%s: %v", claim, err)
		}
	}
}

func TestWhatOfATokenGoesOn(t *testing.T) {
	t.Parallel()
	i := newIdentity(t)
	iss := `"iss":"` + i.server.URL + `"`
	for name, tc := range map[string]struct {
		rule   api.JWTAuth
		claims []any
		want   Identity
	}{
		"only who it is":         {claims: []any{"email", "ada@example.com"}, want: Identity{Type: "app_user", ID: "ada", Claims: "{" + iss + "}"}},
		"what the rule wants":    {rule: api.JWTAuth{Claims: map[string]string{"roles": "b"}}, claims: []any{"roles", []string{"a", "b"}}, want: Identity{Type: "app_user", ID: "ada", Claims: "{" + iss + `,"roles":["a","b"]}`}},
		"what it forwards":       {rule: api.JWTAuth{Forward: []string{"email", "org.id", "none"}}, claims: []any{"email", "a\"b", "org", map[string]any{"id": 7}}, want: Identity{Type: "app_user", ID: "ada", Claims: `{"email":"a\"b",` + iss + `,"org.id":7}`}},
		"a program":              {claims: []any{"sub", "worker", "client_id", "worker"}, want: Identity{Type: "service_account", ID: "worker", Claims: "{" + iss + "}"}},
		"somebody in a program":  {claims: []any{"azp", "web"}, want: Identity{Type: "app_user", ID: "ada", Claims: "{" + iss + "}"}},
		"nobody that it names":   {claims: []any{"sub", nil, "azp", ""}, want: Identity{Type: "unknown", Claims: "{" + iss + "}"}},
		"a client id of no text": {claims: []any{"client_id", []string{"ada"}}, want: Identity{Type: "app_user", ID: "ada", Claims: "{" + iss + "}"}},
	} {
		rule := tc.rule
		rule.Issuer, rule.Audience = i.rule.Issuer, i.rule.Audience
		if who, err := i.Verify(t.Context(), i.good(tc.claims...), &rule); err != nil || who != tc.want {
			t.Errorf("%s: %+v, %v, want %+v", name, who, err, tc.want)
		}
	}
	rule := i.rule
	rule.Forward = []string{"long"}
	_, err := i.Verify(t.Context(), i.good("long", strings.Repeat("a", 5000)), &rule)
	if denied, ok := errors.AsType[*DeniedError](err); !ok || !strings.HasSuffix(denied.Reason, "bytes, the limit is 4096") {
		t.Errorf("a long claim: %v", err)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	i := newIdentity(t)
	old := i.good()
	if _, err := i.verify(old); err != nil {
		t.Fatal(err)
	}
	i.later(time.Minute)
	i.publish(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "k2"})
	renewed := sign(t, jose.RS256, "k2", rsaKey(), i.claims())
	if _, err := i.verify(renewed); err != nil {
		t.Errorf("a token with a new key: %v", err)
	}
	if n := i.asked.Load(); n != 2 {
		t.Errorf("the issuer was asked %d times", n)
	}
	i.later(fetchPause)
	i.wants("a token that was good by a key that has gone", old, `the key "k1", which its issuer does not have`)
	for n := range 50 { // a flood of unknown keys asks no more than once in ten seconds
		i.wants("an unknown key", sign(t, jose.RS256, fmt.Sprint("x", n), rsaKey(), i.claims()), "which its issuer does not have")
	}
	if n := i.asked.Load(); n != 3 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestKeysStayWhenTheIssuerIsDown(t *testing.T) {
	t.Parallel()
	i := newIdentity(t)
	if _, err := i.verify(i.good()); err != nil {
		t.Fatal(err)
	}
	i.publish()
	i.set(func() { i.keys = "" })
	i.later(23 * time.Hour)
	for range 3 {
		if _, err := i.verify(i.good()); err != nil {
			t.Errorf("with keys of yesterday: %v", err)
		}
		i.fetching.Wait()
		i.later(fetchPause)
	}
	i.later(time.Hour)
	_, err := i.verify(i.good())
	if !errors.Is(err, ErrIssuer) || !strings.Contains(err.Error(), "/keys answers with status 500") {
		t.Errorf("with keys older than a day: %v", err)
	}
	i.publish(jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "k1"})
	if _, err := i.verify(i.good()); !errors.Is(err, ErrIssuer) {
		t.Errorf("asked again at once: %v", err)
	}
	i.later(fetchPause)
	if _, err := i.verify(i.good()); err != nil {
		t.Errorf("it is back: %v", err)
	}
}

func TestManyWaitForOneFetch(t *testing.T) {
	t.Parallel()
	i := newIdentity(t)
	gate := make(chan struct{})
	i.set(func() { i.gate = gate })
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := i.Verify(impatient, i.good(), &i.rule); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait: %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		token := i.good()
		all.Go(func() {
			if _, err := i.verify(token); err != nil {
				t.Error(err)
			}
		})
	}
	close(gate)
	all.Wait()
	if n := i.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestIssuersThatAreNoGood(t *testing.T) {
	t.Parallel()
	weak, err := os.ReadFile("testdata/rsa1024.json") // crypto/rsa makes none any more
	if err != nil {
		t.Fatal(err)
	}
	discovery := "/.well-known/openid-configuration"
	for name, tc := range map[string]struct {
		path, answer, want string
	}{
		"keys of 10 MiB":           {"/keys", `{"keys":[` + strings.Repeat(" ", 10<<20) + `]}`, "/keys is longer than 512 KiB"},
		"discovery of 10 MiB":      {discovery, strings.Repeat(" ", 10<<20), "is longer than 512 KiB"},
		"no JSON":                  {"/keys", "<html>", "its keys are no JWK set"},
		"discovery without JSON":   {discovery, "<html>", "its openid-configuration is no JSON"},
		"another issuer":           {discovery, `{"issuer":"https://other.example","jwks_uri":"https://other.example/keys"}`, `is of issuer "https://other.example"; write the issuer exactly so in fn.yaml`},
		"no keys":                  {"/keys", `{"keys":[]}`, "none of its 0 keys can check a signature here"},
		"a shared secret":          {"/keys", `{"keys":[{"kty":"oct","kid":"k1","k":"c2VjcmV0"}]}`, "none of its 1 keys can check a signature here"},
		"keys of the future":       {"/keys", `{"keys":[{"kty":"PQ","kid":"k1"},{},7]}`, "none of its 3 keys can check a signature here"},
		"a key that is too short":  {"/keys", string(weak), "none of its 1 keys can check a signature here"},
		"too many keys":            {"/keys", `{"keys":[` + strings.Repeat("1,", 100) + `1]}`, "it has 101 keys, the limit is 100"},
		"redirect to plain HTTP":   {"/keys", "http://192.0.2.1/keys", "/keys names http://192.0.2.1/keys for its keys, which is not https"},
		"redirect to this machine": {"/keys", "http://localhost:1/keys", "/keys names http://localhost:1/keys for its keys, which is not https"},
		"keys on this machine":     {discovery, `{"issuer":"SELF","jwks_uri":"http://localhost:1/keys"}`, " names http://localhost:1/keys for its keys, which is not https"},
		"keys nowhere":             {discovery, `{"issuer":"SELF","jwks_uri":"http://a b"}`, "its openid-configuration has no address of keys: "},
		"keys in a file":           {discovery, `{"issuer":"SELF","jwks_uri":"file:///etc/passwd"}`, " names file:///etc/passwd for its keys, which is not https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIdentity(t)
			i.set(func() { i.other[tc.path] = strings.ReplaceAll(tc.answer, "SELF", i.server.URL) })
			if _, err := i.verify(i.good()); !errors.Is(err, ErrIssuer) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
	i := newIdentity(t)
	i.set(func() { i.other["/keys"] = "" })
	i.rule.JWKS = i.server.URL + "/nowhere"
	if _, err := i.verify(i.good()); !errors.Is(err, ErrIssuer) || !strings.Contains(err.Error(), "/nowhere answers with status 404") {
		t.Errorf("keys at the wrong address: %v", err)
	}
}

func TestIssuersOverPlainHTTP(t *testing.T) {
	t.Parallel()
	v := NewVerifier(VerifierOptions{Insecure: []string{"id.internal", "other.internal:81"}})
	defer v.Close()
	for address, good := range map[string]bool{
		"https://id.example.com": true, "http://id.example.com": false, "http://127.0.0.1:9": true, "http://[::1]": true, "http://localhost": true, "http://id.internal:99": true,
		"http://other.internal:81": true, "http://other.internal": false, "http://localhost.evil.example": false, "http://127.0.0.1.evil.example": false, "ftp://id.internal": false,
	} {
		for _, rule := range []api.JWTAuth{{Issuer: address}, {Issuer: "urn:x", JWKS: address}} {
			err := v.CheckRule(&rule)
			if good != (err == nil) || err != nil && !strings.Contains(err.Error(), "is not https: its keys could be anybody's; use https, or name the host in --insecure-issuers") {
				t.Errorf("%+v: %v", rule, err)
			}
		}
	}
	rule := api.JWTAuth{Issuer: "http://192.0.2.1"}
	if _, err := v.Verify(t.Context(), "a.b.c", &rule); !errors.Is(err, ErrIssuer) {
		t.Errorf("asked all the same: %v", err)
	}
}

func TestRecentForgetsTheOldest(t *testing.T) {
	t.Parallel()
	var r recent
	key := func(n int) recentKey { return recentKey{hash: [32]byte{byte(n), byte(n >> 8)}} }
	for n := range 3 * halfRecent {
		r.put(key(n), &verified{})
		if r.get(key(0)) == nil {
			t.Fatalf("one that is asked for was forgotten after %d", n)
		}
	}
	if r.get(key(1)) != nil || r.get(key(3*halfRecent-1)) == nil || len(r.newer)+len(r.older) > 2*halfRecent {
		t.Errorf("it holds %d and %d", len(r.newer), len(r.older))
	}
}

func FuzzVerify(f *testing.F) {
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "k1"}}})
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	v := NewVerifier(VerifierOptions{Now: func() time.Time { return now }})
	f.Cleanup(v.Close)
	rule := api.JWTAuth{Issuer: "http://127.0.0.1:1", Audience: "shop", Claims: map[string]string{"a.b": "c"}}
	from, err := v.issuer(&rule)
	if err != nil {
		f.Fatal(err)
	}
	if from.keys, err = parseKeys(raw); err != nil {
		f.Fatal(err)
	}
	from.got, from.tried = now, now
	f.Add(sign(f, jose.RS256, "k1", rsaKey(), map[string]any{"iss": rule.Issuer, "aud": "shop", "exp": now.Unix() + 60, "a": map[string]any{"b": "c"}}))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		_, err := v.Verify(t.Context(), token, &rule)
		if err != nil && !errors.As(err, new(*InvalidError)) && !errors.As(err, new(*DeniedError)) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"","y":""},{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := parseKeys(raw)
		if err != nil {
			return
		}
		for _, k := range set.keys {
			if !k.IsPublic() {
				t.Errorf("%s: a key that is not public", raw)
			}
		}
	})
}

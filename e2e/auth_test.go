package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// joseVersion is the one of npm that signs.
const joseVersion = "6.2.17"

// joseIssuer is an issuer in JavaScript; it ends with the test. Without node or npm's registry there is none.
type joseIssuer struct {
	url string
	cmd *exec.Cmd
}

func newJoseIssuer(t *testing.T) *joseIssuer {
	t.Helper()
	dir := installNpm(t, "jose@"+joseVersion)
	source, err := os.ReadFile(filepath.Join("testdata", "jose", "issuer.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "issuer.mjs"), source, 0o600); err != nil {
		t.Fatal(err)
	}
	i := &joseIssuer{cmd: exec.Command("node", "issuer.mjs")}
	i.cmd.Dir, i.cmd.Stderr = dir, os.Stderr
	out, err := i.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the issuer does not start: %v", err)
	}
	i.url = strings.TrimSpace(line)
	return i
}

func (i *joseIssuer) stop() {
	_ = i.cmd.Process.Kill() // it may have ended
	_ = i.cmd.Wait()
}

func (i *joseIssuer) sign(t *testing.T, alg string, claims map[string]any) http.Header {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	r := send(t, "POST", i.url+"/sign?alg="+alg, nil, text)
	if r.status != http.StatusOK || r.body == "" {
		t.Fatalf("sign with %s: %d %s", alg, r.status, r.body)
	}
	return http.Header{"Authorization": {"Bearer " + r.body}}
}

// Tokens of a library that nobody here wrote: each algorithm is taken, what is forged is not, keys rotate, and the issuer may be down.
func TestTokensOfAnIssuer(t *testing.T) {
	t.Parallel()
	i := newJoseIssuer(t)
	a := newApp(t, start(t, dataDir(t)))
	a.deploy(t, fmt.Sprintf(`
version: 1
app: shop
functions:
  probe:
    source: ./probe
    on: [ { http: { auth: %[1]s } } ]
topics:
  orders: { ingress: true, auth: %[1]s }
`, fmt.Sprintf("{ jwt: { issuer: %q, audience: shop, claims: { scope: orders:write }, forward: [email] } }", i.url)))
	claims := func(change ...any) map[string]any {
		c := map[string]any{"sub": "ada", "aud": []string{"shop"}, "scope": "orders:read orders:write", "email": "ada@example.com", "exp": time.Now().Add(time.Hour).Unix()}
		for n := 0; n < len(change); n += 2 {
			c[change[n].(string)] = change[n+1]
		}
		return c
	}
	call := func(header http.Header) response { return a.send(t, "POST", "/fn/probe/echo", header, []byte("hi")) }
	for _, alg := range []string{"RS256", "PS384", "ES256", "ES512", "EdDSA"} {
		if r := call(i.sign(t, alg, claims())); r.status != 200 || r.body != "hi" {
			t.Errorf("%s: %d %s", alg, r.status, r.body)
		}
	}
	for what, tc := range map[string]struct {
		header http.Header
		status int
		want   string
	}{
		"none":           {i.sign(t, "none", claims()), 401, `the token is signed with "none", which is not taken`},
		"HS256":          {i.sign(t, "HS256", claims()), 401, `the token is signed with "HS256", which is not taken`},
		"expired":        {i.sign(t, "ES256", claims("exp", time.Now().Add(-time.Hour).Unix())), 401, "the token has expired at"},
		"not yet valid":  {i.sign(t, "ES256", claims("nbf", time.Now().Add(time.Hour).Unix())), 401, "the token is not valid before"},
		"for another":    {i.sign(t, "ES256", claims("aud", "bank")), 401, `the token is for "bank", and not for "shop"`},
		"of another":     {i.sign(t, "ES256", claims("iss", "https://evil.example")), 401, `the token is of issuer "https://evil.example"`},
		"without rights": {i.sign(t, "ES256", claims("scope", "orders:read")), 403, "the token has not the claim scope: orders:write"},
		"no token":       {nil, 401, "function probe takes only requests with a token of " + i.url},
	} {
		r := call(tc.header)
		if r.status != tc.status || !strings.Contains(r.problem.Detail, tc.want) || r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %+v", what, r.status, r.problem)
		}
	}

	body, err := json.Marshal(event{"specversion": "1.0", "id": "1", "source": "/e2e", "type": "t", "authtype": "user", "authid": "root"})
	if err != nil {
		t.Fatal(err)
	}
	header := i.sign(t, "ES256", claims())
	header.Set("Content-Type", "application/cloudevents+json")
	if r := a.send(t, "POST", "/topics/orders", header, body); r.status != 202 {
		t.Errorf("publish: %d %s", r.status, r.body)
	}
	tail := a.must(t, "topic", "tail", "orders", "-o", "jsonl")
	contains(t, tail, `"authid":"ada"`, `"authtype":"app_user"`, `\"email\":\"ada@example.com\"`)

	before := i.sign(t, "RS256", claims())
	if r := send(t, "POST", i.url+"/rotate", nil, nil); r.status != 200 {
		t.Fatalf("rotate: %d", r.status)
	}
	eventually(t, "token with the new key", func() error { // the node asks at most every ten seconds
		if r := call(i.sign(t, "RS256", claims())); r.status != 200 {
			return fmt.Errorf("%d %s", r.status, r.body)
		}
		return nil
	})
	if r := call(before); r.status != 401 {
		t.Errorf("a token with a key that has gone: %d %s", r.status, r.body)
	}
	last := i.sign(t, "EdDSA", claims())
	i.stop()
	if r := call(last); r.status != 200 {
		t.Errorf("the issuer is down: %d %s", r.status, r.body)
	}
	a.rt.kill() // a node that has never had its keys cannot tell
	a.rt = start(t, a.rt.dir)
	r := call(last)
	if r.status != 503 || r.header.Get("Retry-After") != "10" || !strings.Contains(r.problem.Detail, "the keys of issuer "+i.url+" cannot be fetched") {
		t.Errorf("the issuer is down, and there are no keys: %d %+v", r.status, r.problem)
	}
}

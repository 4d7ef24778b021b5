package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// Versions of the packages that sign here.
var signers = []string{"@octokit/webhooks-methods@6.0.0", "stripe@23.1.0", "@slack/bolt@5.1.0", "standardwebhooks@1.1.1", "svix@2.5.0"}

const hooks = `version: 1
app: hooks
functions:
  probe:
    source: ./probe
    on:
      - webhook: { scheme: github, secret: key, path: /webhooks/github, filter: "subject = 'push'", key: data.repository.full_name }
      - webhook: { scheme: stripe, secret: key, path: /webhooks/stripe, key: data.account }
      - webhook: { scheme: slack, secret: key, path: /webhooks/slack }
      - webhook: { scheme: standard, secret: standard_key, path: /webhooks/standard }
      - webhook: { scheme: standard, secret: standard_key, path: /webhooks/svix }
    allow: { emit: [deliveries] }
    retry: { attempts: 2, initial: 10ms, max: 20ms }
`

// delivered is what the probe makes of a delivery.
type delivered struct{ ID, Type, Subject, Key, ContentType, Body, Path string }

func (d delivered) String() string { return d.Path + " " + d.Type + " " + d.ID }

// deliveries are those that the probe has passed on, once there are n.
func (a *app) deliveries(t *testing.T, n int) (all []delivered) {
	t.Helper()
	var lines string
	eventually(t, "deliveries", func() error {
		lines = a.must(t, "topic", "tail", "deliveries", "-o", "jsonl")
		if got := strings.Count(lines, "\n"); got < n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
	for line := range strings.Lines(lines) {
		var e struct{ Event struct{ Data delivered } }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, e.Event.Data)
	}
	return all
}

func (a *app) setSecret(t *testing.T, name, value string, more ...string) {
	t.Helper()
	a.write(t, "secret.txt", []byte(value))
	a.must(t, append([]string{"secret", "set", name, "--from-file", filepath.Join(a.dir, "secret.txt")}, more...)...)
}

func whsec(key string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)) }

// Packages of npm that the senders themselves publish sign deliveries here, before and while a key is exchanged.
func TestWebhooksSignedByVendors(t *testing.T) {
	t.Parallel()
	dir := installNpm(t, signers...)
	script, err := os.ReadFile("testdata/webhooks/sign.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sign.mjs"), script, 0o644); err != nil {
		t.Fatal(err)
	}
	a := sharedApp(t)
	const old, fresh = "an old key of 24 letters and more", "a new key of 24 letters and more"
	for name, form := range map[string]func(string) string{"key": func(s string) string { return s }, "standard_key": whsec} {
		a.setSecret(t, name, form(old))
		a.setSecret(t, name, form(fresh), "--keep-old", "1h")
	}
	a.deploy(t, hooks)
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "sign.mjs"), a.rt.gateway+"/@"+a.ns, old, whsec(old), fresh)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s%s", err, out, stderr.String())
	}
	type answer struct {
		Status       int
		Type, Detail string
		Duplicate    bool
	}
	var seen map[string]map[string]answer
	if err := json.Unmarshal(out, &seen); err != nil || len(seen) != 5 {
		t.Fatalf("%v in %s", err, out)
	}
	for sender, answers := range seen {
		taken := http.StatusAccepted
		if sender == "slack" {
			taken = http.StatusOK
		}
		for what, got := range answers {
			want := answer{Status: taken, Duplicate: what != "good" && sender != "slack"}
			switch what {
			case "tampered", "forged":
				want = answer{Status: 401, Type: got.Type, Detail: "the signature does not fit the body and the secret"}
			case "stale":
				want = answer{Status: 401, Type: got.Type, Detail: "the delivery is older than 5m0s"}
			}
			if got != want || got.Status == 401 && !strings.HasSuffix(got.Type, "wrong-signature") {
				t.Errorf("%s, %s: %+v, want %+v", sender, what, got, want)
			}
		}
	}
	if len(seen["stripe"]) != 6 || len(seen["github"]) != 5 {
		t.Errorf("%s", out)
	}

	var came []string
	for _, d := range a.deliveries(t, 5) {
		came = append(came, d.String())
		if d.ID == "72d3162e-cc78-11e3-81ab-4c9367dc0958" && (d.Subject != "push" || d.Key != "octocat/hello" || d.ContentType != "application/json" || !strings.Contains(d.Body, "größer")) {
			t.Errorf("%+v", d)
		}
		if d.ID == "evt_1" && (d.Key != "acct_7" || d.Body != "{\n  \"id\": \"evt_1\",\n  \"object\": \"event\",\n  \"type\": \"charge.failed\",\n  \"account\": \"acct_7\"\n}") {
			t.Errorf("not the bytes that were signed: %+v", d)
		}
	}
	slices.Sort(came)
	want := []string{
		"/webhooks/github dev.evoke.webhook.github 72d3162e-cc78-11e3-81ab-4c9367dc0958", "/webhooks/slack dev.evoke.webhook.slack Ev1",
		"/webhooks/standard dev.evoke.webhook.standard msg_1", "/webhooks/stripe dev.evoke.webhook.stripe evt_1", "/webhooks/svix dev.evoke.webhook.standard msg_2",
	}
	if !slices.Equal(came, want) {
		t.Errorf("came\n%s\nwant\n%s", strings.Join(came, "\n"), strings.Join(want, "\n"))
	}
}

func githubDelivery(id, kind, key, body string) http.Header {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return http.Header{
		"X-GitHub-Delivery": {id}, "X-GitHub-Event": {kind}, "Content-Type": {"application/json"},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}
}

// What was answered with success is done once, whatever happens to the runtime; what fails is retried and given up on as other events are.
func TestWebhookSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	const key, push, bad = "key", `{"repository":{"full_name":"o/r"}}`, `{"repository":{"full_name":"o/r"},"note":"told to fail"}`
	r := a.tryDeploy(t, hooks)
	contains(t, r.stderr, `functions.probe.on[0].webhook.secret: there is no secret "key" in namespace default`, "Try: fnctl secret set key -n default, fnctl secret set standard_key -n default, and deploy again")
	if r.code == 0 {
		t.Errorf("deployed without its secret: %s", r)
	}
	a.setSecret(t, "key", key)
	a.setSecret(t, "standard_key", whsec(key))
	a.deploy(t, hooks)
	contains(t, a.must(t, "ls", "routes"), "POST", "/webhooks/github", "probe")
	contains(t, a.must(t, "describe", "trigger", "probe:webhook"), "POST /webhooks/github", "github, with secret key")
	contains(t, a.must(t, "describe", "function", "probe"), "POST /webhooks/github, POST /webhooks/stripe")

	deliver := func(id, kind, body string, duplicate bool) {
		t.Helper()
		res := send(t, "POST", a.rt.gateway+"/webhooks/github", githubDelivery(id, kind, key, body), []byte(body))
		if res.status != http.StatusAccepted || strings.Contains(res.body, `"duplicate":true`) != duplicate {
			t.Errorf("%s: %d %s", id, res.status, res.body)
		}
	}
	for i := range 20 {
		deliver(fmt.Sprint("d", i), "push", push, false)
	}
	a.rt.kill()
	a.rt = start(t, dir)
	for i := range 20 {
		deliver(fmt.Sprint("d", i), "push", push, true)
	}
	deliver("other", "star", push, false) // stored, and not for the filter
	deliver("bad", "push", bad, false)
	a.logs(t, "probe").until(t, "dead letter", func(e api.LogEntry) bool { return e.Next == "dead-letter" })
	contains(t, a.must(t, "dlq", "ls"), "probe:webhook", "bad")
	deliver("last", "push", push, false)
	seen := map[string]int{}
	for _, d := range a.deliveries(t, 21) {
		seen[d.ID]++
	}
	for i := range 20 {
		if n := seen[fmt.Sprint("d", i)]; n != 1 {
			t.Errorf("d%d ran %d times", i, n)
		}
	}
	if len(seen) != 21 || seen["last"] != 1 {
		t.Errorf("ran: %v", seen)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const example = "../../examples/github"

func mustLoad(t *testing.T) []payload {
	t.Helper()
	payloads, err := loadPayloads(example)
	if err != nil {
		t.Fatal(err)
	}
	return payloads
}

func TestLoadPayloads(t *testing.T) {
	t.Parallel()
	payloads := mustLoad(t)
	seen := map[string]bool{}
	broken := 0
	for i, p := range payloads {
		if seen[p.delivery] {
			t.Errorf("delivery %s is there twice", p.delivery)
		}
		seen[p.delivery] = true
		if p.broken {
			broken++
			if i < len(payloads)/3 || i > len(payloads)*2/3 {
				t.Errorf("payload %d of %d is one that audit fails for; it does not come in the middle", i, len(payloads))
			}
		}
	}
	if len(payloads) < 100 || broken < 2 {
		t.Errorf("%d payloads, %d that audit fails for", len(payloads), broken)
	}
	again := mustLoad(t)
	for i := range payloads {
		if payloads[i].delivery != again[i].delivery {
			t.Fatal("the order is another one the second time")
		}
	}
	if _, err := loadPayloads(t.TempDir()); err == nil || !strings.Contains(err.Error(), "-example") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestNewPayload(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ event, body, typ, subject, broken string }{
		{"issues", `{"action":"opened","repository":{"full_name":"a/b"},"organization":{"login":"a"}}`, "com.github.issues.opened", "a/b", "false"},
		{"organization", `{"organization":{"login":"a"}}`, "com.github.organization", "a", "false"},
		{"ping", `{}`, "com.github.ping", "github", "false"},
		{"push", `{"head_commit":null}`, "com.github.push", "github", "true"},
		{"push", `{"head_commit":{"id":"1"}}`, "com.github.push", "github", "false"},
	} {
		p, err := newPayload(test.event, []byte(test.body))
		if got := []string{p.typ, p.subject, fmt.Sprint(p.broken)}; err != nil || got[0] != test.typ || got[1] != test.subject || got[2] != test.broken {
			t.Errorf("%s %s: %q (%v)", test.event, test.body, got, err)
		}
	}
}

// run makes what the topics hold when everything went well.
func wellDone(payloads []payload) (events, summaries, audit []event) {
	tallies := map[string]summary{}
	for i, p := range payloads {
		events = append(events, event{ID: p.delivery, Type: p.typ, Subject: p.subject, Data: p.body})
		s, ok := tallies[p.subject]
		if !ok {
			s = summary{Repository: p.subject, ByType: map[string]int{}}
		}
		s.Total++
		s.ByType[p.typ]++
		tallies[p.subject] = s
		summaries = append(summaries, event{ID: fmt.Sprint("s", i), Data: mustJSON(s)})
		audit = append(audit, event{ID: fmt.Sprint("a", i), Data: mustJSON(map[string]string{"event": p.delivery})})
	}
	return events, summaries, audit
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func without(events []event, i int) []event {
	return append(append([]event{}, events[:i]...), events[i+1:]...)
}

func twice(events []event, i int) []event { return append(append([]event{}, events...), events[i]) }

func TestChecks(t *testing.T) {
	t.Parallel()
	payloads := mustLoad(t)
	events, summaries, audit := wellDone(payloads)
	for _, test := range []struct {
		name  string
		check func(*faults, []payload, []event)
		good  []event
	}{{"events", checkEvents, events}, {"summaries", checkSummaries, summaries}, {"audit", checkAudit, audit}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var f faults
			if test.check(&f, payloads, test.good); f.err() != nil {
				t.Errorf("all is well: %v", f.err())
			}
			for i := 0; i < len(test.good); i += 60 {
				var missing, doubled faults
				if test.check(&missing, payloads, without(test.good, i)); missing.err() == nil {
					t.Errorf("event %d is missing and nobody noticed", i)
				}
				if test.check(&doubled, payloads, twice(test.good, i)); doubled.err() == nil {
					t.Errorf("event %d is doubled and nobody noticed", i)
				}
			}
		})
	}
}

func TestFaultsSayWhat(t *testing.T) {
	t.Parallel()
	payloads := mustLoad(t)[:2]
	a, b := payloads[0].delivery, payloads[1].delivery
	var f faults
	checkEvents(&f, payloads, []event{
		{ID: a, Type: payloads[0].typ, Subject: payloads[0].subject, Data: json.RawMessage(`{}`)},
		{ID: a, Type: "other", Data: payloads[0].body},
		{ID: "stray"},
	})
	text := f.err().Error()
	for _, want := range []string{a + " is there 2 times", b + " is missing", "stray is not expected", "data of " + a, "is a other about"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	var many faults
	for range 50 {
		many.add("x")
	}
	if text := many.err().Error(); !strings.Contains(text, "50 faults") || !strings.Contains(text, "30 more") {
		t.Errorf("a long list is %q", text)
	}
}

func TestParseTail(t *testing.T) {
	t.Parallel()
	events, err := parseTail([]byte(`{"topic":"t","event":{"id":"1","type":"x","data":{"a":"<"}}}` + "\n"))
	if err != nil || len(events) != 1 || events[0].ID != "1" || !sameJSON(events[0].Data, []byte(`{ "a": "\u003c" }`)) {
		t.Errorf("%+v, %v", events, err)
	}
	if _, err := parseTail([]byte("no json\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
}

func TestSendAsGitHub(t *testing.T) {
	t.Parallel()
	payloads := mustLoad(t)
	var mu sync.Mutex
	got := map[string]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got[r.Header.Get("X-GitHub-Delivery")] = r.Header.Get("X-GitHub-Event") + string(body)
		if !strings.HasPrefix(r.UserAgent(), "GitHub-Hookshot/") || r.Header.Get("X-GitHub-Hook-ID") == "" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", r.Header)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	if err := sendAll(t.Context(), srv.URL, payloads, 4); err != nil {
		t.Fatal(err)
	}
	for _, p := range payloads {
		if got[p.delivery] != p.event+string(p.body) {
			t.Errorf("webhook %s %s came as %.60q", p.event, p.delivery, got[p.delivery])
		}
	}
}

func TestSendStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such function", http.StatusNotFound) }))
	defer srv.Close()
	err := sendAll(t.Context(), srv.URL, mustLoad(t), 4)
	if err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "no such function") {
		t.Errorf("%v", err)
	}
}

func TestRunReportsAndCleansUp(t *testing.T) {
	t.Parallel()
	no, err := exec.LookPath("false")
	if err != nil {
		t.Skip("needs the program false")
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-nonsense"}, 2, "nonsense"},
		{[]string{"extra"}, 2, `unknown argument "extra"`},
		{[]string{"-example", example, "-runtime", "/no/such"}, 1, "/no/such"},
		{[]string{"-example", t.TempDir()}, 1, "no payloads"},
		{[]string{"-example", example, "-runtime", no, "-fnctl", no}, 1, "ended before it was ready"},
	} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), test.args, &out, &errOut); code != test.code || !strings.Contains(errOut.String(), test.want) {
			t.Errorf("%q: code %d, %s", test.args, code, errOut.String())
		}
		if _, dir, kept := strings.Cut(out.String(), "runtime are in "); kept {
			_ = os.RemoveAll(strings.TrimSuffix(dir, ".\n"))
		}
	}
}

// TestStartWaitsForTheAddresses uses a shell script as the runtime, with the addresses of an earlier run in the way.
func TestStartWaitsForTheAddresses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "runtime")
	text := "#!/bin/sh\n" + `echo '{"gateway":"127.0.0.1:2","admin":"127.0.0.1:3"}' > "$2/addresses.json"; exec sleep 60` + "\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	n := &node{runtime: script, dataDir: dir, log: filepath.Join(dir, "log")}
	if err := os.WriteFile(filepath.Join(dir, "addresses.json"), []byte(`{"gateway":"old:1","admin":"old:1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.Gateway != "127.0.0.1:2" || n.Admin != "127.0.0.1:3" {
		t.Errorf("addresses %+v", n.addresses)
	}
	n.kill()
	n.kill() // once is enough, twice does no harm
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.runtime = "/bin/sleep"
	if err := n.start(ctx); err == nil {
		t.Error("a cancelled start succeeded")
	}
	n.kill()
}

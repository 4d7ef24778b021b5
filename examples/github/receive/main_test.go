package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evoketest"
)

func request(headers ...[2]string) evoke.Request {
	return evoke.Request{Method: "POST", Path: "/", Headers: append(headers, [2]string{"Content-Type", "application/json"})}
}

func TestEveryPayloadBecomesAnEvent(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../payloads/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads (%v)", err)
	}
	rt := evoketest.Runtime{AllowEmit: []string{"github.events"}}
	for _, file := range files {
		lines, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kind := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		for payload := range bytes.Lines(lines) {
			payload = bytes.TrimSuffix(payload, []byte("\n"))
			got := rt.Serve(receive, request([2]string{"X-GitHub-Event", kind}, [2]string{"X-GitHub-Delivery", "d1"}), payload)
			if got.Verdict != evoketest.Done || got.Status != 202 || len(got.Emitted) != 1 {
				t.Fatalf("%s: %+v", kind, got)
			}
			e := got.Emitted[0].Event
			if e.ID != "d1" || !strings.HasPrefix(e.Type, "com.github."+kind) || e.Subject == "" || !bytes.Equal(e.Data(), payload) {
				t.Errorf("%s became event %q of type %q about %q", kind, e.ID, e.Type, e.Subject)
			}
		}
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, payload, typ, source, subject string }{
		{"repository", `{"action":"opened","repository":{"full_name":"a/b"},"organization":{"login":"a"}}`,
			"com.github.issues.opened", "https://github.com/a/b", "a/b"},
		{"organization", `{"organization":{"login":"a"}}`, "com.github.issues", "https://github.com/a", "a"},
		{"neither", `{}`, "com.github.issues", "https://github.com", "github"},
		{"null", `{"action":null,"repository":null,"organization":null}`, "com.github.issues", "https://github.com", "github"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var rt evoketest.Runtime
			got := rt.Serve(receive, request([2]string{"X-GitHub-Event", "issues"}, [2]string{"x-github-delivery", "d1"}), []byte(test.payload))
			if len(got.Emitted) != 1 {
				t.Fatalf("%+v", got)
			}
			e := got.Emitted[0].Event
			if e.Type != test.typ || e.Source != test.source || e.Subject != test.subject {
				t.Errorf("type %q, source %q, subject %q", e.Type, e.Source, e.Subject)
			}
		})
	}
}

func TestWrongCallers(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	got := rt.Serve(receive, request(), []byte(`{}`))
	if got.Status != 400 || !strings.Contains(string(got.Data), "X-GitHub-Event") || len(got.Emitted) != 0 {
		t.Errorf("without headers: %+v", got)
	}
	got = rt.Serve(receive, request([2]string{"X-GitHub-Event", "push"}, [2]string{"X-GitHub-Delivery", "1"}), []byte("payload=%7B%7D"))
	if got.Status != 400 || !strings.Contains(string(got.Data), "application/json") || len(got.Emitted) != 0 {
		t.Errorf("a form: %+v", got)
	}
	if got := rt.Deliver(receive, evoke.NewEvent("x", nil)); got.Verdict != evoketest.Rejected {
		t.Errorf("an event that is no request: %+v", got)
	}
	rt.AllowEmit = []string{"other"}
	got = rt.Serve(receive, request([2]string{"X-GitHub-Event", "push"}, [2]string{"X-GitHub-Delivery", "1"}), []byte("{}"))
	if got.Verdict != evoketest.Failed || !strings.Contains(got.Reason, "allow.emit") {
		t.Errorf("without the right to emit: %+v", got)
	}
}

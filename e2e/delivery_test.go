package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// charges fails as long as its rate is no number, which a second deploy corrects. %s: the rate.
const charges = `version: 1
app: charges
functions:
  charge:
    source: ./probe
    env: { RATE: "%s" }
    on: [ { topic: { name: orders, filter: "type = 'probe.charge'" } } ]
    allow: { emit: [receipts] }
    retry: { attempts: 3, initial: 10ms, max: 20ms }
topics:
  orders: { ingress: true }
`

// The main job as a user does it: deploy, send, see it fail and be retried and given up, find out why, fix it, redrive; with a stop, a start and a kill -9
// in between.
func TestFailFixRedrive(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, fmt.Sprintf(charges, "two"))
	a.must(t, "emit", "orders", "--type", "probe.charge", "--id", "o1", "--subject", "Ada", "-d", `{"total": 12}`)
	a.must(t, "emit", "orders", "--type", "com.shop.refund", "--id", "o2", "-d", `{}`) // not for the filter
	if out := a.must(t, "emit", "orders", "--type", "probe.charge", "--id", "o1", "--subject", "Ada"); !strings.Contains(out, "before (duplicate)") {
		t.Errorf("the second time o1 was stored as well:\n%s", out)
	}
	gaveUp := a.logs(t, "charge").until(t, "dead letter", func(e api.LogEntry) bool { return e.Next == "dead-letter" })
	if gaveUp.Attempt.Attempt != 3 || gaveUp.EventID != "o1" {
		t.Errorf("given up: %+v after %+v", gaveUp, gaveUp.Attempt)
	}
	contains(t, a.must(t, "logs", "charge"), "attempt 1 failed", "attempt 2 failed", `rate of Ada: strconv.Atoi: parsing "two": invalid syntax`, "next attempt at", "given up: see fnctl dlq ls")

	if err := a.rt.terminate(); err != nil {
		t.Fatal(err)
	}
	a.rt = start(t, dir)
	id := strings.TrimSpace(a.must(t, "dlq", "ls", "-o", "name"))
	letter := a.must(t, "dlq", "peek", id)
	contains(t, letter, "charge:orders", "o1", "probe.charge", "all 3 attempts failed", `"total": 12`, "ATTEMPT")
	a.deploy(t, fmt.Sprintf(charges, "2"))

	a.rt.kill()
	a.rt = start(t, dir)
	if r := a.fnctl(t, "dlq", "redrive", id); r.code != 0 || !strings.Contains(r.stderr, "redrove 1 dead letter") {
		t.Errorf("redrive: %s", r)
	}
	var receipt struct {
		Type string
		Data map[string]any
	}
	got := a.tail(t, "receipts").until(t, "receipt", func(api.TopicEvent) bool { return true })
	if err := json.Unmarshal(got.Event, &receipt); err != nil || receipt.Data["order"] != "o1" || receipt.Data["rate"] != 2.0 {
		t.Errorf("receipt %s", got.Event)
	}
	if r := a.fnctl(t, "dlq", "redrive", id); r.code != 3 || !strings.Contains(r.stderr, "is not there") {
		t.Errorf("a second redrive: %s", r)
	}
	if out := a.must(t, "dlq", "ls", "-o", "name"); out != "" {
		t.Errorf("dead letters: %s", out)
	}
	done := a.logs(t, "charge").until(t, "end", func(e api.LogEntry) bool { return e.Attempt != nil && e.Attempt.Verdict == "done" })
	if done.Attempt.Attempt != 1 || done.Revision != 2 {
		t.Errorf("the redriven event ended with %+v at revision %d", done.Attempt, done.Revision)
	}
	if n := strings.Count(a.must(t, "topic", "tail", "receipts"), "\n"); n != 1 {
		t.Errorf("%d receipts, want 1", n)
	}
}

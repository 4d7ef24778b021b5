package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// A disk under the watermark takes no new events, and what is stored still gets done, with its effects.
func TestDiskUnderTheWatermark(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := newApp(t, start(t, dir, "--drain", "200ms"))
	first.deploy(t, `version: 1
app: disk
functions:
  probe:
    source: ./probe
    on: [ { http: {} }, { topic: { name: work } } ]
    allow: { emit: [out], state: true }
topics:
  work: { ingress: true }
`)
	// Still at work when the runtime stops: stored, not settled.
	over := time.Now().Add(5 * time.Second).UnixMilli()
	first.publish(t, "work", newEvent("1", "until", "", over), newEvent("2", "until", "", over), newEvent("3", "until", "", over), newEvent("4", "until", "", over),
		newEvent("5", "count", "k", nil))
	if err := first.rt.terminate(); err != nil {
		t.Fatal(err)
	}
	full := newApp(t, start(t, dir, "--min-free", "100%"))
	r := full.send(t, "POST", "/topics/work", structured, []byte(`{"specversion":"1.0","id":"9","source":"/e2e","type":"probe.echo"}`))
	if r.status != http.StatusInsufficientStorage || r.problem.Type != "https://evoke.run/problems/disk-low" || r.header.Get("Retry-After") == "" {
		t.Errorf("publish: %d %s", r.status, r.body)
	}
	contains(t, r.problem.Detail, "disk is nearly full: ", "% is free, min-free asks for 100%")
	contains(t, r.problem.Next, "free space on the disk of the data directory; nothing of this request was stored")
	if r := full.fnctl(t, "emit", "work", "--type", "probe.echo"); r.code != 1 {
		t.Errorf("fnctl emit: %s", r)
	} else {
		contains(t, r.stderr, "disk is nearly full", "Try: free space")
	}
	done := map[string]int{}
	full.logs(t, "probe").until(t, "end of the stored events", func(e api.LogEntry) bool {
		if e.Attempt != nil && e.Attempt.Verdict == "done" {
			done[e.EventID] = e.Attempt.Attempt
		}
		return len(done) == 5
	})
	out := full.tail(t, "out").until(t, "emitted event", func(api.TopicEvent) bool { return true })
	contains(t, string(out.Event), `"ID":"5"`, `"N":1`)
	// A call that stores nothing is no matter of the disk.
	if r := full.send(t, "POST", "/fn/probe/echo", http.Header{"Content-Type": {"text/plain"}}, []byte("x")); r.status != 200 {
		t.Errorf("call: %d %s", r.status, r.body)
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// A backup is made under load and restored elsewhere: what was acknowledged before it began is there, and when what came later is sent again, every event was
// counted once and has one output, as if nothing had happened.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, fmt.Sprintf(counting, 20, 1, 100))
	l := newLoad(a)
	l.start(t)
	gone := l.serve(t, a.rt)
	l.progress(t, 60)
	l.mu.Lock()
	before := make([]string, 0, len(l.acked))
	for id := range l.acked {
		before = append(before, id)
	}
	l.mu.Unlock()
	file := filepath.Join(t.TempDir(), "evoke.backup")
	contains(t, a.fnctl(t, "backup", file).stderr, "backed up ", file)
	l.progress(t, 60)
	l.finish(t)
	a.rt.kill()
	gone()

	elsewhere := dataDir(t)
	r := a.fnctl(t, "restore", file, "--data-dir", elsewhere)
	contains(t, r.stderr, "restored the backup of ", " into "+elsewhere+": 16 partitions, 1 modules")
	if r.code != 0 {
		t.Fatalf("fnctl restore: %s", r)
	}
	p := start(t, elsewhere)
	defer l.serve(t, p)()
	there := storedInputs(t, a)
	for _, id := range before {
		if !there[id] {
			t.Errorf("input %s was acknowledged before the backup and is not in it", id)
		}
	}
	if len(there) == len(l.acked) {
		t.Error("everything is in the backup: there was no load while it was made")
	}
	for id, key := range l.acked {
		l.again(t, id, key)
	}
	judge(t, l.ledger(t))

	r = a.fnctl(t, "restore", file, "--data-dir", elsewhere)
	if r.code != 1 {
		t.Errorf("restore over a directory in use: %s", r)
	}
	contains(t, r.stderr, "is in use by the process with id")
}

// storedInputs are the ids on the input topics.
func storedInputs(t *testing.T, a *app) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	for _, topic := range []string{"in.0", "in.1"} {
		for e, err := range a.client(t).TopicEvents(t.Context(), a.ns, topic, api.TailOptions{Limit: 1_000_000}) {
			if err != nil {
				t.Fatal(err)
			}
			var in struct{ ID string }
			if err := json.Unmarshal(e.Event, &in); err != nil {
				t.Fatal(err)
			}
			there[in.ID] = true
		}
	}
	return there
}

// again publishes an input to the topic that its producer has sent it to.
func (l *load) again(t *testing.T, id, key string) {
	t.Helper()
	body, err := json.Marshal(newEvent(id, "count", key, nil))
	if err != nil {
		t.Fatal(err)
	}
	var producer, n int
	if _, err := fmt.Sscanf(id, "p%d-%d", &producer, &n); err != nil {
		t.Fatal(err)
	}
	if status, answer, err := post(fmt.Sprintf("%s/topics/in.%d", l.app.rt.gateway, n%2), body); err != nil || status != http.StatusAccepted {
		t.Fatalf("publish %s: %d %s, %v", id, status, answer, err)
	}
}

// Events of topics that keep them for a second go, and so do the dead letters of a function that keeps them no longer; what others keep stays.
func TestRetention(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	a.deploy(t, `version: 1
app: short
functions:
  f:
    source: ./probe
    on: [ { topic: { name: short } }, { topic: { name: given-up } } ]
    retry: { attempts: 1 }
    deadLetter: { keep: 1s }
topics:
  short: { ingress: true, retention: 1s }
  given-up: { ingress: true, retention: 1s, unsettled: deadletter }
  long: { ingress: true }
`)
	a.publish(t, "short", newEvent("s", "echo", "", nil))
	a.publish(t, "long", newEvent("l", "echo", "", nil))
	a.publish(t, "given-up", newEvent("g", "fail", "", nil))
	eventually(t, "end of the retention", func() error {
		for _, topic := range []string{"short", "given-up"} {
			if out := a.must(t, "topic", "tail", topic); out != "" {
				return fmt.Errorf("topic %s has %s", topic, out)
			}
		}
		if out := a.must(t, "dlq", "ls", "-o", "name"); strings.TrimSpace(out) != "" {
			return fmt.Errorf("dead letters %s", out)
		}
		return nil
	})
	contains(t, a.must(t, "topic", "tail", "long"), "id=l")
	contains(t, a.rt.stderr.String(), `msg="removed dead letters that were kept long enough" trigger=f:given-up`)
}

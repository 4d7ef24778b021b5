package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

const parks = `version: 1
app: parks
functions:
  count:
    source: ./probe
    on: [ { topic: { name: in, order: key, onFailure: park } } ]
    allow: { emit: [out], state: true }
    retry: { attempts: 2, initial: 1ms, max: 1ms }
    deadLetter: { topic: in.dead, knative: true }
topics:
  in: { ingress: true }
`

// One key of many has a poisoned head: it parks, alone, also over a kill -9. Its event is edited and redriven, and the key goes on in its order.
func TestPoisonedKeyParksAndIsHealed(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, parks)
	const keys, each = 40, 3
	var events []event
	for j := range each {
		for i := range keys {
			op := "count"
			if i == 7 && j == 0 {
				op = "fail"
			}
			events = append(events, newEvent(fmt.Sprintf("e%d-%d", i, j), op, fmt.Sprint("k", i), nil))
		}
	}
	a.publish(t, "in", events...)
	a.tail(t, "out").until(t, "the events of all other keys", countTo[api.TopicEvent]((keys-1)*each))
	eventually(t, "parked key", func() error { return a.wantParked(t, 1, each-1) })
	dead := a.tail(t, "in.dead").until(t, "copy", func(api.TopicEvent) bool { return true })
	contains(t, string(dead.Event), `"knativeerrordest":"/ns/default/functions/count"`, `"knativeerrorcode":500`, `"knativeerrordata":"told to fail (all 2 attempts failed)"`)

	a.rt.kill()
	a.rt = start(t, dir)
	eventually(t, "parked key after a restart", func() error { return a.wantParked(t, 1, each-1) })
	contains(t, a.must(t, "dlq", "ls", "--parked"), "k7 (2 behind)", "told to fail")
	contains(t, a.must(t, "describe", "trigger", "count:in"), "On failure:    park", "Parked keys:   1, the oldest ", "found waiting behind them: 2")
	metrics := send(t, "GET", a.rt.admin+"/metrics", nil, nil).body
	for _, name := range []string{"evoke_dead_letters", "evoke_parked_keys", "evoke_dead_letter_oldest_seconds"} {
		contains(t, metrics, name+`{namespace="default",trigger="count:in"} `)
	}

	page, err := a.client(t).DeadLetterPage(t.Context(), "default", api.DeadLetterQuery{Parked: true, Filter: "type = 'probe.fail' AND partitionkey = 'k7'"})
	if err != nil || len(page.Letters) != 1 {
		t.Fatalf("%+v %v", page, err)
	}
	id := page.Letters[0].ID
	if r := a.edit(t, id, `"k7"`, `"k8"`); r.code == 0 || !strings.Contains(r.stderr, "so it cannot change") {
		t.Errorf("an edit of the key: %s", r)
	}
	if r := a.edit(t, id, `"probe.fail"`, `"probe.count"`); r.code != 0 || !strings.Contains(r.stderr, "redrove 1 dead letter") {
		t.Fatalf("edit and redrive: %s", r)
	}
	a.tail(t, "out").until(t, "the events of the healed key", countTo[api.TopicEvent](keys*each))
	if got, want := a.countedOf(t, "k7"), []string{"e7-0", "e7-1", "e7-2"}; !slices.Equal(got, want) {
		t.Errorf("key k7 was counted in the order %v, want %v", got, want)
	}
	if err := a.wantParked(t, 0, 0); err != nil {
		t.Error(err)
	}
	for _, command := range [][]string{{"dlq", "redrive", id}, {"dlq", "discard", id, "--reason", "test"}} {
		if r := a.fnctl(t, command...); r.code != 3 || !strings.Contains(r.stderr, id+" is not there: it was redriven or discarded before") {
			t.Errorf("%v of what is redriven: %s", command, r)
		}
	}
}

// countTo says when a stream has given n values.
func countTo[T any](n int) func(T) bool {
	return func(T) bool {
		n--
		return n == 0
	}
}

func (a *app) wantParked(t testing.TB, parked, behind int) error {
	tr, err := a.client(t).Trigger(t.Context(), a.ns, "count:in")
	if err != nil {
		return err
	}
	if tr.Stats.Parked != parked || tr.Stats.Behind != behind {
		return fmt.Errorf("%+v, want %d parked and %d behind", *tr.Stats, parked, behind)
	}
	return nil
}

// edit replaces text in the event of a dead letter and redrives it with --edit-file -.
func (a *app) edit(t testing.TB, id, old, replacement string) result {
	t.Helper()
	var d api.DeadLetter
	if err := json.Unmarshal([]byte(a.must(t, "dlq", "peek", id, "-o", "json")), &d); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(d.Event, []byte(old)) {
		t.Fatalf("no %s in %s", old, d.Event)
	}
	cmd := a.command("dlq", "redrive", id, "--edit-file", "-")
	cmd.Stdin = bytes.NewReader(bytes.ReplaceAll(d.Event, []byte(old), []byte(replacement)))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its exit code says how it went
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// countedOf lists the events of a key that the probe counted, in the order of its counts.
func (a *app) countedOf(t testing.TB, key string) []string {
	t.Helper()
	byNumber := map[int]string{}
	for line := range strings.Lines(a.must(t, "topic", "tail", "out", "--limit", "1000", "-o", "jsonl")) {
		var e struct {
			Event struct {
				Data struct {
					ID, Key string
					N       int
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event.Data.Key == key {
			byNumber[e.Event.Data.N] = e.Event.Data.ID
		}
	}
	var out []string
	for n := 1; n <= len(byNumber); n++ {
		out = append(out, byNumber[n])
	}
	return out
}

// A redrive of many keeps to its rate, reaches all, and can name the revision that runs them.
func TestRedriveOfManyToAnOldRevision(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	app := strings.ReplaceAll(charges, "attempts: 3", "attempts: 1")
	a.deploy(t, fmt.Sprintf(app, "2"))
	a.deploy(t, fmt.Sprintf(app, "two"))
	const n = 30
	var events []event
	for i := range n {
		events = append(events, newEvent(fmt.Sprint("o", i), "charge", fmt.Sprint("k", i), nil))
	}
	a.publish(t, "orders", events...)
	eventually(t, "dead letters", func() error {
		tr, err := a.client(t).Trigger(t.Context(), a.ns, "charge:orders")
		if err == nil && tr.Stats.DeadLetters != n {
			err = fmt.Errorf("%+v", *tr.Stats)
		}
		return err
	})
	all := []string{"dlq", "redrive", "--all", "--filter", "type = 'probe.charge'"}
	if r := a.fnctl(t, append(all, "--to-revision", "9")...); r.code != 3 || !strings.Contains(r.stderr, `function "charge" has no revision 9; it keeps 1 to 2`) {
		t.Errorf("a revision that is not there: %s", r)
	}
	if r := a.fnctl(t, append(all, "--to-revision", "1", "--dry-run")...); r.code != 0 || strings.Count(r.stdout, "\n") != n || !strings.Contains(r.stderr, "would redrive 30 dead letters; nothing was changed") {
		t.Errorf("dry run: %s", r)
	}
	if r := a.fnctl(t, append(all, "--to-revision", "1", "--rate", "100/s")...); r.code != 0 || !strings.Contains(r.stderr, "redrove 30 dead letters") {
		t.Errorf("redrive: %s", r)
	}
	a.tail(t, "receipts").until(t, "receipts", countTo[api.TopicEvent](n))
	if r := a.fnctl(t, append(all, "--to-revision", "1")...); r.code != 0 || !strings.Contains(r.stderr, "redrove 0 dead letters") {
		t.Errorf("a second time: %s", r)
	}
	if got := send(t, "GET", a.rt.admin+"/api/v1/ns/"+a.ns+"/deadletters?filter=(", http.Header{}, nil); got.status != 400 || !strings.Contains(got.problem.Detail, "filter: ") {
		t.Errorf("a filter that does not parse: %d %s", got.status, got.body)
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

// replayed is an app whose function says what it got in a topic; %s: more lines and functions.
const replayed = `version: 1
app: replayed
functions:
  charge:
    source: ./probe
    env: { RATE: "2" }
    on: [ { topic: { name: orders, filter: "type = 'probe.charge'", order: key } } ]
    allow: { emit: [receipts] }
%s
topics:
  orders: { ingress: true }
`

func (a *app) order(t *testing.T, id string) {
	t.Helper()
	a.must(t, "emit", "orders", "--type", "probe.charge", "--id", id, "--subject", "Ada", "-d", `{"total": 12}`)
}

// receipts waits until there are n receipts and lists their orders, sorted: they lie in several partitions.
func (a *app) receipts(t *testing.T, n int) (orders []string) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " receipts"), func() error {
		orders = nil
		for line := range strings.Lines(a.must(t, "topic", "tail", "receipts", "-o", "jsonl")) {
			var e api.TopicEvent
			var receipt struct{ Data struct{ Order string } }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return err
			}
			if err := json.Unmarshal(e.Event, &receipt); err != nil {
				return err
			}
			orders = append(orders, receipt.Data.Order)
		}
		if len(orders) < n {
			return fmt.Errorf("there are receipts of %v", orders)
		}
		return nil
	})
	if len(orders) != n {
		t.Errorf("receipts of %v, want %d", orders, n)
	}
	slices.Sort(orders)
	return orders
}

// These pages go on from the README's function. Here it is a module that takes anything, because that costs no build.
func TestPagesThatGoOnFromTheReadme(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"positions.md", "delivery.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			const app = "version: 1\napp: hello\nfunctions:\n  greet: { wasm: ./greet.wasm, on: [ { http: {} }, { topic: { name: visitors } } ] }\n"
			for name, content := range map[string]string{"greet.wasm": string(wasmtest.Echo()), "fn.yaml": app} {
				if err := os.WriteFile(filepath.Join(u.shell.dir, name), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := u.shell.run("runtime --data-dir ./evoke-data &"); err != nil {
				t.Fatal(err)
			}
			u.awaitRuntime(t)
			if _, err := u.shell.run("fnctl deploy"); err != nil {
				t.Fatal(err)
			}
			u.follow(t, "../docs/"+page, nil)
		})
	}
}

// Pause, kill -9, deploy and resume; then replays, and functions that start in the past.
func TestPositions(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	a := newApp(t, start(t, dir))
	a.deploy(t, fmt.Sprintf(replayed, ""))
	a.order(t, "o1")
	a.receipts(t, 1)

	contains(t, a.must(t, "pause", "charge:orders"), "charge:orders", "PAUSED SINCE")
	a.order(t, "o2")
	a.rt.kill()
	a.rt = start(t, dir)
	a.order(t, "o3")
	contains(t, a.must(t, "ls", "trigger"), "charge:orders", "paused")
	contains(t, a.must(t, "get"), "charge:orders (paused)")
	if r := a.tryDeploy(t, fmt.Sprintf(replayed, "    timeout: 20s")); r.code != 0 || !strings.Contains(r.stderr, "note: trigger charge:orders stays paused, since ") {
		t.Errorf("deploy: %s", r)
	}
	contains(t, a.must(t, "describe", "trigger", "charge:orders"), "Paused since:", "Pending:       2")
	a.receipts(t, 1)
	a.must(t, "resume", "charge")
	if got := strings.Join(a.receipts(t, 3), " "); got != "o1 o2 o3" {
		t.Errorf("receipts of %s", got)
	}

	var positions []string
	for line := range strings.Lines(a.must(t, "topic", "tail", "orders", "-o", "jsonl")) {
		var e api.TopicEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		positions = append(positions, e.Position)
	}
	contains(t, a.must(t, "topic", "tail", "orders", "-o", "wide"), "position="+positions[0])
	if r := a.fnctl(t, "replay", "charge:orders", "--from", positions[0], "--dry-run"); r.code != 0 || !strings.Contains(r.stderr, "nothing was changed; would hand out again: 2 events") {
		t.Errorf("dry run: %s", r)
	}
	if r := a.fnctl(t, "replay", "charge:orders", "--from", positions[0]); r.code != 0 || !strings.Contains(r.stderr, "handed out again: 2 events") {
		t.Errorf("replay: %s", r)
	}
	if got := strings.Join(a.receipts(t, 5), " "); got != "o1 o2 o2 o3 o3" {
		t.Errorf("replayed %s", got)
	}
	if r := a.fnctl(t, "replay", "charge:orders", "--since", "1h", "--to", positions[1]); r.code != 0 || !strings.Contains(r.stderr, "handed out again: 2 events") {
		t.Errorf("replay up to a token: %s", r)
	}
	if got := strings.Join(a.receipts(t, 7), " "); got != "o1 o1 o2 o2 o2 o3 o3" {
		t.Errorf("replayed %s", got)
	}
	other := newApp(t, start(t, dataDir(t)))
	other.deploy(t, fmt.Sprintf(replayed, ""))
	if r := other.fnctl(t, "replay", "charge:orders", "--from", positions[0]); r.code != 1 || !strings.Contains(r.stderr, "the token is of another data directory") {
		t.Errorf("elsewhere: %s", r)
	}

	a.rt.kill()
	a.rt = start(t, dir)
	a.deploy(t, fmt.Sprintf(replayed, fmt.Sprintf(`    timeout: 20s
  again:
    source: ./probe
    env: { RATE: "3" }
    on: [ { topic: { name: orders, filter: "type = 'probe.charge'", start: %s } } ]
    allow: { emit: [receipts] }
  all:
    source: ./probe
    env: { RATE: "3" }
    on: [ { topic: { name: orders, filter: "type = 'probe.charge'", start: earliest, order: key } } ]
    allow: { emit: [receipts] }
`, positions[1])))
	if got := strings.Join(a.receipts(t, 7+1+3), " "); got != "o1 o1 o1 o2 o2 o2 o2 o3 o3 o3 o3" {
		t.Errorf("with the two that started in the past there are receipts of %s", got)
	}
}

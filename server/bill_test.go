package server

import (
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/sdk/abi"
)

var (
	bill = api.Bill{Wall: 1234 * time.Microsecond, Guest: 412 * time.Microsecond, Fuel: 97_041, PeakMemory: 2_490_368, BytesIn: 1024, BytesOut: 1126, HostCalls: 7}

	billed = scheduler.Reply{Invocation: "inv", Revision: 3, Attempt: 1, Verdict: abi.Done, Data: []byte("hi"), Duration: time.Second, Bill: bill}
)

const billJSON = `"bill":{"wallNs":1234000,"guestNs":412000,"fuel":97041,"peakMemoryBytes":2490368,"bytesIn":1024,"bytesOut":1126,"hostCalls":7}`

// What programs read: these bytes do not change.
func TestInvokeAnswersWithTheBill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.replying(billed)
	got := b.send("POST", b.admin+"/api/v1/ns/default/functions/charge/invoke", api.InvokeRequest{})
	want := `{"invocation":"inv","verdict":"done","data":"aGk=","revision":3,"attempt":1,"duration":"1s",` + billJSON + "}\n"
	if got.status != 200 || got.body != want {
		t.Errorf("%d %s\nwant %s", got.status, got.body, want)
	}
	failed := billed
	failed.Verdict, failed.Class = abi.Failed, "trap"
	b.replying(failed)
	if got := b.send("POST", b.admin+"/api/v1/ns/default/functions/charge/invoke", api.InvokeRequest{}); got.status != 200 || !strings.Contains(got.body, billJSON) {
		t.Errorf("a function that failed: %d %s", got.status, got.body)
	}
	if got := b.send("POST", b.admin+"/api/v1/ns/default/functions/charge/invoke", api.InvokeRequest{Async: true}); got.status != 202 || strings.Contains(got.body, "bill") {
		t.Errorf("nothing has run: %d %s", got.status, got.body)
	}
}

func TestLogsCarryTheBillOfAnAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.history.Append(api.LogEntry{Time: clock, Namespace: "default", Function: "charge", Level: "info", Attempt: &api.Attempt{Attempt: 1, Verdict: "done", Bill: bill}})
	b.history.Append(api.LogEntry{Time: clock, Namespace: "default", Function: "charge", Level: "info", Attempt: &api.Attempt{Attempt: 1, Verdict: "done"}})
	got := b.do("GET", b.admin+"/api/v1/ns/default/logs", "")
	if lines := strings.Split(strings.TrimSpace(got.body), "\n"); len(lines) != 2 || !strings.Contains(lines[0], billJSON) || strings.Contains(lines[1], "bill") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// What a function costs is its owner's business: the gateway tells nobody.
func TestGatewayTellsNoBill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	failed := billed
	failed.Verdict, failed.Class = abi.Failed, "trap"
	for name, reply := range map[string]scheduler.Reply{"done": billed, "failed": failed} {
		b.replying(reply)
		for _, header := range [][]string{nil, binaryHeaders, {"Prefer", "respond-async"}} {
			got := b.do("POST", b.gateway+"/fn/hello", "", header...)
			if got.header.Get("Evoke-Invocation") == "" {
				t.Fatalf("%s: nothing has run: %d %s", name, got.status, got.body)
			}
			for k := range got.header {
				if strings.HasPrefix(k, "Evoke-") && k != "Evoke-Invocation" {
					t.Errorf("%s: header %s", name, k)
				}
			}
			for _, word := range []string{"bill", "fuel", "97041", "1234000"} {
				if strings.Contains(got.body, word) {
					t.Errorf("%s: the body tells %q: %s", name, word, got.body)
				}
			}
		}
	}
}

package main

import (
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestTimesForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 µs", 4: "0 µs", 440: "0.4 µs", 4400: "4.4 µs", 999_949: "999.9 µs", 999_999: "1 ms", 1_230_000: "1.2 ms", 30 * time.Second: "30 s", time.Hour: "3600 s",
	} {
		if got := span(d); got != want {
			t.Errorf("%d ns: %q, want %q", d, got, want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1k", 97_041: "97k", 999_949: "999.9k", 999_999: "1M", 1_230_000: "1.2M", 5_000_000_000: "5G", 7_000_000_000_000_000: "7000T",
	} {
		if got := count(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// A function that failed has used something too; a server that tells no bill leaves only what it tells.
func TestVerboseOfAFailureAndOfAServerWithoutBills(t *testing.T) {
	t.Parallel()
	reply := api.InvokeReply{Invocation: "i", Verdict: "failed", Class: "trap", Error: "unreachable", Revision: 2, Attempt: 1, Bill: api.Bill{Wall: time.Millisecond, Fuel: 12}}
	path := "POST /ns/default/functions/f/invoke"
	answers := map[string]any{path: reply, "GET /ns/default/logs?function=f&invocation=i": stub{200, ""}}
	const (
		head = "failed · f revision 2 · 0s · invocation i\n"
		bill = "Attempt:      1\nWall:         1 ms\nGuest:        0 µs\nFuel:         12\nPeak memory:  0 B\nBytes in:     0 B\nBytes out:    0 B\nHost calls:   0\n"
		why  = "error: function f failed (trap): unreachable\nTry: fnctl logs f -n default\n"
	)
	newFake(t, answers).fnctl("invoke", "f", "-v").want(t, exitFunction, "", head+bill+why)
	reply.Bill, reply.Attempt = api.Bill{}, 0
	answers[path] = reply
	newFake(t, answers).fnctl("invoke", "f", "-v").want(t, exitFunction, "", head+why)
}

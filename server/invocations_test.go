package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/sdk/abi"
)

// publishCharges stores events for the trigger charge:orders.
func (b *bundle) publishCharges(events ...event.Event) {
	b.t.Helper()
	if _, err := b.table.Publish(b.t.Context(), "default", "orders", events); err != nil {
		b.t.Fatal(err)
	}
}

func charge(id string) event.Event {
	return event.Event{ID: id, Source: "/a", Type: "t", Subject: "k"}
}

func brief(list []api.Invocation) string {
	var out []string
	for _, i := range list {
		out = append(out, strings.TrimSpace(fmt.Sprint(i.EventID, " ", i.State, " ", i.Attempt)))
	}
	return strings.Join(out, ", ")
}

func TestInvocations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 1)
	late := charge("late")
	late.SetExtension(event.Extension{Name: event.DeliverAtExtension, Value: event.FormatTime(time.Now().Add(time.Hour))})
	b.publishCharges(charge("fails"), late)
	trigger, _ := b.registry.Snapshot().Trigger("default", "charge:orders")
	taken, err := b.table.Take(trigger.ID, 1)
	if err != nil || len(taken) != 1 {
		t.Fatal(taken, err)
	}
	start := time.UnixMilli(1_700_000_000_000).UTC()
	a := partition.Attempt{Number: 1, Revision: 3, Start: start, Duration: time.Second, Verdict: int32(abi.Failed), Class: "error", Error: "no card"}
	if _, err := b.table.Settle(t.Context(), &taken[0], a, partition.Next{RetryAt: time.Now().Add(time.Minute)}, partition.Effects{}); err != nil {
		t.Fatal(err)
	}
	line := func(invocation, next, verdict string, start time.Time) {
		b.history.Append(api.LogEntry{
			Time: start, Namespace: "default", Function: "charge", Trigger: "charge:orders", Invocation: invocation, EventID: "of " + invocation, Revision: 3, Next: next,
			Attempt: &api.Attempt{Attempt: 1, Revision: 3, Start: start, Verdict: verdict, Bill: api.Bill{Fuel: 97}},
		})
	}
	line(taken[0].Invocation(), "retry", "failed", start)
	line("0-9000-1", "", "done", start)
	line("0-9001-1", "canceled", "failed", start)
	line("0-9002-1", "dead-letter", "failed", start)
	b.calls = map[string][]scheduler.RunningCall{"default": {{Invocation: "abc", Function: "hello", EventID: "sync", Start: start, Revision: 2}}}

	c, ctx := b.client(), t.Context()
	for _, tc := range []struct {
		o    api.InvocationOptions
		want string
	}{
		{api.InvocationOptions{}, "sync running 1, fails retrying 2, late delayed 1"},
		{api.InvocationOptions{State: "running"}, "sync running 1"},
		{api.InvocationOptions{State: "waiting"}, ""},
		{api.InvocationOptions{State: "delayed", Trigger: "charge:orders"}, "late delayed 1"},
		{api.InvocationOptions{Function: "charge", Limit: 1}, "fails retrying 2"},
		{api.InvocationOptions{Function: "hello"}, "sync running 1"},
		{api.InvocationOptions{State: "dead"}, "e0 dead 1"},
		{api.InvocationOptions{State: "dead", Function: "hello"}, ""},
		{api.InvocationOptions{State: "finished"}, "of 0-9001-1 canceled 1, of 0-9000-1 done 1"},
		{api.InvocationOptions{State: "finished", Trigger: "charge:orders", Limit: 1}, "of 0-9001-1 canceled 1"},
	} {
		list, err := c.Invocations(ctx, "default", tc.o)
		if err != nil || brief(list) != tc.want {
			t.Errorf("%+v: %s, %v, want %s", tc.o, brief(list), err, tc.want)
		}
	}
	if list, err := c.Invocations(ctx, "acme", api.InvocationOptions{}); err != nil || len(list) > 0 {
		t.Errorf("another namespace has %s, %v", brief(list), err)
	}
	one, err := c.Invocation(ctx, "default", taken[0].Invocation())
	if err != nil || one.State != "retrying" || one.Due.IsZero() || len(one.Attempts) != 1 || one.Attempts[0].Error != "no card" || one.Attempts[0].Bill.Fuel != 97 ||
		!strings.Contains(string(one.Event), `"id":"fails"`) || one.Topic != "orders" {
		t.Errorf("%+v, %v", one, err)
	}
	if gone, err := c.Invocation(ctx, "default", "0-9000-1"); err != nil || gone.State != "done" || len(gone.Attempts) != 1 || gone.Event != nil {
		t.Errorf("%+v, %v", gone, err)
	}
	if call, err := c.Invocation(ctx, "default", "abc"); err != nil || call.State != "running" || call.Revision != 2 {
		t.Errorf("%+v, %v", call, err)
	}
}

func TestInvocationRequestsThatAreWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.giveUp("default", 1)
	letters, err := b.client().DeadLetters(t.Context(), "default", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	b.cancel = func(_, invocation, _ string) error {
		if invocation == "0-1-1" {
			return errors.New("wires are cut")
		}
		return scheduler.ErrNotOpen
	}
	b.history.Append(api.LogEntry{Namespace: "default", Function: "hello", Invocation: "abc", Attempt: &api.Attempt{Attempt: 1, Verdict: "done"}})
	root := "/api/v1/ns/default/invocations"
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		detail, next       string
	}{
		"state":          {"GET", "?state=lost", "", 400, `state "lost" is not one of open, running, retrying, delayed, waiting, dead, finished`, ""},
		"limit":          {"GET", "?limit=x", "", 400, `limit "x" is not a whole number`, ""},
		"trigger":        {"GET", "?trigger=x", "", 404, `no trigger "x" in namespace "default"`, "fnctl ls triggers"},
		"function":       {"GET", "?function=x", "", 404, `no function "x" in namespace "default"`, "fnctl ls functions"},
		"absent":         {"GET", "/0-77-1", "", 404, `no invocation "0-77-1" in namespace "default" waits, runs or is in the history`, "fnctl invocations ls"},
		"no id":          {"GET", "/what", "", 404, `no invocation "what"`, "fnctl invocations ls"},
		"no reason":      {"POST", "/0-77-1/cancel", `{}`, 400, "needs a reason", "--reason"},
		"blank reason":   {"POST", "/0-77-1/cancel", `{"reason":"  "}`, 400, "needs a reason", "--reason"},
		"unknown key":    {"POST", "/0-77-1/cancel", `{"why":"x"}`, 400, `unknown key "why"`, ""},
		"cancel absent":  {"POST", "/0-77-1/cancel", `{"reason":"x"}`, 404, `no invocation "0-77-1" in namespace "default" waits or runs`, "fnctl invocations ls"},
		"cancel letter":  {"POST", "/" + letters[0].ID + "/cancel", `{"reason":"x"}`, 409, "is a dead letter", "fnctl dlq discard " + letters[0].ID},
		"cancel ended":   {"POST", "/abc/cancel", `{"reason":"x"}`, 409, "invocation abc has ended: done", "fnctl invocations show"},
		"our own fault":  {"POST", "/0-1-1/cancel", `{"reason":"x"}`, 500, "", "log"},
		"generation far": {"GET", "/" + letters[0].ID + "-g7", "", 404, "no invocation", ""},
	} {
		p := b.do(tc.method, b.admin+root+tc.path, tc.body).problem(t)
		if p.Status != tc.status || !strings.Contains(p.Detail, tc.detail) || !strings.Contains(p.Next, tc.next) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestCancelInvocation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	asked := ""
	b.cancel = func(namespace, invocation, reason string) error {
		asked = namespace + " " + invocation + " " + reason
		return nil
	}
	if err := b.client().CancelInvocation(t.Context(), "default", "0-5-2", "wrong order"); err != nil || asked != "default 0-5-2 wrong order" {
		t.Errorf("asked for %q, %v", asked, err)
	}
	b.call = func(context.Context, scheduler.Call) (scheduler.Reply, error) {
		return scheduler.Reply{}, fmt.Errorf("%w: wrong order", scheduler.ErrCanceled)
	}
	if p := b.do("POST", b.gateway+"/fn/hello", "x").problem(t); p.Status != 409 || !strings.Contains(p.Detail, "wrong order") || !strings.HasSuffix(p.Type, "/canceled") {
		t.Errorf("its caller gets %+v", p)
	}
}

//go:build !wasip1

package evoketest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evokelog"
	"github.com/evoke-run/evoke/sdk/go/evoketest"
)

// do makes a handler of what a test does inside of it.
func do(f func(e *evoke.Event) error) evoke.Handler {
	return func(_ context.Context, e *evoke.Event) (evoke.Reply, error) { return evoke.NoReply(), f(e) }
}

func keyed(key string) *evoke.Event {
	e := evoke.NewEvent("t", nil)
	e.ID, e.Source, e.Subject = "1", "/test", key
	return e
}

func TestEventComesAsItWas(t *testing.T) {
	t.Parallel()
	in := evoke.NewEvent("com.shop.order", map[string]int{"n": 7})
	in.ID, in.Source, in.Subject, in.DataSchema = "1", "/shop", "a/b", "schema"
	in.Time = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	in.SetExtension("partitionkey", "k")
	in.SetExtension("retries", 3)
	in.SetExtension("test", true)
	var rt evoketest.Runtime
	got := rt.Deliver(do(func(e *evoke.Event) error {
		if e.ID != "1" || e.Source != "/shop" || e.Type != "com.shop.order" || e.Subject != "a/b" || e.DataSchema != "schema" {
			t.Errorf("attributes %+v", e)
		}
		if !e.Time.Equal(in.Time) || e.DataContentType != "application/json" || e.Key() != "k" || e.Request() != nil {
			t.Errorf("attributes %+v, key %q", e, e.Key())
		}
		want := map[string]any{"partitionkey": "k", "retries": int32(3), "test": true}
		if !reflect.DeepEqual(e.Extensions(), want) || e.Extension("retries") != "3" || e.Extension("partitionkey") != "k" || e.Extension("none") != "" {
			t.Errorf("extensions %v", e.Extensions())
		}
		var data struct{ N int }
		if err := e.Decode(&data); err != nil || data.N != 7 || string(e.Data()) != `{"n":7}` {
			t.Errorf("data %s, %+v, %v", e.Data(), data, err)
		}
		return evoke.Emit("copies", e) // a received event can be sent on
	}), in)
	if got.Verdict != evoketest.Done || len(got.Emitted) != 1 {
		t.Fatalf("%+v", got)
	}
	out := got.Emitted[0].Event
	if out.ID != "1" || out.Key() != "k" || out.Extension("retries") != "3" || string(out.Data()) != `{"n":7}` || !out.Time.Equal(in.Time) {
		t.Errorf("sent on as %+v", out)
	}
}

// Short attributes are read in one call, and nobody may notice where short ends.
func TestAttributesOfAnyLength(t *testing.T) {
	t.Parallel()
	for n := range 300 {
		want := strings.Repeat("ü", n)
		var rt evoketest.Runtime
		rt.Deliver(do(func(e *evoke.Event) error {
			if e.Subject != want {
				t.Errorf("%d bytes: got %d, %q", len(want), len(e.Subject), e.Subject)
			}
			return nil
		}), keyed(want))
	}
}

func TestDecodeNamesTheEvent(t *testing.T) {
	t.Parallel()
	e := keyed("")
	e.SetData("application/json", []byte("{"))
	var rt evoketest.Runtime
	got := rt.Deliver(do(func(e *evoke.Event) error { return evoke.Reject(e.Decode(new(int))) }), e)
	if got.Verdict != evoketest.Rejected || !strings.Contains(got.Reason, `decode the data of event "1"`) {
		t.Errorf("%+v", got)
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	got := rt.Serve(func(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
		r := e.Request()
		if r.Method != "PUT" || r.Path != "/a b" || r.Header("x-ONE") != "1" || r.Query("q") != "2" || r.Query("none") != "" || r.Header("none") != "" {
			t.Errorf("request %+v", r)
		}
		if e.Type != "dev.evoke.http.request" || e.Key() != "k" || string(e.Data()) != "body" || e.DataContentType != "text/plain" {
			t.Errorf("event %+v", e)
		}
		return evoke.JSON(map[string]int{"n": 1}).WithStatus(201).WithHeader("Location", `/"x"`), nil
	}, evoke.Request{
		Method: "PUT", Path: "/a b", QueryPairs: [][2]string{{"q", "2"}},
		Headers: [][2]string{{"X-One", "1"}, {"Content-Type", "text/plain"}, {"Evoke-Key", "k"}},
	}, []byte("body"))
	if got.Status != 201 || got.ContentType != "application/json" || got.Header["Location"] != `/"x"` || string(got.Data) != `{"n":1}` {
		t.Errorf("%+v", got)
	}
}

func TestReplyToAnEvent(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	reply := func(r evoke.Reply) evoketest.Result {
		return rt.Deliver(func(context.Context, *evoke.Event) (evoke.Reply, error) { return r, nil }, keyed(""))
	}
	if got := reply(evoke.Text("hi")); got.Verdict != evoketest.Done || got.ContentType != "text/plain; charset=utf-8" || string(got.Data) != "hi" {
		t.Errorf("text: %+v", got)
	}
	if got := reply(evoke.Reply{Data: []byte("{}")}); got.ContentType != "" || string(got.Data) != "{}" {
		t.Errorf("without a content type: %+v", got)
	}
	if got := reply(evoke.JSON(make(chan int))); got.Verdict != evoketest.Failed || !strings.Contains(got.Reason, "encode the reply") {
		t.Errorf("what cannot be encoded: %+v", got)
	}
	if got := reply(evoke.Text(strings.Repeat("x", 1<<20+1))); got.Verdict != evoketest.Failed || !strings.Contains(got.Reason, "1 MiB") {
		t.Errorf("too large: %s %s", got.Verdict, got.Reason)
	}
	got := rt.Serve(func(context.Context, *evoke.Event) (evoke.Reply, error) { return evoke.Text("x").WithStatus(99), nil }, evoke.Request{}, nil)
	if got.Verdict != evoketest.Failed || !strings.Contains(got.Reason, "200 to 599") {
		t.Errorf("a bad status: %+v", got)
	}
}

func TestEmit(t *testing.T) {
	t.Parallel()
	rt := evoketest.Runtime{AllowEmit: []string{"orders.*", "audit.>"}}
	got := rt.Deliver(do(func(*evoke.Event) error {
		for topic, allowed := range map[string]bool{
			"orders.created": true, "orders": false, "orders.a.b": false, "audit.a.b": true, "audit": false, "other": false,
		} {
			err := evoke.Emit(topic, evoke.NewEvent("t", nil))
			if errors.Is(err, evoke.ErrDenied) == allowed {
				t.Errorf("emit to %s: %v", topic, err)
			}
			if !allowed && !strings.Contains(err.Error(), "allow.emit") {
				t.Errorf("%q does not say what to do", err)
			}
		}
		if err := evoke.Emit("audit.x", &evoke.Event{}); !errors.Is(err, evoke.ErrInvalid) {
			t.Errorf("without a type: %v", err)
		}
		if err := evoke.Emit("audit.x", evoke.NewEvent("t", strings.Repeat("x", 1<<20))); !errors.Is(err, evoke.ErrTooLarge) {
			t.Errorf("too large: %v", err)
		}
		return nil
	}), keyed(""))
	if len(got.Emitted) != 2 || got.Emitted[0].Event.ID == got.Emitted[1].Event.ID || got.Emitted[0].Event.Source == "" {
		t.Errorf("%+v", got)
	}
}

func TestFailureDropsEverything(t *testing.T) {
	t.Parallel()
	rt := evoketest.Runtime{State: map[string]map[string][]byte{"k": {"n": []byte("1")}}}
	got := rt.Deliver(func(context.Context, *evoke.Event) (evoke.Reply, error) {
		if err := errors.Join(evoke.SetState("n", []byte("2")), evoke.Emit("t", evoke.NewEvent("t", nil))); err != nil {
			t.Error(err)
		}
		return evoke.Text("x"), evoke.RetryAfter(time.Minute, errors.New("later"))
	}, keyed("k"))
	if got.Verdict != evoketest.Failed || got.Reason != "later" || got.RetryAfter != time.Minute || got.Data != nil || got.Emitted != nil {
		t.Errorf("%+v", got)
	}
	if v := rt.State["k"]["n"]; string(v) != "1" {
		t.Errorf("state is %q after a failure, want 1", v)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	count := do(func(*evoke.Event) error {
		var n int
		if _, err := evoke.GetStateJSON("n", &n); err != nil {
			return err
		}
		if err := evoke.SetStateJSON("n", n+1); err != nil {
			return err
		}
		if ok, err := evoke.GetStateJSON("n", &n); !ok || err != nil || n == 0 {
			t.Errorf("its own write: %d, %v, %v", n, ok, err)
		}
		return nil
	})
	for range 3 {
		if got := rt.Deliver(count, keyed("a")); got.Verdict != evoketest.Done {
			t.Fatal(got.Reason)
		}
	}
	rt.Deliver(count, keyed("b"))
	if string(rt.State["a"]["n"]) != "3" || string(rt.State["b"]["n"]) != "1" {
		t.Errorf("state %v", rt.State)
	}
	rt.Deliver(do(func(*evoke.Event) error {
		err := errors.Join(evoke.SetState("empty", nil), evoke.DeleteState("n"), evoke.DeleteState("never was"))
		v, ok, err2 := evoke.GetState("empty")
		if !ok || v == nil || len(v) != 0 {
			t.Errorf("an empty value is %v, %v", v, ok)
		}
		if _, ok, _ := evoke.GetState("n"); ok {
			t.Error("a deleted value is there")
		}
		return errors.Join(err, err2)
	}), keyed("a"))
	if _, left := rt.State["a"]["n"]; left || rt.State["a"]["empty"] == nil {
		t.Errorf("state %v", rt.State)
	}
}

func TestListState(t *testing.T) {
	t.Parallel()
	rt := evoketest.Runtime{State: map[string]map[string][]byte{"k": {"other": []byte("v")}, "k2": {"n/0": []byte("v")}}}
	for i := range 2500 {
		rt.State["k"][fmt.Sprintf("n/%04d", i)] = []byte("v")
	}
	e := evoke.NewEvent("t", nil)
	e.Subject = "k"
	got := rt.Deliver(func(context.Context, *evoke.Event) (evoke.Reply, error) {
		err := errors.Join(evoke.DeleteState("n/0001"), evoke.SetState("n/9999", []byte("v")))
		names, err2 := evoke.ListState("n/")
		if len(names) != 2500 || names[0] != "n/0000" || names[1] != "n/0002" || names[2499] != "n/9999" {
			t.Errorf("%d names %.3q", len(names), names)
		}
		all, err3 := evoke.ListState("")
		if len(all) != 2501 || all[2500] != "other" {
			t.Errorf("%d names", len(all))
		}
		none, err4 := evoke.ListState("x")
		if len(none) != 0 {
			t.Errorf("names %q", none)
		}
		_, tooLong := evoke.ListState(strings.Repeat("x", 513))
		if !errors.Is(tooLong, evoke.ErrInvalid) || !strings.Contains(tooLong.Error(), "a prefix has at most 512 bytes") {
			t.Errorf("got %v", tooLong)
		}
		_, err5 := evoke.ListState("")
		if _, tooMany := evoke.ListState(""); !errors.Is(tooMany, evoke.ErrTooLarge) || !strings.Contains(tooMany.Error(), "at most 10,000 names") {
			t.Errorf("got %v", tooMany)
		}
		return evoke.NoReply(), errors.Join(err, err2, err3, err4, err5)
	}, e)
	if got.Verdict != evoketest.Done {
		t.Errorf("%+v", got)
	}
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	rt := evoketest.Runtime{Invoke: func(function string, e *evoke.Event) (evoke.Answer, error) {
		switch function {
		case "price":
			return evoke.Answer{Data: []byte(`{"of":` + string(e.Data()) + `}`), Attributes: map[string]any{"type": "priced"}}, nil
		case "silent":
			return evoke.Answer{}, nil
		case "busy":
			return evoke.Answer{}, &evoke.InvokeError{Status: 429, Reason: "no room"}
		}
		return evoke.Answer{}, errors.New("out of order")
	}}
	ask := evoke.NewEvent("ask", 7)
	rt.Deliver(do(func(*evoke.Event) error {
		a, err := evoke.Invoke("price", ask)
		var price struct{ Of int }
		if err != nil || a.Decode(&price) != nil || price.Of != 7 || a.Attributes["type"] != "priced" {
			t.Errorf("got %+v, %v", a, err)
		}
		if a, err := evoke.Invoke("silent", ask); err != nil || a.Data != nil || a.Attributes != nil {
			t.Errorf("got %+v, %v", a, err)
		}
		for function, want := range map[string]evoke.InvokeError{"busy": {Function: "busy", Status: 429, Reason: "no room"}, "other": {Function: "other", Status: 500, Reason: "out of order"}} {
			var failed *evoke.InvokeError
			if _, err := evoke.Invoke(function, ask); !errors.As(err, &failed) || *failed != want || err.Error() != "invoke "+function+": "+want.Reason {
				t.Errorf("got %v", err)
			}
		}
		return nil
	}), keyed("k"))
	rt.Invoke = nil
	rt.Deliver(do(func(*evoke.Event) error {
		if _, err := evoke.Invoke("price", ask); !errors.Is(err, evoke.ErrDenied) {
			t.Errorf("got %v", err)
		}
		return nil
	}), keyed("k"))
}

func TestStateErrors(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	check := func(e *evoke.Event, want error, name string, size int) {
		t.Helper()
		rt.Deliver(do(func(*evoke.Event) error {
			if err := evoke.SetState(name, make([]byte, size)); !errors.Is(err, want) {
				t.Errorf("set: %v, want %v", err, want)
			}
			return nil
		}), e)
	}
	check(keyed("k"), evoke.ErrInvalid, "", 1)
	check(keyed("k"), evoke.ErrInvalid, strings.Repeat("n", 513), 1)
	check(keyed("k"), evoke.ErrTooLarge, "n", 256<<10+1)
	check(keyed("k"), evoke.ErrTooLarge, "n", 2<<20)
	check(keyed(""), evoke.ErrNoKey, "n", 1)
	rt.DenyState = true
	check(keyed("k"), evoke.ErrDenied, "n", 1)
	got := rt.Deliver(do(func(*evoke.Event) error {
		_, _, err := evoke.GetState("n")
		return errors.Join(err, evoke.DeleteState("n"))
	}), keyed("k"))
	if n := strings.Count(got.Reason, "state: true"); n != 2 {
		t.Errorf("reason %q", got.Reason)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	rt := evoketest.Runtime{Secrets: map[string]string{"stripe_key": "sk_1"}}
	got := rt.Deliver(do(func(*evoke.Event) error {
		if v, ok, err := evoke.Secret("stripe_key"); v != "sk_1" || !ok || err != nil {
			t.Errorf("%q, %v, %v", v, ok, err)
		}
		_, _, err := evoke.Secret("other")
		return err
	}), evoke.NewEvent("x", nil))
	if want := `read secret "other": denied; add it to secrets of this function in fn.yaml`; got.Reason != want {
		t.Errorf("%q, want %q", got.Reason, want)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	rt := evoketest.Runtime{Config: map[string]string{"CURRENCY": "EUR"}}
	rt.Deliver(do(func(*evoke.Event) error {
		if v, ok, err := evoke.Config("CURRENCY"); v != "EUR" || !ok || err != nil {
			t.Errorf("%q, %v, %v", v, ok, err)
		}
		if v, ok, err := evoke.Config("NONE"); v != "" || ok || err != nil {
			t.Errorf("%q, %v, %v", v, ok, err)
		}
		for range 200 { // handles are given back
			if _, _, err := evoke.Config("CURRENCY"); err != nil {
				t.Fatal(err)
			}
		}
		return nil
	}), keyed(""))
}

func TestPanicIsLoggedAndTraps(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"a string": "boom", "an error": errors.New("boom")} {
		var rt evoketest.Runtime
		got := rt.Deliver(do(func(*evoke.Event) error { panic(value) }), keyed(""))
		if got.Verdict != evoketest.Trapped || got.Reason != "panic: boom" || len(got.Logs) != 1 || got.Logs[0].Level != 8 {
			t.Fatalf("%s: %+v", name, got)
		}
		if text := got.Logs[0].Text; !strings.HasPrefix(text, "panic: boom\n") || !strings.Contains(text, "TestPanicIsLoggedAndTraps") {
			t.Errorf("%s: the log says %s", name, text)
		}
	}
	var rt evoketest.Runtime
	got := rt.Deliver(do(func(*evoke.Event) error { var p *evoke.Request; _ = p.Method; return nil }), keyed(""))
	if got.Verdict != evoketest.Trapped || !strings.Contains(got.Logs[0].Text, "nil pointer") {
		t.Errorf("nil pointer: %+v", got)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	got := rt.Deliver(do(func(*evoke.Event) error {
		evoke.Debugf("a %d", 1)
		evoke.Infof("b")
		evoke.Warnf("c")
		evoke.Errorf("d")
		return nil
	}), keyed(""))
	want := []evoketest.Line{{Level: -4, Text: "a 1"}, {Level: 0, Text: "b"}, {Level: 4, Text: "c"}, {Level: 8, Text: "d"}}
	if !reflect.DeepEqual(got.Logs, want) {
		t.Errorf("%v", got.Logs)
	}
}

func TestSlog(t *testing.T) {
	t.Parallel()
	var rt evoketest.Runtime
	got := rt.Deliver(do(func(e *evoke.Event) error {
		log := slog.New(evokelog.NewHandler(nil)).With("order", 7).WithGroup("g")
		log.Debug("hidden")
		log.Info("paid", "by", "card")
		log.Log(context.Background(), slog.LevelWarn+1, "odd level")
		drop := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == "secret" {
				return slog.Attr{}
			}
			return a
		}
		slog.New(evokelog.NewHandler(&slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: drop})).Debug("seen", "secret", 1)
		return nil
	}), keyed(""))
	want := []evoketest.Line{
		{Level: 0, Text: "msg=paid order=7 g.by=card"}, {Level: 4, Text: `msg="odd level" order=7`}, {Level: -4, Text: "msg=seen"},
	}
	if !reflect.DeepEqual(got.Logs, want) {
		t.Errorf("%v", got.Logs)
	}
}

func TestContextEndsWithItsEvent(t *testing.T) {
	t.Parallel()
	var unused, used context.Context
	rt := evoketest.Runtime{Timeout: time.Hour}
	rt.Deliver(func(ctx context.Context, _ *evoke.Event) (evoke.Reply, error) {
		unused = ctx
		return evoke.NoReply(), nil
	}, keyed(""))
	rt.Deliver(func(ctx context.Context, _ *evoke.Event) (evoke.Reply, error) {
		used = ctx
		if at, ok := ctx.Deadline(); !ok || time.Until(at) > time.Hour || ctx.Err() != nil || ctx.Value("key") != nil {
			t.Errorf("deadline %v %t, error %v", at, ok, ctx.Err())
		}
		return evoke.NoReply(), nil
	}, keyed(""))
	for name, ctx := range map[string]context.Context{"unused": unused, "used": used} {
		<-ctx.Done()
		if ctx.Err() != context.Canceled {
			t.Errorf("%s: %v", name, ctx.Err())
		}
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	rt := evoketest.Runtime{Timeout: time.Nanosecond}
	got := rt.Deliver(func(ctx context.Context, _ *evoke.Event) (evoke.Reply, error) {
		<-ctx.Done()
		return evoke.NoReply(), ctx.Err()
	}, keyed(""))
	if got.Verdict != evoketest.Failed || got.Reason != context.DeadlineExceeded.Error() {
		t.Errorf("%+v", got)
	}
}

func TestBatch(t *testing.T) {
	events := []*evoke.Event{keyed("a"), keyed("b"), keyed("c")}
	emits := func(errs ...error) evoke.BatchHandler {
		return func(_ context.Context, events []*evoke.Event) []error {
			for _, e := range events {
				if err := evoke.Emit("out", evoke.NewEvent("seen", e.Subject)); err != nil {
					t.Error(err)
				}
			}
			return errs
		}
	}
	var rt evoketest.Runtime
	for name, tc := range map[string]struct {
		errs []error
		want string
		sent int
	}{
		"nil":          {nil, "done  -1ns, done  -1ns, done  -1ns", 3},
		"short":        {[]error{nil}, "done  -1ns, done  -1ns, done  -1ns", 3},
		"one failed":   {[]error{nil, errors.New("no")}, "done  -1ns, failed no -1ns, done  -1ns", 0},
		"one rejected": {[]error{evoke.Reject(errors.New("bad")), nil, evoke.RetryAfter(time.Second, errors.New("later"))}, "rejected bad -1ns, done  -1ns, failed later 1s", 0},
		"too many":     {make([]error, 4), strings.Repeat(", trapped panic: the batch handler returned 4 errors for 3 events -1ns", 3)[2:], 0},
	} {
		t.Run(name, func(t *testing.T) {
			all, each := rt.DeliverBatch(emits(tc.errs...), events...)
			var got []string
			for _, r := range each {
				got = append(got, fmt.Sprint(r.Verdict, " ", r.Reason, " ", r.RetryAfter))
			}
			if text := strings.Join(got, ", "); text != tc.want || len(all.Emitted) != tc.sent || (all.Verdict == evoketest.Done) != (tc.sent > 0) {
				t.Errorf("%s; %s and %d emitted, want %s and %d", text, all.Verdict, len(all.Emitted), tc.want, tc.sent)
			}
		})
	}
}

//go:build !wasip1

// Package evoketest runs the handler of a function in an ordinary Go test and records what it did.
//
//	func TestGreet(t *testing.T) {
//		var rt evoketest.Runtime
//		got := rt.Deliver(greet, evoke.NewEvent("greeting", "Ada"))
//		if string(got.Data) != "hello Ada" {
//			t.Error(got)
//		}
//	}
//
// It keeps to the contract of the runtime, limits included, but it is not the runtime: there is one copy of memory for all events.
package evoketest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// Runtime stands in for the runtime. The zero value allows everything. It delivers one event at a time; deliveries of other tests wait.
type Runtime struct {
	// State is what handlers find, by key of the event and name. A delivery that is done changes it.
	State map[string]map[string][]byte
	// Config is the env of the manifest.
	Config map[string]string
	// Secrets are those that the manifest lists, by name.
	Secrets map[string]string
	// AllowEmit is allow.emit of the manifest, with * and >; nil allows every topic.
	AllowEmit []string
	// Invoke stands in for the functions that the handler may invoke; nil denies all. An *evoke.InvokeError says what the handler gets instead of an answer; any other
	// error is that the function failed.
	Invoke func(function string, e *evoke.Event) (evoke.Answer, error)
	// DenyState is a manifest without state: true.
	DenyState bool
	// HTTP answers the requests of evoke.Fetch and of package evokehttp, whatever host they are for; nil = nobody does.
	HTTP http.Handler
	// Timeout is the deadline of a delivery. Default 30 s.
	Timeout time.Duration
}

// Verdict is how a delivery ended.
type Verdict string

// Verdicts.
const (
	Done     Verdict = "done"
	Failed   Verdict = "failed"
	Rejected Verdict = "rejected"
	Trapped  Verdict = "trapped" // the handler panicked; the runtime counts it as failed
)

// Result is what a delivery did.
type Result struct {
	Verdict Verdict
	// Reason is the text of the handler's error, or of its panic.
	Reason string
	// RetryAfter is what the handler asked for; -1 when the policy decides.
	RetryAfter time.Duration

	// Data is the reply, ContentType what the handler said of it.
	Data        []byte
	ContentType string
	// Status and Header are of the reply to an HTTP request. Names in Header are as the handler wrote them. Headers are the same in their
	// order, with all values of a name.
	Status  int
	Header  map[string]string
	Headers [][2]string

	// Emitted are the events in order. They are empty when the verdict is not Done, as for everybody else.
	Emitted []Emitted
	// Logs are the lines in order.
	Logs []Line
}

// Emitted is an event and where it went. The ID and Source that the runtime fills in are "test.<n>" and "/ns/default/functions/test"; Time stays as
// the handler left it.
type Emitted struct {
	Topic string
	Event *evoke.Event
}

// Line is one line of the log. Levels are those of log/slog: -4 debug, 0 info, 4 warn, 8 error.
type Line struct {
	Level int
	Text  string
}

// Deliver runs a handler on an event.
func (r *Runtime) Deliver(h evoke.Handler, e *evoke.Event) Result {
	d := r.delivery(delivered{parts: partsOf(e, nil)})
	d.key = e.Key()
	return d.run(func() int32 { return evoke.Deliver(h) })
}

// DeliverBatch runs a handler of batches on events. The first Result is what the batch did, Done when all events are; the others are the verdicts of the events.
func (r *Runtime) DeliverBatch(h evoke.BatchHandler, events ...*evoke.Event) (Result, []Result) {
	var list []delivered
	for _, e := range events {
		list = append(list, delivered{parts: partsOf(e, nil)})
	}
	d := r.delivery(list...)
	all := d.run(func() int32 { return evoke.DeliverBatch(h) })
	each := make([]Result, len(d.events))
	for i, e := range d.events {
		each[i] = Result{Verdict: e.verdict, Reason: e.reason, RetryAfter: e.retryAfter}
	}
	return all, each
}

// Serve runs a handler on an HTTP request with a body. Names of headers may have any case. The key of the event is the Evoke-Key header.
func (r *Runtime) Serve(h evoke.Handler, req evoke.Request, body []byte) Result {
	headers := make([][2]string, len(req.Headers))
	for i, pair := range req.Headers {
		headers[i] = [2]string{strings.ToLower(pair[0]), pair[1]}
	}
	req.Headers = headers
	if req.RawPath == "" {
		req.RawPath = req.Path
	}
	e := &evoke.Event{ID: "request", Source: "/test", Type: "dev.evoke.http.request"}
	if body != nil {
		e = evoke.NewEvent(e.Type, body)
		e.ID, e.Source = "request", "/test"
		e.DataContentType = req.Header("Content-Type")
	}
	e.SetExtension("partitionkey", req.Header("Evoke-Key"))
	d := r.delivery(delivered{parts: partsOf(e, &req)})
	d.key = e.Key()
	return d.run(func() int32 { return evoke.Deliver(h) })
}

func (r *Runtime) delivery(events ...delivered) *delivery {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	return &delivery{rt: r, events: events, deadline: time.Now().Add(timeout), ended: make(chan struct{}, 1)}
}

func (d *delivery) run(deliver func() int32) Result {
	host.Deliver(d, func() {
		defer d.end()
		d.judge(deliver)
	})
	return d.result()
}

// judge gives each event its verdict: the one it was given, else what the function returned, or that it panicked.
func (d *delivery) judge(deliver func() int32) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		reason := fmt.Sprint("panic: ", r)
		d.Log(abi.LevelError, reason+"\n\n"+string(debug.Stack()))
		for i := range d.events {
			e := &d.events[i]
			e.verdict, e.reason, e.retryAfter = Trapped, reason, -1
		}
	}()
	returned := verdicts[deliver()]
	for i := range d.events {
		if e := &d.events[i]; e.verdict == "" {
			e.verdict, e.retryAfter = returned, -1
		}
	}
}

// result is that of the first event that is not done, else what the delivery did.
func (d *delivery) result() Result {
	out := Result{Verdict: Done, RetryAfter: -1, Logs: d.logs}
	for _, e := range d.events {
		if e.verdict != Done {
			out.Verdict, out.Reason, out.RetryAfter = e.verdict, e.reason, e.retryAfter
			return out
		}
	}
	out.Data, out.Emitted = d.reply, d.emitted
	var meta struct {
		Status          int         `json:"status"`
		Headers         [][2]string `json:"headers"`
		DataContentType string      `json:"datacontenttype"`
	}
	if len(d.replyJSON) > 0 {
		_ = json.Unmarshal(d.replyJSON, &meta) // was read once when it was set
	}
	out.Status, out.ContentType, out.Header = meta.Status, meta.DataContentType, map[string]string{}
	for _, pair := range meta.Headers {
		if strings.EqualFold(pair[0], "content-type") {
			out.ContentType = pair[1]
			continue
		}
		out.Header[pair[0]] = pair[1]
		out.Headers = append(out.Headers, pair)
	}
	d.commit()
	return out
}

// commit makes the writes of the state real.
func (d *delivery) commit() {
	for name, value := range d.writes {
		if d.rt.State == nil {
			d.rt.State = map[string]map[string][]byte{}
		}
		if d.rt.State[d.key] == nil {
			d.rt.State[d.key] = map[string][]byte{}
		}
		if value == nil {
			delete(d.rt.State[d.key], name)
			continue
		}
		d.rt.State[d.key][name] = value
	}
}

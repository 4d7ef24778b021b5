// Package api holds the wire types of the management API and its Go client. It uses the standard library only.
package api

import (
	"encoding/json"
	"time"
)

// App is what one fn.yaml describes and one deploy puts in force, whole or not at all: PUT /api/v1/ns/{ns}/apps/{app}.
type App struct {
	Functions map[string]FunctionSpec `json:"functions"`
	Topics    map[string]TopicSpec    `json:"topics,omitempty"`
	// Canary brings the new revision of each function that this deploy changes in step by step; nil = it gets everything at once. It is of this deploy, not of the app.
	Canary *Canary `json:"canary,omitempty"`
	// Prune removes the functions of the app that Functions does not name, with their triggers and what waits in them. It is of this deploy, not of the app.
	Prune bool `json:"prune,omitempty"`
	// Formerly is a name that the app had before: the functions of that one become functions of this one, in the same step, with their revisions, their state and what waits for them.
	// It is of this deploy, not of the app.
	Formerly string `json:"formerly,omitempty"`
}

// FunctionSpec is what a revision of a function is made of. A change of any field is a new revision.
type FunctionSpec struct {
	// Module is the digest of the uploaded module, "sha256:" and 64 hex digits.
	Module string `json:"module"`
	// Timeout is the deadline of one attempt. Default 30s.
	Timeout Duration `json:"timeout,omitempty"`
	// Memory is the limit of one instance in bytes. Default 64 MiB.
	Memory int64 `json:"memory,omitempty"`
	// Concurrency is how many events one node runs at once for this function. 0 = as many as the node has room for.
	Concurrency int `json:"concurrency,omitempty"`
	// KeyConcurrency bounds how many events and calls of one key one node runs at once.
	KeyConcurrency *KeyLimit `json:"keyConcurrency,omitempty"`
	// Throttle spaces the beginnings of attempts; what comes too early waits, and a call that does is refused.
	Throttle *Rate `json:"throttle,omitempty"`
	// RateLimit drops events, and refuses calls, that are more than it allows.
	RateLimit *Rate `json:"rateLimit,omitempty"`
	// Fair is an expression for a key of an event: the function's part of a node is shared equally between the keys that have something to do.
	Fair string `json:"fair,omitempty"`
	// Adaptive says how its triggers take overload behind the function; nil = they slow down when it asks for it, or runs out of time.
	Adaptive *Adaptive `json:"adaptive,omitempty"`
	// Scale bounds how many instances of the function there are on a node.
	Scale Scale `json:"scale,omitzero"`
	// Weight is the function's part of a node that has more to do than it can: one of weight 2 gets twice what one of weight 1 gets. 1 to 100, default 1.
	Weight int `json:"weight,omitempty"`
	// Reuse gives an instance to the next event as the last one left it, instead of a fresh one for each: what an event leaves in memory can be read by
	// the next.
	Reuse bool `json:"reuse,omitempty"`
	// Warm is handled by a function in JavaScript before the snapshot is taken that its events begin with; nil = nothing is.
	Warm *WarmUp           `json:"warm,omitempty"`
	Env  map[string]string `json:"env,omitempty"`
	// Secrets are the secrets that it may read, by name.
	Secrets  []string      `json:"secrets,omitempty"`
	Allow    Allow         `json:"allow"`
	Retry    *Retry        `json:"retry,omitempty"`
	Triggers []TriggerSpec `json:"on,omitempty"`
	// DeadLetter says what else happens to events that the function's triggers gave up on: they are kept in any case.
	DeadLetter *DeadLetterSpec `json:"deadLetter,omitempty"`
}

// WarmUp is an event for nobody.
type WarmUp struct {
	// Event is a CloudEvent in JSON.
	Event json.RawMessage `json:"event"`
	// Request is the HTTP request that it was, as docs/abi.md section 4 has it; absent = none.
	Request json.RawMessage `json:"request,omitempty"`
}

// DeadLetterSpec says how long dead letters are kept and who else hears of them.
type DeadLetterSpec struct {
	// Keep is how long they wait for somebody. Default 14 days.
	Keep Duration `json:"keep,omitempty"`
	// Topic gets a copy of each dead letter, with extension attributes that say why (docs/deadletters.md).
	Topic string `json:"topic,omitempty"`
	// Knative adds the attributes knativeerrordest, knativeerrorcode and knativeerrordata to the copy and to peek.
	Knative bool `json:"knative,omitempty"`
}

// Adaptive is how a function's triggers take overload of what is behind it.
type Adaptive struct {
	// Off leaves them as fast as they can be.
	Off bool `json:"off,omitempty"`
	// Latency is the time of an attempt beyond which it counts as a sign of overload; 0 = none does.
	Latency Duration `json:"latency,omitempty"`
}

// KeyLimit bounds how many of one key there are at once.
type KeyLimit struct {
	// Key is an expression: "subject", "key" (the event's key), "data.customer.id", or CESQL that makes a text or a number.
	Key   string `json:"key"`
	Limit int    `json:"limit"`
}

// Rate is so many in a period: one every Period/Limit, and up to Burst at once after a pause.
type Rate struct {
	Limit  int      `json:"limit"`
	Period Duration `json:"period"`
	// Burst is 1 to Limit; 0 = 1 for a throttle and Limit for a rate limit.
	Burst int `json:"burst,omitempty"`
	// Key is as in KeyLimit: each key has a rate of its own. "" = one for all.
	Key string `json:"key,omitempty"`
}

// Limits of what a function may ask for.
const (
	MaxLimit  = 100_000
	MinPeriod = Duration(time.Millisecond)
	MaxPeriod = Duration(30 * 24 * time.Hour)

	MaxReady  = 1000 // Scale.Min
	MaxWeight = 100
)

// Scale bounds the instances of a function on a node. Between the bounds they follow demand, event by event.
type Scale struct {
	// Min is how many are kept ready when there is nothing to do. Default 0.
	Min int `json:"min,omitempty"`
	// Max is how many may be in use at once, for events and for calls. 0 = as many as the node has room for.
	Max int `json:"max,omitempty"`
}

// Allow lists what a function may do; what is not listed is denied.
type Allow struct {
	// Emit lists the topics it may emit to; "*" stands for one token, ">" for the rest.
	Emit []string `json:"emit,omitempty"`
	// State allows keyed state.
	State bool `json:"state,omitempty"`
	// HTTP lists where it may send requests, each as HTTPTarget has it: api.stripe.com, *.example.com:8443, http://localhost:3000.
	HTTP []string `json:"http,omitempty"`
	// Invoke lists the functions of its namespace that it may invoke, 64 at most; not itself.
	Invoke []string `json:"invoke,omitempty"`
}

// Retry says when a failed event is tried again. Zero fields take the defaults: 8 attempts, 1s × 2 up to 5m, full jitter, 24h.
type Retry struct {
	Attempts int      `json:"attempts,omitempty"`
	Initial  Duration `json:"initial,omitempty"`
	Factor   float64  `json:"factor,omitempty"`
	Max      Duration `json:"max,omitempty"`
	// Jitter is "full" (a random time up to the delay) or "none".
	Jitter string   `json:"jitter,omitempty"`
	MaxAge Duration `json:"maxAge,omitempty"`
}

// TriggerSpec binds a source of events to the function. Exactly one of the kinds is set.
type TriggerSpec struct {
	HTTP    *HTTPTrigger    `json:"http,omitempty"`
	Topic   *TopicTrigger   `json:"topic,omitempty"`
	Cron    *CronTrigger    `json:"cron,omitempty"`
	Webhook *WebhookTrigger `json:"webhook,omitempty"`
}

// TopicTrigger runs the function for the events of a topic.
type TopicTrigger struct {
	// Name is a topic; "*" stands for one token, ">" for the rest.
	Name string `json:"name"`
	// Filter is a CESQL expression or, when it begins with { or [, a filter of the CloudEvents Subscriptions API, or a list of them, as JSON. Empty is
	// every event.
	Filter string `json:"filter,omitempty"`
	// Order is "none" (default) or "key": one event at a time per key, in order.
	Order string `json:"order,omitempty"`
	// Start is where a new trigger begins, see ParsePosition; "" is "latest": with events after the deploy. It does nothing for a trigger that exists.
	Start string `json:"start,omitempty"`
	// OnFailure is, with order key, what the key of an event that was given up on does: "skip" (default) goes on, "park" stands still until that event is redriven
	// and done, or discarded.
	OnFailure string `json:"onFailure,omitempty"`
	// Delivery is "atLeastOnce" (default: an event is tried until it is done, its effects happen once) or "atMostOnce": it is settled before it runs, and never tried again.
	Delivery string `json:"delivery,omitempty"`
	// Batch gives the function several events in one delivery; nil = one.
	Batch *BatchSpec `json:"batch,omitempty"`
	// Priority is an expression for a number from -100 to 100, asked when an event comes in: of those that wait, the ones with a higher number come first. True is 1; what
	// an event does not have is 0. Not with order key or batch.
	Priority string `json:"priority,omitempty"`
}

// MaxBatch is the most events of a batch.
const MaxBatch = 1000

// BatchSpec says how many events a batch has.
type BatchSpec struct {
	// Size is the most, 2 to MaxBatch.
	Size int `json:"size"`
	// Window is how long a new event waits, at most, for others to fill its batch; 0 = what is there goes at once.
	Window Duration `json:"window,omitempty"`
}

// TopicSpec is what can be said of a topic.
type TopicSpec struct {
	// Ingress lets events in from outside, through POST /topics/{topic} of the gateway.
	Ingress bool `json:"ingress,omitempty"`
	// Auth says who may send through the gateway; nil = everybody. Only with Ingress.
	Auth *Auth `json:"auth,omitempty"`
	// Retention is how long events stay. Default 7 days.
	Retention Duration `json:"retention,omitempty"`
	// Unsettled says what becomes of events that are older and that a trigger has not settled: "keep" (default), so that they, and what came after them, stay, or
	// "deadletter".
	Unsettled string `json:"unsettled,omitempty"`
}

// Deployed answers a deploy.
type Deployed struct {
	App       string             `json:"app"`
	Functions []DeployedFunction `json:"functions"`
	Topics    []string           `json:"topics,omitempty"`
	// Orphans are functions of the app that this deploy does not name any more; they stay as they are.
	Orphans []string `json:"orphans,omitempty"`
	// Removed are those that App.Prune has removed instead.
	Removed []string `json:"removed,omitempty"`
}

// DeployedFunction is one function of a deploy.
type DeployedFunction struct {
	Name     string `json:"name"`
	Revision int    `json:"revision"`
	// Change is "created", "updated" or "unchanged".
	Change   string   `json:"change"`
	Triggers []string `json:"triggers,omitempty"`
	// URLs are what reaches it: "http://127.0.0.1:8080/fn/NAME", "POST https://api.example.com/orders/{id}".
	URLs []string `json:"urls,omitempty"`
	// Warnings are about its module: what works, and costs or surprises.
	Warnings []string `json:"warnings,omitempty"`
	// Notes say what this deploy left as it was, a pause or a start, and what comes next.
	Notes []string `json:"notes,omitempty"`
	// Due are the next due times of its cron triggers.
	Due []Due `json:"due,omitempty"`
	// Rollout is set when the new revision comes step by step.
	Rollout *Rollout `json:"rollout,omitempty"`
}

// Function is a named module with its settings.
type Function struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	App       string       `json:"app"`
	Kind      string       `json:"kind"` // "native", "wasi-command" or "javascript"
	Revision  int          `json:"revision"`
	Spec      FunctionSpec `json:"spec"`
	Triggers  []Trigger    `json:"triggers"`
	// Traffic says which revisions run its events, sorted by revision; nil = the newest runs all. The next deploy that changes the function ends it.
	Traffic []Share `json:"traffic,omitempty"`
	// Load is what this node does for it now; only when one function is asked for, or by top.
	Load *Load `json:"load,omitempty"`
	// Rollout is the canary that runs, or how the last one ended; nil = the newest deploy was none.
	Rollout *Rollout  `json:"rollout,omitempty"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Load is what a node does for a function at one moment, and what scaling has decided.
type Load struct {
	// Wanted is how many events and calls could run now, with those in progress. What waits for a time, for an earlier event of its key, or for a rule of fn.yaml is not
	// among them.
	Wanted int `json:"wanted"`
	// Target is how many of them may be in progress, and Limit what keeps it from being all: "concurrency", "scale.max", "processors" or "memory"; when it is all, what
	// most of the others wait for: "throttle", "concurrency of its key" or "fair".
	Target int    `json:"target"`
	Limit  string `json:"limit,omitempty"`
	// InProgress are those taken and not settled yet. Of their instances, Running have a processor, Parked had one and wait for the next, and Away need none: they sleep.
	InProgress int `json:"inProgress"`
	Running    int `json:"running"`
	Parked     int `json:"parked"`
	Away       int `json:"away"`
	// Waiting have not begun, and Held is what the next of them lacks: "scale.max", "memory" or "instances"; "" = it is not its turn.
	Waiting int    `json:"waiting"`
	Held    string `json:"held,omitempty"`
	// Fuel is what the function has used since the runtime started.
	Fuel int64 `json:"fuel"`
}

// Idle says that there is nothing to do.
func (l *Load) Idle() bool { return l.Wanted == 0 && l.InProgress == 0 }

// Share is the part of a function's events that a revision runs.
type Share struct {
	Revision int `json:"revision"`
	Percent  int `json:"percent"` // 1 to 100
}

// Percent is the share of a revision of the function.
func (f *Function) Percent(revision int) int {
	if len(f.Traffic) == 0 && revision == f.Revision {
		return 100
	}
	for _, s := range f.Traffic {
		if s.Revision == revision {
			return s.Percent
		}
	}
	return 0
}

// TrafficRequest sets the traffic of a function; empty = all to the newest revision.
type TrafficRequest struct {
	Traffic []Share `json:"traffic,omitempty"`
}

// Revision is one immutable version of a function.
type Revision struct {
	Revision int       `json:"revision"`
	Created  time.Time `json:"created"`
	Module   string    `json:"module"`  // digest
	Percent  int       `json:"percent"` // of the function's events that it runs
	// Uses says what the revision is needed for; without any it can be removed, and is, once ten newer ones are there.
	Uses []string `json:"uses,omitempty"`
	// Rollout is that of the function, at its candidate.
	Rollout *Rollout `json:"rollout,omitempty"`
	// Kind and Spec are only in the answer for one revision.
	Kind string        `json:"kind,omitempty"`
	Spec *FunctionSpec `json:"spec,omitempty"`
}

// Trigger is one binding of a function. ID is unique for ever and survives redeploys of the same binding.
type Trigger struct {
	ID        uint64          `json:"id"`
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"` // "charge:orders.created", "checkout:http"
	Function  string          `json:"function"`
	Kind      string          `json:"kind"` // "http", "topic", "cron", "webhook" or "inbox"
	HTTP      *HTTPTrigger    `json:"http,omitempty"`
	Topic     *TopicTrigger   `json:"topic,omitempty"` // of a cron trigger, a webhook and an inbox: where their events are kept
	Cron      *CronTrigger    `json:"cron,omitempty"`
	Webhook   *WebhookTrigger `json:"webhook,omitempty"`
	Stats     *TriggerStats   `json:"stats,omitempty"`
	// PausedSince is when the trigger was paused; absent when it is not.
	PausedSince time.Time `json:"pausedSince,omitzero"`
	// Start is where the trigger began, a resolved position; "" for the events after its first deploy.
	Start string `json:"start,omitempty"`
	// Replay is the newest replay asked for.
	Replay *Replay `json:"replay,omitempty"`
	// Since is from when on the due times of a cron trigger count: when it was first deployed, or its schedule was changed.
	Since time.Time `json:"since,omitzero"`
	// Due says when a cron trigger fires.
	Due *Due `json:"due,omitempty"`
}

// TriggerStats counts what a trigger has to do.
type TriggerStats struct {
	Pending  int `json:"pending"`  // waiting, running or between attempts
	Retrying int `json:"retrying"` // of those, failed at least once
	// Waits says what those that do not run wait for, most first.
	Waits       []Waits `json:"waits,omitempty"`
	DeadLetters int     `json:"deadLetters"`
	// CatchingUp counts the partitions in which the trigger still looks through stored events, at its start or for a replay.
	CatchingUp int `json:"catchingUp,omitempty"`
	Parked     int `json:"parked,omitempty"` // keys that stand still behind a dead letter
	Behind     int `json:"behind,omitempty"` // events found waiting behind them
	// When the oldest dead letter, and the oldest that parks its key, were given up.
	OldestDeadLetter time.Time `json:"oldestDeadLetter,omitzero"`
	OldestParked     time.Time `json:"oldestParked,omitzero"`
}

// Waits counts the events of a trigger that wait for the same: "time", a retry or a delay, or one of Invocation.Why.
type Waits struct {
	For   string `json:"for"`
	Count int    `json:"count"`
}

// Topic is a named durable stream of events.
type Topic struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Spec      TopicSpec `json:"spec"`
	Created   time.Time `json:"created"`
}

// TopicEvent is one event of a topic as `topic tail` shows it.
type TopicEvent struct {
	Topic     string          `json:"topic"`
	Partition int             `json:"partition"`
	Offset    uint64          `json:"offset"`
	Time      time.Time       `json:"time"` // when it was stored
	Event     json.RawMessage `json:"event"`
	// Position is a token of the place behind this event, for `start:` and replays.
	Position string `json:"position,omitempty"`
}

// Published answers a publish, one entry for each event in order.
type Published struct {
	Events []PublishedEvent `json:"events"`
}

// PublishedEvent says where an event was stored.
type PublishedEvent struct {
	ID        string `json:"id"`
	Partition int    `json:"partition"`
	Offset    uint64 `json:"offset"`
	// Duplicate means that the same source and id was stored before; nothing was stored now.
	Duplicate bool `json:"duplicate,omitempty"`
}

// InvokeRequest runs a function: POST /api/v1/ns/{ns}/functions/{name}/invoke.
type InvokeRequest struct {
	// Event is a structured CloudEvent; absent members are filled in.
	Event json.RawMessage `json:"event,omitempty"`
	// Async publishes to the function's inbox instead of waiting.
	Async bool `json:"async,omitempty"`
}

// InvokeReply answers an invoke.
type InvokeReply struct {
	Invocation string `json:"invocation"`
	// Verdict is "done", "failed" or "rejected"; empty for an async invoke.
	Verdict string `json:"verdict,omitempty"`
	// Class and Error say why a verdict is not done: see Attempt.
	Class string `json:"class,omitempty"`
	Error string `json:"error,omitempty"`
	// Data is the reply's body, base64 on the wire.
	Data       []byte          `json:"data,omitempty"`
	Attributes json.RawMessage `json:"attributes,omitempty"`
	Revision   int             `json:"revision,omitempty"`
	// Attempt is which try of the invocation this was; a synchronous call has one.
	Attempt  int      `json:"attempt,omitempty"`
	Duration Duration `json:"duration,omitempty"`
	// Bill is what the attempt used; absent for an async invoke.
	Bill Bill `json:"bill,omitzero"`
}

// Attempt is one try of an invocation.
type Attempt struct {
	Attempt  int       `json:"attempt"`
	Revision int       `json:"revision"`
	Start    time.Time `json:"start"`
	Duration Duration  `json:"duration"`
	// Verdict is "done", "failed" or "rejected".
	Verdict string `json:"verdict"`
	// Class is "error" (the guest said so), "rejected", "trap", "deadline", "memory", "exit", "init", "canceled", "internal" or "node_crash" (the
	// runtime died while it ran), or, of an event that did not run, "expired" (past its expirytime) or "loop" (after 64 hops); empty when done.
	Class string `json:"class,omitempty"`
	Error string `json:"error,omitempty"`
	// Trace and Span are where the attempt is in a trace (W3C Trace Context): that of its event, or the one that began because it emitted. The event's own span is the
	// parent. Both are absent when its event is in no trace and it emitted nothing, and in dead letters.
	Trace string `json:"trace,omitempty"`
	Span  string `json:"span,omitempty"`
	// Bill is what the attempt used. It is absent in dead letters, which the log keeps without it, and in what older versions wrote.
	Bill Bill `json:"bill,omitzero"`
}

// Invocation is the handling of one event by one function.
type Invocation struct {
	ID        string `json:"id"`
	Function  string `json:"function"`
	Trigger   string `json:"trigger,omitempty"`
	Topic     string `json:"topic,omitempty"`
	EventID   string `json:"eventId"`
	EventType string `json:"eventType,omitempty"`
	Key       string `json:"key,omitempty"`
	// State is "running", "retrying", "delayed", "waiting" or "dead" (given up on), and of a finished one "done", "failed", "rejected" or "canceled".
	State string `json:"state"`
	// Why says what a waiting one waits for: "key", an earlier event of its key; "batch", others to fill its batch; "paused"; "throttle", until Due; "concurrency of its key" and
	// "fair", others of the key in fn.yaml; "concurrency", "scale.max", "processors", "memory" and "instances", as in Load; "overload" and
	// "retry-after", what is behind the function is overloaded; "module", its function cannot be loaded; "turn", others of its trigger come first.
	Why string `json:"why,omitempty"`
	// Attempt is the number of the one that runs or comes next, or of the last when it has ended.
	Attempt int `json:"attempt"`
	// Revision, Class and Error are those of the last attempt.
	Revision int    `json:"revision,omitempty"`
	Class    string `json:"class,omitempty"`
	Error    string `json:"error,omitempty"`

	Stored  time.Time `json:"stored,omitzero"`  // when its event was stored
	Started time.Time `json:"started,omitzero"` // of a synchronous call that runs
	Due     time.Time `json:"due,omitzero"`     // when it may run, if that is known
	Ended   time.Time `json:"ended,omitzero"`

	Attempts []Attempt       `json:"attempts,omitempty"` // the finished ones; only when one is asked for
	Event    json.RawMessage `json:"event,omitempty"`    // the same; absent once it has ended
}

// CancelRequest ends an invocation for good: POST /api/v1/ns/{ns}/invocations/{id}/cancel.
type CancelRequest struct {
	// Reason is kept in the log; required.
	Reason string `json:"reason"`
}

// Bill is what one attempt used. Times are whole nanoseconds in JSON, so that bills can be added up.
type Bill struct {
	// Wall is the time from the start of the attempt to its end, with making or awaiting an instance and with its reset.
	Wall time.Duration `json:"wallNs"`
	// Guest is the part of it in which the guest ran: without capabilities, sleep, and what others took while it made room for them.
	Guest time.Duration `json:"guestNs"`
	// Fuel counts units of work, about one for each instruction, whatever the machine and its load.
	Fuel int64 `json:"fuel"`
	// PeakMemory is the most linear memory that the guest had, in bytes.
	PeakMemory int64 `json:"peakMemoryBytes"`
	// BytesIn are those of the event and of answers that were copied into the guest.
	BytesIn int64 `json:"bytesIn"`
	// BytesOut are those of replies, emitted events and requests that were copied out of it.
	BytesOut int64 `json:"bytesOut"`
	// HostCalls counts the imported functions that the guest called.
	HostCalls int64 `json:"hostCalls"`
}

// LogEntry is one line of `fnctl logs`: what a function logged, or a finished attempt.
type LogEntry struct {
	Time       time.Time `json:"time"`
	Namespace  string    `json:"namespace"`
	Function   string    `json:"function"`
	Revision   int       `json:"revision"`
	Invocation string    `json:"invocation"`
	EventID    string    `json:"eventId"`
	Trigger    string    `json:"trigger,omitempty"`
	// Batch is, for an event that was handled in a batch, the invocation of the batch's first event, which has the lines that the function logged and the bill.
	Batch string `json:"batch,omitempty"`
	// Level is "debug", "info", "warn" or "error".
	Level   string `json:"level"`
	Message string `json:"message,omitempty"`
	// Attempt is set on the entry that closes an attempt.
	Attempt *Attempt `json:"attempt,omitempty"`
	// Next says what happens after a failed attempt: "retry" with RetryAt, "dead-letter", or "canceled".
	Next    string    `json:"next,omitempty"`
	RetryAt time.Time `json:"retryAt,omitzero"`
}

// Version describes a server.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	ABI     string `json:"abi"`
	Gateway string `json:"gateway"` // address of the gateway, host:port
}

// Problem is an error answer, RFC 9457 (application/problem+json).
type Problem struct {
	// Type is a stable URI, "https://evoke.run/problems/…".
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Next says what to try.
	Next string `json:"next,omitempty"`
	// Faults are the rules that an app breaks, each of which Detail tells, too.
	Faults []Fault `json:"faults,omitempty"`
	// Invocation is set when a function had run.
	Invocation string `json:"invocation,omitempty"`
}

// Fault is one broken rule of a spec.
type Fault struct {
	// Field is a path as in fn.yaml, "functions.charge.on[0].topic.filter".
	Field string `json:"field"`
	// Problem says what is wrong with its value and what would be right.
	Problem string `json:"problem"`
	// Secret is the name of one that has to be set first, when that is what is wrong.
	Secret string `json:"secret,omitempty"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// Duration is a time.Duration written as text, "1m30s", in JSON.
type Duration time.Duration

// MarshalText writes Go's form of a duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads Go's form of a duration, and days as "14d".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = Duration(v)
	return err
}

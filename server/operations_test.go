package server

import (
	"github.com/evoke-run/evoke/api"
)

// operation is what the OpenAPI document says of a route.
type operation struct {
	route string // method and path, as http.ServeMux writes them
	about string
	query []parameter
	in    any    // the JSON body, by an example of its type; nil = none
	inAs  string // media types of a body that is none of ours, by comma
	out   any    // the JSON answer; nil = none
	outAs string // media type of an answer that is no JSON
	lines bool   // the answer is JSON lines, each an out
	codes []int  // of success; default 200
}

type parameter struct{ name, kind, about string }

const (
	management = "/api/v1"
	inSpace    = management + "/ns/{ns}"
)

var (
	limitParameter  = parameter{"limit", "integer", "how many of the newest; 0 = 100"}
	sinceParameter  = parameter{"since", "string", "an RFC 3339 time, or a duration back from now such as 10m"}
	followParameter = parameter{"follow", "boolean", "go on with what comes, until the client has enough"}
)

// operations is the API: tag by tag, in the order of the document.
var operations = map[string][]operation{
	"server": {
		{route: "GET /healthz", about: "Whether the process works. It is answered to the end of a stop.", outAs: "text/plain"},
		{route: "GET /readyz", about: "Whether the server takes requests.", outAs: "text/plain"},
		{route: "GET /metrics", about: "Prometheus metrics.", outAs: "text/plain"},
		{route: "GET " + management + "/version", about: "What runs, and where its gateway is.", out: api.Version{}},
		{route: "GET " + management + "/openapi.json", about: "This document.", outAs: "application/json"},
		{route: "GET " + management + "/backup", about: "Everything that the runtime keeps, as one checked stream (docs/backup.md). A stream without an end is no backup.", outAs: "application/octet-stream"},
	},
	"deploy": {
		{route: "HEAD " + management + "/modules/{digest}", about: "Whether a module is there."},
		{route: "PUT " + management + "/modules/{digest}", about: "Upload a module under its SHA-256, \"sha256:\" and 64 hex digits. At most 64 MiB.", inAs: "application/wasm", codes: []int{204}},
		{route: "PUT " + inSpace + "/apps/{app}", about: "Put an app in force, whole or not at all. It is answered when the app is in force.", in: api.App{}, out: api.Deployed{}},
	},
	"functions": {
		{route: "GET " + inSpace + "/functions", about: "All functions.", out: []api.Function{}},
		{route: "GET " + inSpace + "/top", about: "The functions that have something to do, with their load.", out: []api.Function{}},
		{route: "GET " + inSpace + "/functions/{name}", about: "A function, with its load.", out: api.Function{}},
		{route: "DELETE " + inSpace + "/functions/{name}", about: "Remove a function with its triggers and what waits in them.", codes: []int{204}},
		{route: "POST " + inSpace + "/functions/{name}/invoke", about: "Run a function for one event, or publish it to the function's inbox.", in: api.InvokeRequest{}, out: api.InvokeReply{}, codes: []int{200, 202}},
		{route: "GET " + inSpace + "/functions/{name}/revisions", about: "The revisions that are kept, the newest first.", out: []api.Revision{}},
		{route: "GET " + inSpace + "/functions/{name}/revisions/{revision}", about: "A revision with its settings.", out: api.Revision{}},
		{route: "DELETE " + inSpace + "/functions/{name}/revisions/{revision}", about: "Remove a revision that nothing needs.", codes: []int{204}},
		{route: "PUT " + inSpace + "/functions/{name}/traffic", about: "Split the function's keys between revisions. Empty gives all to the newest.", in: api.TrafficRequest{}, out: []api.Revision{}},
		{route: "POST " + inSpace + "/functions/{name}/pause", about: "Pause all topic triggers of a function.", out: api.Paused{}},
		{route: "POST " + inSpace + "/functions/{name}/resume", about: "Resume all topic triggers of a function.", out: api.Paused{}},
	},
	"triggers": {
		{route: "GET " + inSpace + "/triggers", about: "All triggers, with what they have to do.", out: []api.Trigger{}},
		{route: "GET " + inSpace + "/triggers/{name}", about: "A trigger, with what it has to do.", out: api.Trigger{}},
		{route: "POST " + inSpace + "/triggers/{name}/pause", about: "Let its events wait.", out: api.Paused{}},
		{route: "POST " + inSpace + "/triggers/{name}/resume", about: "Hand its events out again.", out: api.Paused{}},
		{route: "POST " + inSpace + "/triggers/{name}/replay", about: "Hand stored events to it again.", in: api.ReplayRequest{}, out: api.Replayed{}},
		{route: "POST " + inSpace + "/triggers/{name}/run", about: "Make a cron trigger fire now.", out: api.TriggerRun{}, codes: []int{202}},
	},
	"topics": {
		{route: "GET " + inSpace + "/topics", about: "All topics.", out: []api.Topic{}},
		{route: "GET " + inSpace + "/topics/{name}", about: "A topic.", out: api.Topic{}},
		{route: "DELETE " + inSpace + "/topics/{name}", about: "Remove a topic that no trigger names.", codes: []int{204}},
		{route: "POST " + inSpace + "/topics/{name}/events", about: "Publish CloudEvents, whether or not the topic is open for the outside.", inAs: eventTypes, out: api.Published{}, codes: []int{202}},
		{route: "GET " + inSpace + "/topics/{name}/events", about: "The newest events, oldest first.", out: api.TopicEvent{}, lines: true, query: []parameter{limitParameter, sinceParameter, followParameter}},
	},
	"secrets": {
		{route: "GET " + inSpace + "/secrets", about: "All secrets, without their values.", out: []api.Secret{}},
		{route: "GET " + inSpace + "/secrets/{name}", about: "A secret, without its value: no call returns that.", out: api.Secret{}},
		{route: "PUT " + inSpace + "/secrets/{name}", about: "Make a secret or give it another value. It is answered when that is in force.", in: api.SecretRequest{}, out: api.Secret{}},
		{route: "DELETE " + inSpace + "/secrets/{name}", about: "Remove a secret that nothing names.", codes: []int{204}, query: []parameter{{"force", "boolean", "even if functions or triggers name it"}}},
	},
	"access": {
		{route: "GET " + management + "/tokens", about: "All tokens of the management API, without their secrets.", out: []api.AccessToken{}},
		{route: "PUT " + management + "/tokens/{name}", about: "Make a token. The answer is the only time that its secret is shown.", in: api.AccessTokenRequest{}, out: api.NewAccessToken{}, codes: []int{201}},
		{route: "DELETE " + management + "/tokens/{name}", about: "End a token at once.", codes: []int{204}},
		{route: "GET " + inSpace + "/keys", about: "All API keys, without their secrets.", out: []api.Key{}},
		{route: "PUT " + inSpace + "/keys/{name}", about: "Make an API key for data traffic. The answer is the only time that its secret is shown.", in: api.KeyRequest{}, out: api.NewKey{}, codes: []int{201}},
		{route: "DELETE " + inSpace + "/keys/{name}", about: "End an API key at once.", codes: []int{204}},
		{route: "GET " + management + "/audit", about: "The newest changes through the management API that this node has recorded, oldest first.", out: []api.Audit{}, query: []parameter{limitParameter, sinceParameter}},
	},
	"invocations": {
		{route: "GET " + inSpace + "/invocations", about: "What runs, waits, is dead, or has ended.", out: []api.Invocation{}, query: []parameter{
			{"state", "string", "open (default), running, retrying, delayed, waiting, dead or finished"}, {"function", "string", "only of this function"},
			{"trigger", "string", "only of this trigger"}, {"limit", "integer", "how many; 0 = 100"},
		}},
		{route: "GET " + inSpace + "/invocations/{id}", about: "An invocation with its attempts, and its event as long as it has not ended.", out: api.Invocation{}},
		{route: "POST " + inSpace + "/invocations/{id}/cancel", about: "End an invocation for good.", in: api.CancelRequest{}, codes: []int{204}},
		{route: "GET " + inSpace + "/logs", about: "What functions logged, and finished attempts, oldest first.", out: api.LogEntry{}, lines: true, query: []parameter{
			{"function", "string", "only of this function"}, {"invocation", "string", "only of this invocation"}, {"level", "string", "debug, info, warn or error: nothing less"},
			limitParameter, sinceParameter, followParameter,
		}},
	},
	"dead letters": {
		{route: "GET " + inSpace + "/deadletters", about: "What was given up on, the newest first. The header " + api.NextPage + " has the page behind this one.", out: []api.DeadLetter{}, query: []parameter{
			{"trigger", "string", "only of this trigger"}, {"filter", "string", "only events for which this filter is true"}, {"parked", "boolean", "only those whose key stands still"},
			{"page", "string", "from " + api.NextPage + " of the page before"}, limitParameter, sinceParameter,
		}},
		{route: "GET " + inSpace + "/deadletters/{id}", about: "A dead letter with its event.", out: api.DeadLetter{}},
		{route: "POST " + inSpace + "/deadletters/redrive", about: "Hand dead letters to their triggers again, a page of them at most.", in: api.DeadLetterSelection{}, out: api.DeadLetterResult{}},
		{route: "POST " + inSpace + "/deadletters/discard", about: "Forget dead letters for ever, a page of them at most.", in: api.DeadLetterSelection{}, out: api.DeadLetterResult{}},
	},
	"gateway": gatewayOperations(),
}

// eventTypes are what a topic takes: structured, a batch, and anything as the data of a binary event.
const eventTypes = api.EventJSON + "," + api.EventBatchJSON + ",*/*"

func gatewayOperations() []operation {
	var out []operation
	for _, prefix := range [...]string{"", "/@{ns}"} {
		out = append(out, operation{
			route: "POST " + prefix + "/topics/{topic}", inAs: eventTypes, out: api.Published{}, codes: []int{202},
			about: "Publish CloudEvents to a topic that is open for the outside: all of the request are durable, or none is stored.",
		})
		out = append(out, operation{
			route: "POST " + prefix + "/webhooks/{webhook}", inAs: "*/*", out: api.Published{}, codes: []int{202},
			about: "Deliver to a webhook trigger: checked as its scheme says, and answered when it is durable. Slack gets 200 without a body; what a sender asks before its first delivery gets 200 or 204.",
		}, operation{
			route: "OPTIONS " + prefix + "/webhooks/{webhook}", codes: []int{204},
			about: "Ask whether deliveries are welcome, as CloudEvents webhooks do by WebHook-Request-Origin: the answer is in WebHook-Allowed-Origin.",
		})
		for _, path := range [...]string{"/fn/{function}", "/fn/{function}/{path...}", "/{path...}"} {
			for _, method := range [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
				o := operation{route: method + " " + prefix + path, about: "Run a function that has an http trigger. Its reply is the answer; with Prefer: respond-async the event is stored, and 202 names the invocation.", outAs: "*/*"}
				if method != "GET" && method != "HEAD" {
					o.inAs = "*/*"
				}
				out = append(out, o)
			}
		}
	}
	return out
}

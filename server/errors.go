package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/history"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/rules"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/triggers"
)

// Kinds of refusal that the server itself finds.
var (
	errInvalid         = errors.New("invalid request")
	errInvalidEvent    = errors.New("invalid event")
	errMediaType       = errors.New("not a CloudEvent")
	errCoding          = errors.New("unknown content encoding")
	errSlowBody        = errors.New("the client sends too slowly")
	errUnauthorized    = errors.New("unauthorized")
	errForbidden       = errors.New("forbidden")
	errLockOut         = errors.New("nobody could manage the server any more")
	errNoCredential    = errors.New("unknown token or key")
	errNoCredentials   = errors.New("nothing to show")
	errBadKey          = errors.New("unknown API key")
	errWrongKey        = errors.New("API key for something else")
	errKeyRate         = errors.New("API key at its rate")
	errBadJWT          = errors.New("invalid token")
	errForeignJWT      = errors.New("token of another issuer")
	errDeniedJWT       = errors.New("token without a claim")
	errIssuer          = errors.New("issuer out of reach")
	errForeignHost     = errors.New("foreign host")
	errForeignOrigin   = errors.New("foreign origin")
	errCORS            = errors.New("origin not allowed")
	errUnknownPath     = errors.New("unknown path")
	errMethod          = errors.New("method not allowed")
	errUnknownTopic    = errors.New("unknown topic")
	errUnknownFunction = errors.New("unknown function")
	errUnknownSecret   = errors.New("unknown secret")
	errUnknownWebhook  = errors.New("unknown webhook")
	errSignature       = errors.New("wrong signature")
	errNoSecret        = errors.New("no secret")
	errSender          = errors.New("sender not allowed")
	errUnknownTrigger  = errors.New("unknown trigger")
	errNoDeadLetter    = errors.New("unknown dead letter")
	errReplaying       = errors.New("already looking through the past")
	errNoRevision      = errors.New("unknown revision")
	errNoInvocation    = errors.New("unknown invocation")
	errEnded           = errors.New("invocation has ended")
	errNoModule        = errors.New("module missing")
	errRefusedModule   = errors.New("module refused")
	errTooLarge        = errors.New("too large")
	errNoKey           = errors.New("no key")
	errBuffersFull     = errors.New("request bodies take all the memory they may")
	errDraining        = errors.New("the server is stopping")
	errNotReady        = errors.New("not ready")
	errUnrecorded      = errors.New("the audit log cannot be written")
	errRevoked         = errors.New("the token has ended")
	errClientGone      = errors.New("the client has gone") // never answered
)

// Ways in which a call of a function ends badly.
var (
	errFailed   = errors.New("function failed")
	errTrapped  = errors.New("function trapped")
	errDeadline = errors.New("deadline exceeded")
	errRejected = errors.New("event rejected")
	errBadReply = errors.New("invalid reply")
)

// row is what a client gets to see of an error.
type row struct {
	err    error
	status int
	slug   string // stable: the end of the problem's type
	title  string
	next   string // what to try, when the error does not say it better
	after  time.Duration
}

// table is the one place that turns errors into answers. The first row whose err is in an error's chain counts.
var table = [...]row{
	{err: errInvalid, status: 400, slug: "invalid-request", title: "The request is not valid", next: "correct the request"},
	{err: errInvalidEvent, status: 400, slug: "invalid-event", title: "Not a valid CloudEvent", next: "correct the event; nothing of this request was stored"},
	{err: errNoModule, status: 400, slug: "module-missing", title: "A module is missing", next: "upload the module first: PUT /api/v1/modules/{digest}"},
	{err: registry.ErrDigest, status: 400, slug: "wrong-digest", title: "The digest is wrong", next: "upload the bytes under their own SHA-256"},
	{err: errUnauthorized, status: 401, slug: "unauthorized", title: "A token is needed", next: "send one as \"Authorization: Bearer TOKEN\": EVOKE_ADMIN_TOKEN of the server, or what \"fnctl token create\" printed; fnctl takes it from FNCTL_TOKEN"},
	{err: errNoCredentials, status: 401, slug: "no-credentials", title: "A key or token is needed", next: "send it as \"Authorization: Bearer …\"; an API key also as \"Evoke-Api-Key: evk_…\""},
	{err: errBadKey, status: 401, slug: "invalid-key", title: "The API key is not good", next: "\"fnctl key ls\" shows what there is, \"fnctl key create\" makes one"},
	{err: errBadJWT, status: 401, slug: "invalid-token", title: "The token is not good", next: "ask its issuer for a new one; fn.yaml says which issuer and audience"},
	{err: errForeignJWT, status: 401, slug: "invalid-token", title: "The token is not good", next: "use one of the issuer that fn.yaml names"},
	{err: errRevoked, status: 401, slug: "unauthorized", title: "A token is needed", next: "ask for a new one"},
	{err: errSignature, status: 401, slug: "wrong-signature", title: "The delivery is not signed as it should be"},
	{err: errWrongKey, status: 403, slug: "key-not-for-this", title: "The API key is for something else", next: "use a key that is for it: \"fnctl key ls\" shows what each is for"},
	{err: errDeniedJWT, status: 403, slug: "claim-missing", title: "The token does not allow this", next: "ask its issuer for one with this claim"},
	{err: errForbidden, status: 403, slug: "forbidden", title: "The token may not do this", next: "use a token that may"},
	{err: errSender, status: 403, slug: "sender-not-allowed", title: "This sender may not deliver here", next: "add it to origins of the webhook trigger in fn.yaml and deploy"},
	{err: errForeignOrigin, status: 403, slug: "foreign-origin", title: "Calls from other web pages are refused", next: "call the management API from a program or from its own pages"},
	{err: errCORS, status: 403, slug: "origin-not-allowed", title: "Pages of this origin may not call it"},
	{err: errUnknownPath, status: 404, slug: "unknown-path", title: "Nothing is served here", next: "check the path"},
	{err: errUnknownTopic, status: 404, slug: "unknown-topic", title: "No such topic"},
	{err: errUnknownFunction, status: 404, slug: "unknown-function", title: "No such function"},
	{err: errUnknownWebhook, status: 404, slug: "unknown-webhook", title: "No such webhook"},
	{err: errUnknownTrigger, status: 404, slug: "unknown-trigger", title: "No such trigger", next: "\"fnctl ls triggers\" shows what there is"},
	{err: errUnknownSecret, status: 404, slug: "unknown-secret", title: "No such secret", next: "\"fnctl secret ls\" shows what there is"},
	{err: errNoDeadLetter, status: 404, slug: "unknown-dead-letter", title: "No such dead letter", next: "\"fnctl dlq ls\" shows what there is; it may have been redriven or discarded"},
	{err: errNoRevision, status: 404, slug: "unknown-revision", title: "No such revision"},
	{err: errNoInvocation, status: 404, slug: "unknown-invocation", title: "No such invocation", next: "\"fnctl invocations ls\" shows what waits and runs, with --state finished what has ended"},
	{err: errNoCredential, status: 404, slug: "unknown-credential", title: "No such token or key"},
	{err: scheduler.ErrNotFound, status: 404, slug: "unknown-function", title: "No such function", next: "it may just have been removed: \"fnctl ls\" shows what there is"},
	{err: registry.ErrNotFound, status: 404, slug: "not-found", title: "Not found", next: "\"fnctl ls\" shows what there is"},
	{err: partition.ErrNotFound, status: 404, slug: "not-found", title: "Not found", next: "\"fnctl dlq ls\" shows what there is"},
	{err: errMethod, status: 405, slug: "method-not-allowed", title: "The method is not allowed here", next: "see the Allow header"},
	{err: errSlowBody, status: 408, slug: "too-slow", title: "The request took too long to arrive", next: "send it again, faster or in smaller parts"},
	{err: scheduler.ErrInProgress, status: 409, slug: "call-in-progress", title: "The same call still runs", next: "repeat it in a moment: it gets the reply of the one that runs", after: time.Second},
	{err: scheduler.ErrConflict, status: 409, slug: "state-conflict", title: "Others kept changing the same state", next: "repeat the request", after: time.Second},
	{err: errEnded, status: 409, slug: "invocation-ended", title: "The invocation has ended", next: "\"fnctl invocations show\" says how"},
	{err: scheduler.ErrCanceled, status: 409, slug: "canceled", title: "Somebody canceled the invocation", next: "ask who did before you repeat it"},
	{err: errLockOut, status: 409, slug: "lock-out", title: "Nobody could manage the server any more", next: "make a token of the role admin first"},
	{err: registry.ErrConflict, status: 409, slug: "conflict", title: "In conflict with what is deployed", next: "resolve the conflict and repeat"},
	{err: registry.ErrInUse, status: 409, slug: "in-use", title: "Something needs it", next: "end what needs it first: \"fnctl traffic FUNCTION\" shows the traffic and the canary, \"fnctl dlq ls\" what was given up on"},
	{err: triggers.ErrOverlaps, status: 409, slug: "firing-overlaps", title: "An earlier firing is not done", next: "wait for it, or cancel it: \"fnctl invocations ls\" shows it"},
	{err: errReplaying, status: 409, slug: "replay-running", title: "The trigger is still catching up", next: "wait until \"fnctl describe trigger\" says that it has caught up, and repeat"},
	{err: partition.ErrExpired, status: 410, slug: "expired", title: "Removed by retention", next: "begin at what is still there; docs/retention.md says how long that is"},
	{err: errNoKey, status: 412, slug: "no-key", title: "The request has no key", next: "send an Evoke-Key header"},
	{err: errTooLarge, status: 413, slug: "too-large", title: "Too large", next: "put large data elsewhere and send a reference to it"},
	{err: registry.ErrTooLarge, status: 413, slug: "too-large", title: "Too large", next: "build a smaller module"},
	{err: partition.ErrTooLarge, status: 413, slug: "too-large", title: "Too large", next: "send fewer or smaller events at once"},
	{err: errMediaType, status: 415, slug: "not-a-cloudevent", title: "Not a CloudEvent", next: "send Ce-Id, Ce-Source, Ce-Type and Ce-Specversion: 1.0 headers, or Content-Type: application/cloudevents+json"},
	{err: errCoding, status: 415, slug: "unknown-content-encoding", title: "The body is compressed in an unknown way", next: "send it as it is, or with Content-Encoding: gzip"},
	{err: errForeignHost, status: 421, slug: "foreign-host", title: "Not served under this host name", next: "use the listen address, or start the server with --admin-hosts NAME"},
	{err: errRejected, status: 422, slug: "rejected", title: "The function rejected the event", next: "correct the event; the same one would be rejected again"},
	{err: scheduler.ErrOtherRequest, status: 422, slug: "idempotency-key-reused", title: "The Idempotency-Key belongs to another request", next: "use a new key for each call, and the same one only to repeat it unchanged"},
	{err: errRefusedModule, status: 422, slug: "module-refused", title: "The module cannot run here", next: "build it again as said and deploy"},
	{err: scheduler.ErrBusy, status: 429, slug: "busy", title: "The function is at its limit", next: "repeat later", after: time.Second},
	{err: errKeyRate, status: 429, slug: "key-rate", title: "The API key is at its rate", next: "repeat it then"},
	{err: errBuffersFull, status: 429, slug: "busy", title: "The server is at its limit", next: "repeat later", after: time.Second},
	{err: errFailed, status: 500, slug: "function-failed", title: "The function failed"},
	{err: errTrapped, status: 502, slug: "function-trapped", title: "The function broke off"},
	{err: errBadReply, status: 502, slug: "invalid-reply", title: "The function's reply is not valid", next: "correct what the function sets as its reply (docs/abi.md, section 5)"},
	{err: scheduler.ErrReplyTooLong, status: 502, slug: "reply-too-long", title: "The reply is too long to be kept", next: "reply with less, or call without an Idempotency-Key"},
	{err: scheduler.ErrUnavailable, status: 503, slug: "function-unavailable", title: "The function cannot be loaded", next: "deploy it again; the server's log says what is wrong with it", after: 30 * time.Second},
	{err: registry.ErrNoKey, status: 503, slug: "secrets-sealed", title: "The key of the secrets is not here", next: "give the runtime the key with --secrets-key-file; docs/secrets.md says how"},
	{err: errDraining, status: 503, slug: "draining", title: "The server is stopping", next: "repeat in a moment, at another node if there is one", after: 5 * time.Second},
	{err: scheduler.ErrDraining, status: 503, slug: "draining", title: "The server is stopping", next: "repeat in a moment, at another node if there is one", after: 5 * time.Second},
	{err: partition.ErrClosed, status: 503, slug: "draining", title: "The server is stopping", next: "repeat in a moment, at another node if there is one", after: 5 * time.Second},
	{err: partition.ErrDeposed, status: 503, slug: "draining", title: "The server is stopping", next: "repeat in a moment, at another node if there is one", after: 5 * time.Second},
	{err: history.ErrClosed, status: 503, slug: "draining", title: "The server is stopping", next: "repeat in a moment, at another node if there is one", after: 5 * time.Second},
	{err: errUnrecorded, status: 503, slug: "unrecorded", title: "The change cannot be recorded", next: "see to the disk of the data directory; nothing was changed, repeat it then"},
	{err: errIssuer, status: 503, slug: "issuer-out-of-reach", title: "The issuer of the token cannot be reached", next: "repeat in a moment; the server's log says what is wrong", after: 10 * time.Second},
	{err: errNoSecret, status: 503, slug: "secret-missing", title: "The webhook has no secret that can be used", after: time.Minute},
	{err: errNotReady, status: 503, slug: "not-ready", title: "The server is not ready", next: "repeat in a moment", after: time.Second},
	{err: errDeadline, status: 504, slug: "deadline-exceeded", title: "The function took too long"},
	{err: context.DeadlineExceeded, status: 504, slug: "timeout", title: "It took too long", next: "repeat; the server's log may say what it waited for"},
	{err: partition.ErrDiskLow, status: 507, slug: "disk-low", title: "The disk is nearly full", next: "free space on the disk of the data directory; nothing of this request was stored, repeat it then", after: 30 * time.Second},
}

// internal is the row of what no row names: our fault.
var internal = row{status: 500, slug: "internal", title: "Internal error", next: "the server's log says more; if it stays, report it"}

// fault is an error with words for the client; err picks the row of the table.
type fault struct {
	err        error
	detail     string
	next       string // "" = that of the row
	challenge  string // the WWW-Authenticate header; "" = the plain one
	faults     []api.Fault
	invocation string
	after      time.Duration // 0 = that of the row
}

func (f *fault) Error() string { return f.detail }
func (f *fault) Unwrap() error { return f.err }

// refuse makes a fault; next "" leaves the next step to the table.
func refuse(err error, next, format string, args ...any) error {
	return &fault{err: err, next: next, detail: fmt.Sprintf(format, args...)}
}

// answerFor looks an error up. known is false for what is our fault; its text is not shown.
func answerFor(err error) (p api.Problem, after time.Duration, known bool) {
	r := internal
	for i := range table {
		if errors.Is(err, table[i].err) {
			r, known = table[i], true
			break
		}
	}
	p = api.Problem{Type: "https://evoke.run/problems/" + r.slug, Title: r.title, Status: r.status, Next: r.next}
	after = r.after
	if known {
		p.Detail = err.Error()
	}
	if f, ok := errors.AsType[*fault](err); ok {
		p.Faults, p.Invocation = f.faults, f.invocation
		if f.next != "" {
			p.Next = f.next
		}
		if f.after > 0 {
			after = f.after
		}
	}
	return p, after, known
}

// nextOf is what to do about broken rules.
func nextOf(faults []api.Fault) string {
	has := func(is func(api.Fault) bool) bool { return slices.ContainsFunc(faults, is) }
	switch {
	case has(func(f api.Fault) bool { return f.Secret != "" }):
		return "set the secret, as by \"fnctl secret set\", and deploy again"
	case has(func(f api.Fault) bool { return strings.HasPrefix(f.Field, "canary.") }):
		return "correct it and deploy again; \"fnctl deploy --help\" says what a canary takes"
	}
	return "correct it in fn.yaml and deploy again"
}

// translate gives the errors of other packages that carry data, not identity, a row.
func translate(err error) error {
	if invalid, ok := errors.AsType[*rules.InvalidError](err); ok {
		return &fault{err: errInvalid, next: nextOf(invalid.Faults), detail: invalid.Error(), faults: invalid.Faults}
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch e.Code {
		case http.StatusNotFound:
			return refuse(errUnknownPath, "", "nothing is served at this path")
		case http.StatusMethodNotAllowed:
			return refuse(errMethod, "", "this path does not take the method")
		}
	}
	return err
}

package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// DefaultServer is where the management API listens unless told otherwise.
const DefaultServer = "http://127.0.0.1:8081"

// Content types of events on the wire.
const (
	EventJSON      = "application/cloudevents+json"
	EventBatchJSON = "application/cloudevents-batch+json"
)

// ClientOptions of NewClient.
type ClientOptions struct {
	// Server is the base URL of the management API. Default DefaultServer.
	Server string
	// Token is sent as a bearer token; empty for none.
	Token string
	// HTTP does the requests. Default http.DefaultClient. It must not limit the time of a whole answer, or following streams ends with it.
	HTTP *http.Client
}

// Client calls the management API. Its methods are safe for concurrent use. They answer *Problem when the server said no and *UnreachableError when it
// said nothing; both can be told apart from a context that ended, which stays context.Canceled or context.DeadlineExceeded.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// NewClient refuses a server address that is no http or https URL.
func NewClient(o ClientOptions) (*Client, error) {
	server := cmp.Or(o.Server, DefaultServer)
	base, err := url.Parse(server)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("server %q is not an address like %s", server, DefaultServer)
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token has a space, a line end or another character that a token cannot have")
	}
	return &Client{base: base, token: o.Token, http: cmp.Or(o.HTTP, http.DefaultClient)}, nil
}

// UnreachableError says that no answer of the management API arrived.
type UnreachableError struct {
	Server string
	Err    error
}

func (e *UnreachableError) Error() string {
	err := e.Err
	var u *url.Error // repeats method and address, which Server says already
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Sprintf("reach the server at %s: %v", e.Server, err)
}

// Unwrap gives the transport's error.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Version describes the server.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return get[Version](ctx, c, request{path: []string{"version"}})
}

// HasModule says whether the server holds the bytes of a module, by its digest "sha256:<hex>".
func (c *Client) HasModule(ctx context.Context, digest string) (bool, error) {
	res, err := c.do(ctx, request{method: http.MethodHead, path: []string{"modules", digest}})
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, res.Body.Close()
}

// PutModule uploads the bytes of a module; uploading it twice is fine.
func (c *Client) PutModule(ctx context.Context, digest string, module []byte) error {
	return c.UploadModule(ctx, digest, module, nil)
}

// UploadModule is PutModule that tells sent how many bytes have gone out so far. It is called by one goroutine at a time.
func (c *Client) UploadModule(ctx context.Context, digest string, module []byte, sent func(bytes int)) error {
	return c.send(ctx, request{method: http.MethodPut, path: []string{"modules", digest}, contentType: "application/wasm", body: module, sent: sent})
}

// Deploy puts an app in force, whole or not at all.
func (c *Client) Deploy(ctx context.Context, ns, app string, spec App) (Deployed, error) {
	return withBody[Deployed](ctx, c, request{method: http.MethodPut, path: []string{"ns", ns, "apps", app}}, spec)
}

// Functions lists the functions of a namespace by name.
func (c *Client) Functions(ctx context.Context, ns string) ([]Function, error) {
	return get[[]Function](ctx, c, request{path: []string{"ns", ns, "functions"}})
}

// Top lists the functions that have something to do on the node that answers, those with the most in progress first, each with its Load.
func (c *Client) Top(ctx context.Context, ns string) ([]Function, error) {
	return get[[]Function](ctx, c, request{path: []string{"ns", ns, "top"}})
}

// Function is one function; a *Problem with status 404 when there is none.
func (c *Client) Function(ctx context.Context, ns, name string) (Function, error) {
	return get[Function](ctx, c, request{path: []string{"ns", ns, "functions", name}})
}

// DeleteFunction removes a function and its triggers.
func (c *Client) DeleteFunction(ctx context.Context, ns, name string) error {
	return c.send(ctx, request{method: http.MethodDelete, path: []string{"ns", ns, "functions", name}})
}

// Invoke runs a function with one event, or with Async hands the event to its inbox. A function that failed is no error here: see InvokeReply.Verdict.
func (c *Client) Invoke(ctx context.Context, ns, name string, r InvokeRequest) (InvokeReply, error) {
	return withBody[InvokeReply](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "functions", name, "invoke"}}, r)
}

// Triggers lists the triggers of a namespace by name, with their counts.
func (c *Client) Triggers(ctx context.Context, ns string) ([]Trigger, error) {
	return get[[]Trigger](ctx, c, request{path: []string{"ns", ns, "triggers"}})
}

// Trigger is one trigger with its counts.
func (c *Client) Trigger(ctx context.Context, ns, name string) (Trigger, error) {
	return get[Trigger](ctx, c, request{path: []string{"ns", ns, "triggers", name}})
}

// PauseTrigger pauses a trigger: what matches waits until it is resumed.
func (c *Client) PauseTrigger(ctx context.Context, ns, name string) (Paused, error) {
	return get[Paused](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "triggers", name, "pause"}})
}

// ResumeTrigger ends a pause.
func (c *Client) ResumeTrigger(ctx context.Context, ns, name string) (Paused, error) {
	return get[Paused](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "triggers", name, "resume"}})
}

// PauseFunction pauses all triggers of a function in which events can wait: those of topics and the inbox.
func (c *Client) PauseFunction(ctx context.Context, ns, name string) (Paused, error) {
	return get[Paused](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "functions", name, "pause"}})
}

// ResumeFunction ends the pauses of all triggers of a function.
func (c *Client) ResumeFunction(ctx context.Context, ns, name string) (Paused, error) {
	return get[Paused](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "functions", name, "resume"}})
}

// Revisions lists the revisions of a function that are kept, the newest first.
func (c *Client) Revisions(ctx context.Context, ns, name string) ([]Revision, error) {
	return get[[]Revision](ctx, c, request{path: []string{"ns", ns, "functions", name, "revisions"}})
}

// Revision is one revision with what it is made of; a *Problem with status 404 when it is not kept.
func (c *Client) Revision(ctx context.Context, ns, function string, revision int) (Revision, error) {
	return get[Revision](ctx, c, request{path: []string{"ns", ns, "functions", function, "revisions", strconv.Itoa(revision)}})
}

// DeleteRevision removes a revision that nothing uses; a *Problem with status 409 says what does.
func (c *Client) DeleteRevision(ctx context.Context, ns, function string, revision int) error {
	return c.send(ctx, request{method: http.MethodDelete, path: []string{"ns", ns, "functions", function, "revisions", strconv.Itoa(revision)}})
}

// SetTraffic says which revisions run a function's events, and returns when that is in force.
func (c *Client) SetTraffic(ctx context.Context, ns, name string, r TrafficRequest) ([]Revision, error) {
	return withBody[[]Revision](ctx, c, request{method: http.MethodPut, path: []string{"ns", ns, "functions", name, "traffic"}}, r)
}

// Replay hands settled events of a range to a trigger again.
func (c *Client) Replay(ctx context.Context, ns, trigger string, r ReplayRequest) (Replayed, error) {
	return withBody[Replayed](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "triggers", trigger, "replay"}}, r)
}

// Topics lists the topics of a namespace by name.
func (c *Client) Topics(ctx context.Context, ns string) ([]Topic, error) {
	return get[[]Topic](ctx, c, request{path: []string{"ns", ns, "topics"}})
}

// Topic is one topic.
func (c *Client) Topic(ctx context.Context, ns, name string) (Topic, error) {
	return get[Topic](ctx, c, request{path: []string{"ns", ns, "topics", name}})
}

// DeleteTopic removes a topic that nothing names any more; a *Problem with status 409 says who does.
func (c *Client) DeleteTopic(ctx context.Context, ns, name string) error {
	return c.send(ctx, request{method: http.MethodDelete, path: []string{"ns", ns, "topics", name}})
}

// Publish stores events in a topic: one structured CloudEvent (EventJSON) or an array of them (EventBatchJSON).
// Publishing the same events again is safe: those stored before are answered as duplicates.
func (c *Client) Publish(ctx context.Context, ns, topic, contentType string, events []byte) (Published, error) {
	return get[Published](ctx, c, request{
		method: http.MethodPost, path: []string{"ns", ns, "topics", topic, "events"}, contentType: contentType, body: events,
	})
}

// InvocationOptions select invocations; zero fields select all.
type InvocationOptions struct {
	Function, Trigger string
	// State is one of Invocation, "open" (the default: all that wait or run), or "finished".
	State string
	Limit int // 0 is the server's own limit
}

// Invocations lists invocations without their events: what runs first, then what has a time, then what waits; of those that have ended the newest first.
func (c *Client) Invocations(ctx context.Context, ns string, o InvocationOptions) ([]Invocation, error) {
	q := url.Values{}
	setText(q, "function", o.Function)
	setText(q, "trigger", o.Trigger)
	setText(q, "state", o.State)
	setInt(q, "limit", o.Limit)
	return get[[]Invocation](ctx, c, request{path: []string{"ns", ns, "invocations"}, query: q})
}

// Invocation is one invocation with its attempts and, unless it has ended, its event.
func (c *Client) Invocation(ctx context.Context, ns, id string) (Invocation, error) {
	return get[Invocation](ctx, c, request{path: []string{"ns", ns, "invocations", id}})
}

// CancelInvocation ends an invocation for good. The reason is kept in the log.
func (c *Client) CancelInvocation(ctx context.Context, ns, id, reason string) error {
	body, err := json.Marshal(CancelRequest{Reason: reason})
	if err != nil {
		return err
	}
	return c.send(ctx, request{method: http.MethodPost, path: []string{"ns", ns, "invocations", id, "cancel"}, contentType: "application/json", body: body})
}

// request is one call; method defaults to GET. path is below /api/v1, each part is escaped.
type request struct {
	method      string
	path        []string
	query       url.Values
	contentType string
	body        []byte
	sent        func(bytes int) // is told how much of body has gone out; nil = nobody is
}

func get[T any](ctx context.Context, c *Client, r request) (T, error) {
	out, _, err := getWithHeader[T](ctx, c, r)
	return out, err
}

func getWithHeader[T any](ctx context.Context, c *Client, r request) (T, http.Header, error) {
	var out T
	res, err := c.do(ctx, r)
	if err != nil {
		return out, nil, err
	}
	defer res.Body.Close() // read to its end or of no more use
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		return out, nil, c.transportError(ctx, fmt.Errorf("read the answer to %s: %w", res.Request.URL.Path, err))
	}
	return out, res.Header, nil
}

func withBody[T any](ctx context.Context, c *Client, r request, body any) (T, error) {
	b, err := json.Marshal(body)
	if err != nil {
		var zero T
		return zero, fmt.Errorf("encode the request: %w", err)
	}
	r.body, r.contentType = b, "application/json"
	return get[T](ctx, c, r)
}

// send is for answers without a body.
func (c *Client) send(ctx context.Context, r request) error {
	res, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// do answers a response of a 2xx status; the caller closes its body.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	parts := make([]string, len(r.path))
	for i, p := range r.path {
		parts[i] = pathEscape(p)
	}
	u := c.base.JoinPath("api", "v1").JoinPath(parts...)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.method, http.MethodGet), u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if r.sent != nil {
		r.count(req)
	}
	req.Header.Set("Accept", "application/json, application/jsonl, application/problem+json")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.transportError(ctx, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer res.Body.Close()
		return nil, readProblem(res)
	}
	return res, nil
}

// count tells how the body of a request goes out. A transport that sends it again begins anew.
func (r *request) count(req *http.Request) {
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(&counted{r: bytes.NewReader(r.body), sent: r.sent}), nil
	}
	req.Body, _ = req.GetBody() // never fails
}

// counted is a reader that tells how far it has been read.
type counted struct {
	r    *bytes.Reader
	sent func(bytes int)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.sent(int(c.r.Size()) - c.r.Len())
	return n, err
}

// transportError keeps the end of the context apart from a server that does not answer.
func (c *Client) transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("call %s: %w", c.base, context.Cause(ctx))
	}
	return &UnreachableError{Server: c.base.Redacted(), Err: err}
}

// readProblem makes an error of any answer that is not 2xx, also of one that a proxy in between gave.
func readProblem(res *http.Response) *Problem {
	const limit = 256 << 10                                // an app may break many rules
	body, _ := io.ReadAll(io.LimitReader(res.Body, limit)) // what arrived is all there is to show
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")) // an unreadable type is no problem+json
	if kind != "application/problem+json" || json.Unmarshal(body, p) != nil {
		p = &Problem{Detail: firstLine(body)}
	}
	p.Status = res.StatusCode
	if p.Title == "" {
		p.Title = strings.ToLower(cmp.Or(http.StatusText(res.StatusCode), "status "+strconv.Itoa(res.StatusCode)))
	}
	return p
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if len(line) > 200 || strings.HasPrefix(line, "<") { // a page for browsers
		return ""
	}
	return line
}

// pathEscape keeps "." and ".." from being taken as steps in a path.
func pathEscape(s string) string {
	switch s {
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	return url.PathEscape(s)
}

func setText(q url.Values, name, v string) {
	if v != "" {
		q.Set(name, v)
	}
}

func setInt(q url.Values, name string, v int) {
	if v != 0 {
		q.Set(name, strconv.Itoa(v))
	}
}

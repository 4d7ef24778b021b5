package fetch

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evoke-run/evoke/sdk/abi"
)

const maxRedirects = 5

// Answer is how a request ended.
type Answer struct {
	// Status and Body are what the guest gets: docs/abi.md section 8.
	Status int32
	Body   []byte
	// Outcome is one word for metrics: "2xx" … "5xx", "other", "invalid", "denied", "busy", "timeout", "too_large", "canceled", "unreachable".
	Outcome string
	// HTTP is the status of the response; 0 = there is none.
	HTTP int
	// Overloaded says that the response was 429 or 503; RetryAfter is what it asks to wait, −1 = it does not.
	Overloaded bool
	RetryAfter time.Duration
	// Out and In are the bytes of bodies.
	Out, In int
}

func refuse(status int32, outcome, format string, args ...any) Answer {
	return Answer{Status: status, Outcome: outcome, Body: fmt.Appendf(nil, format, args...), RetryAfter: -1}
}

// NotAllowed is the answer to a function without an allow list.
func NotAllowed(raw []byte) Answer {
	r, err := Parse(raw)
	if err != nil {
		return Invalid(err)
	}
	return refuse(abi.StatusDenied, "denied", "%s", (&Function{}).allowed(r.URL))
}

// Invalid is the answer to a request that Parse refuses.
func Invalid(err error) Answer { return refuse(abi.StatusInvalid, "invalid", "%s", err) }

// allowed refuses a target that is not in the allow list.
func (f *Function) allowed(u *url.URL) error {
	scheme, host, port := target(u)
	for _, t := range f.allow {
		if t.Allows(scheme, host, port) {
			return nil
		}
	}
	to := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
	return &refusal{fmt.Sprintf("the function may not send requests to %s; add it to allow: { http: [%q] } in fn.yaml", to, to)}
}

// Do makes a request. It returns soon after ctx ends. reserve is asked for each part of the response that comes.
func (f *Function) Do(ctx context.Context, r *Request, reserve func(n int) bool) Answer {
	if err := f.allowed(r.URL); err != nil {
		return refuse(abi.StatusDenied, "denied", "%s", err)
	}
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	leave, err := f.enter(ctx)
	if err != nil {
		return f.failure(ctx, r, err)
	}
	defer leave()
	req, err := f.request(ctx, r)
	if err != nil {
		return Invalid(err)
	}
	client := http.Client{Transport: f.client.transport, CheckRedirect: func(next *http.Request, via []*http.Request) error { return f.redirect(r, next, via) }}
	res, err := client.Do(req)
	if err != nil {
		return f.failure(ctx, r, err)
	}
	defer res.Body.Close() //nolint:errcheck // what was read is read
	if res.StatusCode == http.StatusSwitchingProtocols {
		return f.failure(ctx, r, errors.New("the host wants to speak another protocol (101), which nobody asked for"))
	}
	return f.answer(ctx, r, res, reserve)
}

// errBusy is for a request that got no place in its time.
var errBusy = errors.New("busy")

// enter waits for a place among the requests of the function, and of the node.
func (f *Function) enter(ctx context.Context) (leave func(), err error) {
	select {
	case f.places <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %d requests of the function are open, the limit", errBusy, MaxPerFunction)
	}
	select {
	case f.client.places <- struct{}{}:
		return func() { <-f.client.places; <-f.places }, nil
	case <-ctx.Done():
		<-f.places
		return nil, fmt.Errorf("%w: %d requests of the node are open, the limit", errBusy, MaxPerNode)
	}
}

func (f *Function) request(ctx context.Context, r *Request) (*http.Request, error) {
	var body io.Reader
	if len(r.Body) > 0 {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), body)
	if err != nil {
		return nil, err
	}
	req.URL = r.URL // as it was checked
	for _, h := range r.Headers {
		req.Header.Add(h[0], h[1])
	}
	if !r.Has("User-Agent") {
		req.Header.Set("User-Agent", f.client.userAgent)
	}
	return req, nil
}

// redirect checks the next hop as the first one was. What was meant for one origin is not shown to another.
func (f *Function) redirect(r *Request, next *http.Request, via []*http.Request) error {
	if r.Manual {
		return http.ErrUseLastResponse
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("stopped after %d redirects, the last of them to %.80q", maxRedirects, next.URL.Redacted())
	}
	if next.URL.User != nil {
		return &refusal{fmt.Sprintf("redirected to %.80q, which has a user in it", next.URL.Redacted())}
	}
	if err := normalize(next.URL); err != nil {
		return &refusal{"redirected to a place that is none: " + err.Error()}
	}
	next.Host = "" // what the URL says
	if err := f.allowed(next.URL); err != nil {
		return &refusal{"redirected: " + err.Error()}
	}
	next.Header.Del("Referer") // the URL before is nobody's business
	for _, hop := range append(slices.Clone(via[1:]), next) {
		if !sameOrigin(via[0].URL, hop.URL) {
			maps.DeleteFunc(next.Header, func(name string, _ []string) bool { return isCredential(name) })
			break
		}
	}
	return nil
}

// isCredential says whether a header is likely to have something in it that only the one who was asked should know. Many services take keys in headers of their own.
func isCredential(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "idempotency-key":
		return false
	case "cookie", "cookie2":
		return true
	}
	for _, part := range []string{"auth", "key", "token", "secret", "session", "signature", "passw", "credential"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

func sameOrigin(a, b *url.URL) bool {
	schemeA, hostA, portA := target(a)
	schemeB, hostB, portB := target(b)
	return schemeA == schemeB && hostA == hostB && portA == portB
}

// answer reads a response.
func (f *Function) answer(ctx context.Context, r *Request, res *http.Response, reserve func(int) bool) Answer {
	a := Answer{Status: abi.StatusOK, HTTP: res.StatusCode, Outcome: class(res.StatusCode), Out: len(r.Body), RetryAfter: retryAfter(res)}
	a.Overloaded = a.HTTP == http.StatusTooManyRequests || a.HTTP == http.StatusServiceUnavailable
	head, err := json.Marshal(responseHead(res))
	if err != nil {
		return refuse(abi.StatusInternal, "unreachable", "write the head of the response as JSON: %s", err)
	}
	if !reserve(4 + len(head)) {
		return f.tooLarge(&a, "the answers that the function has open are as large as its memory limit leaves; close some, or raise memory: in fn.yaml")
	}
	a.Body = append(binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(head)+int(min(max(res.ContentLength, 0), 64<<10))), uint32(len(head))), head...)
	begin := len(a.Body)
	for {
		if cap(a.Body)-len(a.Body) < 512 {
			a.Body = slices.Grow(a.Body, max(4<<10, len(a.Body)/2))
		}
		n, err := res.Body.Read(a.Body[len(a.Body):cap(a.Body)])
		a.In += n
		switch {
		case len(a.Body)+n-begin > r.MaxBytes:
			return f.tooLarge(&a, fmt.Sprintf("the response of %s has more than %d bytes, the limit; ask for less", r.URL.Host, r.MaxBytes))
		case !reserve(n):
			return f.tooLarge(&a, "the answers that the function has open are as large as its memory limit leaves; close some, or raise memory: in fn.yaml")
		}
		a.Body = a.Body[:len(a.Body)+n]
		if errors.Is(err, io.EOF) {
			return a
		}
		if err != nil {
			failed := f.failure(ctx, r, fmt.Errorf("the response broke off after %d bytes: %w", len(a.Body)-begin, err))
			failed.Out, failed.In = a.Out, a.In
			return failed
		}
	}
}

// class is the word for metrics.
func class(status int) string {
	if status < 200 || status > 599 {
		return "other"
	}
	return strconv.Itoa(status/100) + "xx"
}

func (f *Function) tooLarge(a *Answer, text string) Answer {
	out := refuse(abi.StatusTooLarge, "too_large", "%s", text)
	out.Out, out.In = a.Out, a.In
	return out
}

// response is the JSON before the body.
type response struct {
	Status  int         `json:"status"`
	URL     string      `json:"url"`
	Headers [][2]string `json:"headers"`
}

// responseHead has names in lower case and sorted; values of one name keep their order.
func responseHead(res *http.Response) response {
	out := response{Status: res.StatusCode, Headers: [][2]string{}}
	if res.Request != nil && res.Request.URL != nil {
		out.URL = res.Request.URL.String()
	}
	for name, values := range res.Header {
		for _, v := range values {
			out.Headers = append(out.Headers, [2]string{strings.ToLower(name), headerText(v)})
		}
	}
	slices.SortStableFunc(out.Headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out
}

// headerText is the value of a header as text. One that is not UTF-8 is what headers were before there was any: ISO 8859-1, in which each byte is a character.
func headerText(v string) string {
	if utf8.ValidString(v) {
		return v
	}
	var text strings.Builder
	for _, b := range []byte(v) {
		text.WriteRune(rune(b))
	}
	return text.String()
}

// retryAfter reads the header, in seconds or as a time.
func retryAfter(res *http.Response) time.Duration {
	text := res.Header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return time.Duration(min(n, 24*60*60)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return -1
}

// failure puts an error into words and finds its status.
func (f *Function) failure(ctx context.Context, r *Request, err error) Answer {
	var refused *refusal
	var wrapped *url.Error // which repeats the method and the URL, with what may be secret in it
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case errors.As(err, &refused):
		return refuse(abi.StatusDenied, "denied", "%s", refused)
	case errors.Is(err, errBusy):
		return refuse(abi.StatusBusy, "busy", "%s", err)
	case errors.Is(ctx.Err(), context.Canceled):
		return refuse(abi.StatusTimeout, "canceled", "canceled")
	case ctx.Err() != nil:
		return refuse(abi.StatusTimeout, "timeout", "no whole response of %s in time", r.URL.Host)
	}
	return refuse(abi.StatusUnreachable, "unreachable", "%s %s://%s: %.500s", r.Method, r.URL.Scheme, r.URL.Host, err)
}

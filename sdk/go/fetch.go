package evoke

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// FetchRequest is an HTTP request for Fetch. All but the URL may be left out.
type FetchRequest struct {
	// Method is GET when it is empty.
	Method string
	URL    string
	// Headers are pairs of name and value.
	Headers [][2]string
	Body    []byte
	// Timeout is how long it may take until the whole response is there; 0 = as long as the context, or the event.
	Timeout time.Duration
	// MaxBytes is what the body of the response may have; 0 = 10 MiB, the most that is possible.
	MaxBytes int
	// NoRedirect returns a response that redirects. Else at most five of them are followed, each checked as the URL was.
	NoRedirect bool
	// Event says for which event of a batch it is: its trace goes on, and its Idempotency-Key is the same when the event comes again in another batch. A Handler need not say it.
	Event *Event
}

// FetchResponse is the response to a FetchRequest, whatever its status is.
type FetchResponse struct {
	Status int
	// URL is where the last redirect led.
	URL string
	// Headers are sorted by name, in lower case.
	Headers [][2]string
	Body    []byte
}

// Header is the first value of a header, in any case of its name; "" when it is not there.
func (r *FetchResponse) Header(name string) string { return first(r.Headers, strings.ToLower(name)) }

// Fetch sends an HTTP request and waits for the whole response. Meanwhile other goroutines of the function go on, and may fetch as well. The manifest lists the hosts that a function may
// send requests to, under allow: { http: [api.stripe.com] }. Requests that change something get an Idempotency-Key, unless they have one: each attempt of an event repeats it.
//
// An error means that there is no response: ErrDenied, ErrInvalid, ErrTooLarge, ErrBusy, ErrUnreachable, or the context's. Package evokehttp has a client of net/http.
func Fetch(ctx context.Context, r FetchRequest) (*FetchResponse, error) {
	event := eventOf(ctx, r.Event)
	ctx, err := r.endsWith(ctx)
	if err != nil {
		return nil, fetchError(&r, "", err)
	}
	h := host.Call(abi.OpHTTPFetch, r.encode(event))
	if h < 0 {
		return nil, fetchError(&r, "", statusError(h))
	}
	status, err := host.Await(ctx, h)
	if !errors.Is(err, host.ErrGone) {
		defer host.CallClose(h)
	}
	if err != nil {
		return nil, fetchError(&r, "", err)
	}
	answer, err := host.Answer(h)
	switch {
	case err != nil:
		return nil, fetchError(&r, "", err)
	case status != abi.StatusOK:
		return nil, fetchError(&r, string(answer), statusError(status))
	}
	return decodeResponse(answer)
}

// endsWith gives a request no more time than the context has, and returns what can still end it. The context of the handler can not: the runtime ends the event itself.
func (r *FetchRequest) endsWith(ctx context.Context) (context.Context, error) {
	if _, plain := ctx.(*delivery); plain {
		return context.Background(), nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if at, ok := ctx.Deadline(); ok {
		if left := time.Until(at); r.Timeout <= 0 || left < r.Timeout {
			r.Timeout = max(left, time.Millisecond)
		}
	}
	return ctx, nil
}

// eventOf is the place of the event that a request is for; -1 = all of the delivery.
func eventOf(ctx context.Context, e *Event) int32 {
	if e != nil {
		return e.received - 1
	}
	if ev, ok := ctx.Value(deliveredKey{}).(int32); ok {
		return ev
	}
	return -1
}

// encode is docs/abi.md section 8.
func (r *FetchRequest) encode(event int32) []byte {
	b := make([]byte, 4, 256+len(r.URL)+len(r.Body))
	b = appendString(append(b, `{"url":`...), r.URL)
	if r.Method != "" {
		b = appendString(append(b, `,"method":`...), r.Method)
	}
	for i, h := range r.Headers {
		if i == 0 {
			b = append(b, `,"headers":[[`...)
		} else {
			b = append(b, `],[`...)
		}
		b = appendString(append(appendString(b, h[0]), ','), h[1])
	}
	if len(r.Headers) > 0 {
		b = append(b, `]]`...)
	}
	if r.Timeout > 0 {
		b = strconv.AppendInt(append(b, `,"timeoutMs":`...), max(r.Timeout.Milliseconds(), 1), 10)
	}
	if r.MaxBytes != 0 {
		b = strconv.AppendInt(append(b, `,"maxBytes":`...), int64(r.MaxBytes), 10)
	}
	if r.NoRedirect {
		b = append(b, `,"redirect":"manual"`...)
	}
	if event >= 0 {
		b = strconv.AppendInt(append(b, `,"event":`...), int64(event), 10)
	}
	b = append(b, '}')
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return append(b, r.Body...)
}

func decodeResponse(answer []byte) (*FetchResponse, error) {
	n := binary.LittleEndian.Uint32(answer)
	var head struct {
		Status  int         `json:"status"`
		URL     string      `json:"url"`
		Headers [][2]string `json:"headers"`
	}
	if err := json.Unmarshal(answer[4:4+n], &head); err != nil {
		return nil, &opError{op: "read a response", err: err}
	}
	return &FetchResponse{Status: head.Status, URL: head.URL, Headers: head.Headers, Body: answer[4+n:]}, nil
}

func statusError(status int32) error {
	switch status {
	case abi.StatusInvalid:
		return ErrInvalid
	case abi.StatusDenied:
		return ErrDenied
	case abi.StatusTooLarge, abi.TooLarge:
		return ErrTooLarge
	case abi.StatusBusy:
		return ErrBusy
	case abi.StatusUnreachable:
		return ErrUnreachable
	case abi.StatusTimeout:
		return context.DeadlineExceeded
	case abi.Closed:
		return errors.New("the event is over")
	}
	return errors.New("status " + strconv.Itoa(int(status)))
}

// fetchError leaves the query of the URL out: it may be a secret, and the error goes into logs.
func fetchError(r *FetchRequest, text string, err error) error {
	if text == "" && errors.Is(err, ErrTooLarge) {
		text = "a request has at most 1 MiB, and 64 calls can be open"
	}
	at, _, _ := strings.Cut(r.URL, "?")
	return &opError{"fetch", at, text, err}
}

package evoke

import (
	"encoding/json"
	"sort"
	"strconv"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// Reply answers an event. A caller that waits gets it: the HTTP client, or `fnctl invoke`. For the event of a topic it is kept in the history only.
// The zero value is an empty reply.
type Reply struct {
	// Status is the HTTP status, 200 to 599. 0 means 200, or 204 without data. Only for HTTP requests.
	Status int
	// Header are more headers, only for HTTP requests.
	Header map[string]string
	// Headers come after those of Header, in this order. A name may come more than once, as Set-Cookie does.
	Headers [][2]string
	// ContentType of Data. Without one the runtime looks at the data: JSON, UTF-8 text or bytes.
	ContentType string
	// Data is the body, at most 1 MiB.
	Data []byte

	err error
}

// JSON replies with the JSON form of v. What cannot be encoded fails the event.
func JSON(v any) Reply {
	b, err := json.Marshal(v)
	if err != nil {
		err = &opError{op: "encode the reply", err: err}
	}
	return Reply{ContentType: "application/json", Data: b, err: err}
}

// Text replies with plain text.
func Text(s string) Reply {
	return Reply{ContentType: "text/plain; charset=utf-8", Data: []byte(s)}
}

// NoReply replies with nothing.
func NoReply() Reply { return Reply{} }

// WithStatus returns the reply with another HTTP status.
func (r Reply) WithStatus(status int) Reply {
	r.Status = status
	return r
}

// WithHeader returns the reply with one more header.
func (r Reply) WithHeader(name, value string) Reply {
	h := map[string]string{name: value}
	for n, v := range r.Header {
		if n != name {
			h[n] = v
		}
	}
	r.Header = h
	return r
}

func (r Reply) send(e *Event) error {
	if r.err != nil {
		return r.err
	}
	if meta := r.meta(e); meta != nil {
		if err := replyError(host.Reply(abi.ReplyJSON, meta)); err != nil {
			return err
		}
	}
	if len(r.Data) == 0 {
		return nil
	}
	return replyError(host.Reply(abi.ReplyData, r.Data))
}

func replyError(result int32) error {
	switch {
	case result >= 0:
		return nil
	case result == abi.TooLarge:
		return &opError{op: "reply", err: ErrTooLarge, help: "a reply has at most 1 MiB"}
	default:
		return &opError{op: "reply", err: ErrInvalid, help: "a status is 200 to 599"}
	}
}

// meta is the JSON of the reply, nil when there is nothing to say.
func (r Reply) meta(e *Event) []byte {
	b := make([]byte, 0, 256)
	if host.EventLen(e.received-1, abi.PartRequest) < 0 {
		if r.ContentType == "" {
			return nil
		}
		return append(appendString(append(b, `{"datacontenttype":`...), r.ContentType), '}')
	}
	b = append(b, '{')
	if r.Status != 0 {
		b = append(b, `"status":`...)
		b = append(strconv.AppendInt(b, int64(r.Status), 10), ',')
	}
	b = append(b, `"headers":[`...)
	if r.ContentType != "" {
		b = appendPair(b, "content-type", r.ContentType)
	}
	if len(r.Header) > 0 {
		names := make([]string, 0, len(r.Header))
		for name := range r.Header {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			b = appendPair(b, name, r.Header[name])
		}
	}
	for _, h := range r.Headers {
		b = appendPair(b, h[0], h[1])
	}
	return append(b, ']', '}')
}

func appendPair(b []byte, name, value string) []byte {
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}
	b = append(appendString(append(b, '['), name), ',')
	return append(appendString(b, value), ']')
}

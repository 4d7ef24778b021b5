package evoke

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
)

// Typed makes a Handler of a function that takes the data of the event as a value of its own type:
//
//	func init() { evoke.Handle(evoke.Typed(charge)) }
//
//	func charge(ctx context.Context, e *evoke.Event, o Order) (evoke.Reply, error)
//
// It is the reverse of NewEvent: T is []byte for the data as it came, string for a text, or anything that encoding/json can decode. Fields that T does not have are passed over.
//
// Data that does not fit does not get better when it is tried again. So the event is rejected, and h is not called: it becomes a dead letter, and an HTTP client gets 422.
func Typed[T any](h func(ctx context.Context, e *Event, data T) (Reply, error)) Handler {
	if h == nil {
		panic("evoke.Typed: the handler is nil")
	}
	return func(ctx context.Context, e *Event) (Reply, error) {
		var data T
		if err := e.decodeTyped(&data); err != nil {
			return Reply{}, Reject(err)
		}
		return h(ctx, e, data)
	}
}

// decodeTyped reads the data into what v points to.
func (e *Event) decodeTyped(v any) error {
	switch v := v.(type) {
	case *[]byte:
		*v = e.Data()
		return nil
	case *string:
		if !isJSONType(e.DataContentType) {
			*v = string(e.Data())
			return nil
		}
	}
	if len(e.Data()) == 0 {
		return &opError{op: "decode the data of event", name: e.ID, err: errors.New("there is none")}
	}
	err := json.Unmarshal(e.Data(), v)
	if err == nil {
		return nil
	}
	help := ""
	if errors.As(err, new(*json.SyntaxError)) && e.DataContentType != "" && !isJSONType(e.DataContentType) {
		help = "it says that it is " + e.DataContentType
	}
	return &opError{"decode the data of event", e.ID, help, err}
}

// isJSONType says whether a content type is application/json or one that ends in +json, whatever its parameters are.
func isJSONType(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	return t == "application/json" || strings.HasSuffix(t, "+json")
}

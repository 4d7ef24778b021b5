//go:build !wasip1

package evoke

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"
)

// sent is the head of a request as the runtime reads it, and the body.
func sent(t *testing.T, raw []byte) (head map[string]any, body string) {
	t.Helper()
	n := binary.LittleEndian.Uint32(raw)
	if err := json.Unmarshal(raw[4:4+n], &head); err != nil {
		t.Fatalf("%s: %v", raw[4:4+n], err)
	}
	return head, string(raw[4+n:])
}

func TestRequestsAreWritten(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		r     FetchRequest
		event int32
		want  string
		body  string
	}{
		"nothing but a URL": {FetchRequest{URL: "https://a.example"}, -1, `{"url":"https://a.example"}`, ""},
		"everything": {
			FetchRequest{Method: "POST", URL: `https://a.example/"`, Headers: [][2]string{{"A", `"1"`}, {"B", "2\n"}}, Body: []byte("{}"), Timeout: 1500 * time.Microsecond, MaxBytes: 7, NoRedirect: true}, 3,
			`{"url":"https://a.example/\"","method":"POST","headers":[["A","\"1\""],["B","2\n"]],"timeoutMs":1,"maxBytes":7,"redirect":"manual","event":3}`, "{}",
		},
		"a short time is not none": {FetchRequest{URL: "u", Timeout: 1}, 0, `{"url":"u","timeoutMs":1,"event":0}`, ""},
	} {
		var want map[string]any
		if err := json.Unmarshal([]byte(tc.want), &want); err != nil {
			t.Fatal(err)
		}
		if got, body := sent(t, tc.r.encode(tc.event)); !reflect.DeepEqual(got, want) || body != tc.body {
			t.Errorf("%s: %v, %q", name, got, body)
		}
	}
}

// Which event of a batch a request is for is what it says, else the one whose handler runs.
func TestTheEventOfARequest(t *testing.T) {
	t.Parallel()
	handler, batch := &delivery{event: 2}, &delivery{event: -1}
	made, cancel := context.WithCancel(context.WithValue(handlerContext{handler}, key{}, 1))
	defer cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		e    *Event
		want int32
	}{
		"of a handler":               {handler, nil, 2},
		"of a context made of its":   {made, nil, 2},
		"of a batch":                 {batch, nil, -1},
		"that is named":              {batch, &Event{received: 5}, 4},
		"that was made here is none": {batch, NewEvent("t", nil), -1},
		"without a handler":          {context.Background(), nil, -1},
	} {
		if got := eventOf(tc.ctx, tc.e); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

type key struct{}

// handlerContext is a delivery without the runtime behind it, which has no deadline.
type handlerContext struct{ *delivery }

func (handlerContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (handlerContext) Done() <-chan struct{}       { return nil }
func (handlerContext) Err() error                  { return nil }

// FuzzRequest: whatever a handler puts into a request, what is sent is a head of JSON and the body.
func FuzzRequest(f *testing.F) {
	f.Add("https://a.example/b?c", "POST", "Name", "value", []byte("body"), int64(1e9))
	f.Add("\xff\x00\"\\", "\n", "", "\u2028", []byte{}, int64(-1))
	f.Fuzz(func(t *testing.T, url, method, name, value string, body []byte, timeout int64) {
		r := FetchRequest{URL: url, Method: method, Headers: [][2]string{{name, value}}, Body: body, Timeout: time.Duration(timeout)}
		head, rest := sent(t, r.encode(0))
		if rest != string(body) || utf8.ValidString(url) && head["url"] != url {
			t.Errorf("%v, %q", head, rest)
		}
	})
}

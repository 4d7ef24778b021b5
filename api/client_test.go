package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// serve starts a server and a client of it.
func serve(t *testing.T, h http.HandlerFunc) *api.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := api.NewClient(api.ClientOptions{Server: server.URL, Token: "secret", HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Each call: what goes over the wire, and what comes back.
func TestCalls(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, tc := range []struct {
		name   string
		call   func(*api.Client) (any, error)
		want   string // method, escaped path and query, content type, body
		answer string
		value  any
	}{
		{
			"version", func(c *api.Client) (any, error) { return c.Version(ctx) },
			"GET /api/v1/version", `{"version":"1"}`, api.Version{Version: "1"},
		},
		{
			"has module", func(c *api.Client) (any, error) { return c.HasModule(ctx, "sha256:ab") },
			"HEAD /api/v1/modules/sha256:ab", "", true,
		},
		{
			"put module", func(c *api.Client) (any, error) { return nil, c.PutModule(ctx, "sha256:ab", []byte("wasm")) },
			"PUT /api/v1/modules/sha256:ab application/wasm wasm", "", nil,
		},
		{
			"deploy", func(c *api.Client) (any, error) {
				return c.Deploy(ctx, "n", "shop", api.App{Functions: map[string]api.FunctionSpec{"f": {Module: "sha256:ab"}}})
			},
			`PUT /api/v1/ns/n/apps/shop application/json {"functions":{"f":{"module":"sha256:ab","allow":{}}}}`,
			`{"app":"shop"}`, api.Deployed{App: "shop"},
		},
		{
			"functions", func(c *api.Client) (any, error) { return c.Functions(ctx, "n") },
			"GET /api/v1/ns/n/functions", `[{"name":"f"}]`, []api.Function{{Name: "f"}},
		},
		{
			"function with an odd name", func(c *api.Client) (any, error) { return c.Function(ctx, "n", "a/../b c?") },
			"GET /api/v1/ns/n/functions/a%2F..%2Fb%20c%3F", `{"name":"f"}`, api.Function{Name: "f"},
		},
		{
			"function named ..", func(c *api.Client) (any, error) { return c.Function(ctx, "n", "..") },
			"GET /api/v1/ns/n/functions/%2E%2E", `{"name":"f"}`, api.Function{Name: "f"},
		},
		{
			"delete function", func(c *api.Client) (any, error) { return nil, c.DeleteFunction(ctx, "n", "f") },
			"DELETE /api/v1/ns/n/functions/f", "", nil,
		},
		{
			"invoke", func(c *api.Client) (any, error) {
				return c.Invoke(ctx, "n", "f", api.InvokeRequest{Event: []byte(`{"type":"t"}`), Async: true})
			},
			`POST /api/v1/ns/n/functions/f/invoke application/json {"event":{"type":"t"},"async":true}`,
			`{"invocation":"i","data":"aGk=","attempt":1,"duration":"2ms","bill":{"wallNs":1,"guestNs":2,"fuel":3,"peakMemoryBytes":4,"bytesIn":5,"bytesOut":6,"hostCalls":7}}`,
			api.InvokeReply{Invocation: "i", Data: []byte("hi"), Attempt: 1, Duration: api.Duration(2 * time.Millisecond), Bill: api.Bill{Wall: 1, Guest: 2, Fuel: 3, PeakMemory: 4, BytesIn: 5, BytesOut: 6, HostCalls: 7}},
		},
		{
			"triggers", func(c *api.Client) (any, error) { return c.Triggers(ctx, "n") },
			"GET /api/v1/ns/n/triggers", `[]`, []api.Trigger{},
		},
		{
			"trigger", func(c *api.Client) (any, error) { return c.Trigger(ctx, "n", "f:a.b") },
			"GET /api/v1/ns/n/triggers/f:a.b", `{"name":"f:a.b"}`, api.Trigger{Name: "f:a.b"},
		},
		{
			"run trigger", func(c *api.Client) (any, error) { return c.RunTrigger(ctx, "n", "f:cron:2") },
			"POST /api/v1/ns/n/triggers/f:cron:2/run", `{"trigger":"f:cron:2","invocation":"1-2-3"}`, api.TriggerRun{Trigger: "f:cron:2", Invocation: "1-2-3"},
		},
		{
			"topics", func(c *api.Client) (any, error) { return c.Topics(ctx, "n") },
			"GET /api/v1/ns/n/topics", `[]`, []api.Topic{},
		},
		{
			"topic", func(c *api.Client) (any, error) { return c.Topic(ctx, "n", "a.b") },
			"GET /api/v1/ns/n/topics/a.b", `{"name":"a.b"}`, api.Topic{Name: "a.b"},
		},
		{
			"delete topic", func(c *api.Client) (any, error) { return nil, c.DeleteTopic(ctx, "n", "a.b") },
			"DELETE /api/v1/ns/n/topics/a.b", "", nil,
		},
		{
			"publish", func(c *api.Client) (any, error) { return c.Publish(ctx, "n", "a.b", api.EventJSON, []byte("{}")) },
			"POST /api/v1/ns/n/topics/a.b/events application/cloudevents+json {}",
			`{"events":[{"id":"1","partition":2,"offset":3,"duplicate":true}]}`,
			api.Published{Events: []api.PublishedEvent{{ID: "1", Partition: 2, Offset: 3, Duplicate: true}}},
		},
		{
			"dead letters", func(c *api.Client) (any, error) { return c.DeadLetters(ctx, "n", "f:a.b", 5) },
			"GET /api/v1/ns/n/deadletters?limit=5&trigger=f%3Aa.b", `[{"id":"d"}]`, []api.DeadLetter{{ID: "d"}},
		},
		{
			"dead letter", func(c *api.Client) (any, error) { return c.DeadLetter(ctx, "n", "d") },
			"GET /api/v1/ns/n/deadletters/d", `{"id":"d"}`, api.DeadLetter{ID: "d"},
		},
		{
			"redrive", func(c *api.Client) (any, error) {
				return c.Redrive(ctx, "n", api.DeadLetterSelection{IDs: []string{"d"}})
			},
			`POST /api/v1/ns/n/deadletters/redrive application/json {"ids":["d"]}`, `{"changed":1}`, api.DeadLetterResult{Changed: 1},
		},
		{
			"discard", func(c *api.Client) (any, error) {
				return c.Discard(ctx, "n", api.DeadLetterSelection{All: true, Trigger: "t", Reason: "r"})
			},
			`POST /api/v1/ns/n/deadletters/discard application/json {"all":true,"trigger":"t","reason":"r"}`, `{"changed":2}`, api.DeadLetterResult{Changed: 2},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "Bearer secret" {
					t.Errorf("Authorization %q", got)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("Content-Type") + " " + string(body))
				if got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
				io.WriteString(w, tc.answer)
			})
			got, err := tc.call(c)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.value) {
				t.Errorf("got %#v, want %#v", got, tc.value)
			}
		})
	}
}

func TestProblemsComeBackWhole(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"type":"https://evoke.run/problems/conflict","title":"conflict","status":409,"detail":"f is of app b","next":"rename it","faults":[{"field":"functions.f","problem":"it is there","secret":"s"}],"invocation":"i"}`)
	})
	_, err := c.Deploy(context.Background(), "n", "a", api.App{})
	var p *api.Problem
	if !errors.As(err, &p) {
		t.Fatalf("%T: %v", err, err)
	}
	want := api.Problem{Type: "https://evoke.run/problems/conflict", Title: "conflict", Status: 409, Detail: "f is of app b", Next: "rename it", Faults: []api.Fault{{Field: "functions.f", Problem: "it is there", Secret: "s"}}, Invocation: "i"}
	if !reflect.DeepEqual(*p, want) || err.Error() != "f is of app b" {
		t.Errorf("got %+v, %q", *p, err)
	}
}

func TestAnswersOfOthersBecomeProblems(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ contentType, body, want string }{
		{"text/plain", "upstream gone\nmore", "upstream gone"},
		{"text/html", "<html>hello</html>", "bad gateway"},
		{"application/problem+json", "{not json", "{not json"},
		{"application/problem+json", "{}", "bad gateway"},
		{"", "", "bad gateway"},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tc.contentType)
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, tc.body)
		})
		_, err := c.Version(context.Background())
		var p *api.Problem
		if !errors.As(err, &p) || p.Status != http.StatusBadGateway || err.Error() != tc.want {
			t.Errorf("%q: got %T %v, want %q", tc.body, err, err, tc.want)
		}
	}
}

func TestHasModuleTellsAbsentFromForbidden(t *testing.T) {
	t.Parallel()
	status := http.StatusNotFound
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	if has, err := c.HasModule(context.Background(), "sha256:ab"); has || err != nil {
		t.Errorf("404: got %v, %v", has, err)
	}
	status = http.StatusUnauthorized
	var p *api.Problem
	if _, err := c.HasModule(context.Background(), "sha256:ab"); !errors.As(err, &p) || p.Status != status || err.Error() != "unauthorized" {
		t.Errorf("401: got %v", err)
	}
}

// The upload tells how far it is, up to its end.
func TestUploadModuleTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	module := bytes.Repeat([]byte("wasm"), 100_000)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(body, module) || r.ContentLength != int64(len(module)) || r.Method != http.MethodPut {
			t.Errorf("%s of %d bytes, %d in the header, %v", r.Method, len(body), r.ContentLength, err)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	var mu sync.Mutex
	var steps []int
	sent := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, n)
	}
	if err := c.UploadModule(t.Context(), "sha256:ab", module, sent); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(steps) < 2 || !slices.IsSorted(steps) || steps[len(steps)-1] != len(module) {
		t.Errorf("it told of %d steps, the last at %v of %d", len(steps), steps[max(len(steps)-1, 0):], len(module))
	}
}

func TestTransportErrors(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := api.NewClient(api.ClientOptions{Server: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Version(context.Background())
	var u *api.UnreachableError
	if !errors.As(err, &u) || u.Server != server.URL || !strings.HasPrefix(err.Error(), "reach the server at "+server.URL+": dial tcp") {
		t.Errorf("closed server: %T %v", err, err)
	}

	errWhy := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errWhy)
	if _, err := c.Version(ctx); !errors.Is(err, errWhy) || errors.As(err, &u) {
		t.Errorf("canceled: %v", err)
	}
	ctx, stop := context.WithTimeout(context.Background(), -time.Second)
	defer stop()
	if _, err := c.Version(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}

	cut := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"version":`) })
	if _, err := cut.Version(context.Background()); !errors.As(err, &u) || !strings.Contains(err.Error(), "read the answer to /api/v1/version: unexpected EOF") {
		t.Errorf("cut answer: %v", err)
	}
}

func TestNewClientRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ server, token, want string }{
		{"localhost:8081", "", `server "localhost:8081" is not an address like http://127.0.0.1:8081`},
		{"ftp://x", "", `server "ftp://x" is not an address like http://127.0.0.1:8081`},
		{"http://", "", `server "http://" is not an address like http://127.0.0.1:8081`},
		{"", "a\nb", "the token has a space, a line end or another character that a token cannot have"},
	} {
		if _, err := api.NewClient(api.ClientOptions{Server: tc.server, Token: tc.token}); fmt.Sprint(err) != tc.want {
			t.Errorf("%q %q: got %v", tc.server, tc.token, err)
		}
	}
}

func TestServerMayHaveAPathPrefix(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"version":%q}`, r.URL.Path) }))
	t.Cleanup(server.Close)
	c, err := api.NewClient(api.ClientOptions{Server: server.URL + "/evoke/", HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Version(context.Background()); err != nil || v.Version != "/evoke/api/v1/version" {
		t.Errorf("got %v, %v", v, err)
	}
}

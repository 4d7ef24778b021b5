package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// shopGuest is an application of net/http that knows nothing of Evoke, but for its init function.
const shopGuest = `package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	evoke "github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evokehttp"
)

func init() { evoke.Handle(evokehttp.Handler(named(shop()))) }

func main() {}

func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Served-By", "shop")
		next.ServeHTTP(w, r)
	})
}

func shop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /shop/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "order %s for %s of %s, %s", r.PathValue("id"), r.FormValue("as"), r.Host, r.URL.RawQuery)
	})
	mux.HandleFunc("POST /shop/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "b", Value: r.FormValue("name")})
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "2"})
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("POST /shop/upload", func(w http.ResponseWriter, r *http.Request) {
		f, head, err := r.FormFile("f")
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		text, _ := io.ReadAll(f)
		_ = json.NewEncoder(w).Encode(map[string]string{head.Filename: string(text)})
	})
	mux.HandleFunc("/shop/large", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1<<20+1)) })
	mux.HandleFunc("/shop/emit", func(w http.ResponseWriter, r *http.Request) {
		if err := evoke.Emit("bills", evoke.NewEvent("bill", "1")); err != nil {
			panic(err)
		}
		if r.URL.Query().Has("abort") {
			panic(http.ErrAbortHandler)
		}
		http.Error(w, "no", 500)
	})
	return mux
}
`

// typedGuest takes values of its own type.
const typedGuest = `package main

import (
	"context"
	"fmt"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

type Order struct {
	Total int
}

func init() { evoke.Handle(evoke.Typed(bill)) }

func main() {}

func bill(_ context.Context, e *evoke.Event, o Order) (evoke.Reply, error) {
	return evoke.Text(fmt.Sprint(e.Subject, " pays ", o.Total)), nil
}
`

func TestGoHandlers(t *testing.T) {
	t.Parallel()
	a := sharedApp(t)
	a.write(t, "shop/main.go", []byte(shopGuest))
	a.write(t, "bill/main.go", []byte(typedGuest))
	a.deploy(t, `version: 1
app: shop
functions:
  shop:
    source: ./shop
    on:
      - http: { path: "/shop/{rest...}" }
      - topic: { name: orders }
    allow: { emit: [bills] }
    retry: { attempts: 1 }
  bill:
    source: ./bill
    on: [ { http: {} } ]
topics:
  orders: { ingress: true }
  bills: {}
`)
	t.Run("mux", a.testMux)
	t.Run("effects", a.testMuxEffects)
	t.Run("event", a.testMuxEvent)
	t.Run("typed", a.testTyped)
}

func (a *app) testMux(t *testing.T) {
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	multipart := http.Header{"Content-Type": {"multipart/form-data; boundary=B"}}
	file := "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nhello\r\n--B--\r\n"
	for _, test := range []struct {
		method, path string
		header       http.Header
		body         string
		status       int
		want         string
	}{
		{"GET", "/shop/orders/a%2Fb?as=x+y&n=%26", http.Header{"Host": {"shop.example"}}, "", 200, "order a/b for x y of shop.example, as=x+y&n=%26"},
		{"POST", "/shop/login", form, "name=Ada", 201, ""},
		{"POST", "/shop/upload", multipart, file, 200, "{\"a.txt\":\"hello\"}\n"},
		{"POST", "/shop/upload", nil, "x", 400, "request Content-Type isn't multipart/form-data\n"},
		{"GET", "/shop/nothing", nil, "", 404, "404 page not found\n"},
		{"DELETE", "/shop/orders/7", nil, "", 405, "Method Not Allowed\n"},
	} {
		r := a.send(t, test.method, test.path, test.header, []byte(test.body))
		if r.status != test.status || r.body != test.want || r.header.Get("X-Served-By") != "shop" {
			t.Errorf("%s %s: %d %q %v, want %d %q", test.method, test.path, r.status, r.body, r.header, test.status, test.want)
		}
		if cookies := strings.Join(r.header["Set-Cookie"], " "); test.path == "/shop/login" && cookies != "b=Ada a=2" {
			t.Errorf("cookies %q", cookies)
		}
	}
	if r := a.send(t, "HEAD", "/shop/orders/7", nil, nil); r.status != 200 || r.body != "" || r.header.Get("Content-Length") == "" || r.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %+v", r)
	}
	if r := a.send(t, "GET", "/shop/large", nil, nil); r.status != 500 {
		t.Errorf("large: %d %s", r.status, r.body)
	}
	contains(t, a.must(t, "logs", "shop"), "the body of the response is larger than 1 MiB")
}

// A response is done whatever its status is, and what the handler emitted goes out; it does not when the handler aborts.
func (a *app) testMuxEffects(t *testing.T) {
	if r := a.send(t, "GET", "/shop/emit?abort", nil, nil); r.status != 500 || r.body == "no\n" {
		t.Errorf("aborted: %d %s", r.status, r.body)
	}
	contains(t, a.must(t, "logs", "shop"), "the handler aborted the response (http.ErrAbortHandler)")
	if r := a.send(t, "GET", "/shop/emit", nil, nil); r.status != 500 || r.body != "no\n" {
		t.Errorf("500: %d %s", r.status, r.body)
	}
	if out := a.must(t, "topic", "tail", "bills", "-o", "jsonl"); strings.Count(out, `"type":"bill"`) != 1 {
		t.Errorf("the topic bills has\n%s", out)
	}
}

func (a *app) testMuxEvent(t *testing.T) {
	a.publish(t, "orders", newEvent("o1", "order", "", nil))
	gaveUp := a.logs(t, "shop").until(t, "dead letter", func(e api.LogEntry) bool { return e.Next == "dead-letter" })
	contains(t, a.must(t, "dlq", "peek", strings.TrimSpace(a.must(t, "dlq", "ls", "-o", "name"))),
		`event "o1" of type "probe.order" is no HTTP request, and this function is an http.Handler: give it http triggers only`)
	if gaveUp.Attempt.Attempt != 1 {
		t.Errorf("a rejected event was tried %d times", gaveUp.Attempt.Attempt)
	}
}

func (a *app) testTyped(t *testing.T) {
	e := newEvent("o2", "order", "", map[string]any{"total": 12, "more": true})
	e["subject"] = "Ada"
	if r := a.call(t, "bill", e); r.status != 200 || r.body != "Ada pays 12" {
		t.Errorf("%d %s", r.status, r.body)
	}
	e["data"] = map[string]any{"total": "12"}
	if r := a.call(t, "bill", e); r.status != 422 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := a.send(t, "POST", "/fn/bill", nil, nil); r.status != 422 {
		t.Errorf("%d %s", r.status, r.body)
	}
	contains(t, a.must(t, "logs", "bill"), `decode the data of event "o2": json: cannot unmarshal string into Go struct field Order.Total of type int`, ": there is none")
}

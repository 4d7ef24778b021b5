package evoketest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evokehttp"
	"github.com/evoke-run/evoke/sdk/go/evoketest"
)

// deliver runs a handler whose requests h answers. It must be done.
func deliver(t *testing.T, h http.HandlerFunc, handler func(ctx context.Context) error) {
	t.Helper()
	rt := evoketest.Runtime{HTTP: h}
	got := rt.Deliver(func(ctx context.Context, _ *evoke.Event) (evoke.Reply, error) { return evoke.Reply{}, handler(ctx) }, evoke.NewEvent("t", nil))
	if got.Verdict != evoketest.Done {
		t.Errorf("%s: %s", got.Verdict, got.Reason)
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Two", "1")
		w.Header().Add("X-Two", "2")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s%s %s %s %q", r.Method, r.Host, r.URL, r.Header["X-A"], r.Header.Get("Idempotency-Key"), body)
	}
	deliver(t, answer, func(ctx context.Context) error {
		res, err := evoke.Fetch(ctx, evoke.FetchRequest{Method: "POST", URL: "https://api.example/a?b", Headers: [][2]string{{"X-A", `1"`}, {"x-a", "2"}}, Body: []byte("hello")})
		if err != nil {
			return err
		}
		if want := `POST api.example/a?b [1" 2] test-1 "hello"`; res.Status != 418 || string(res.Body) != want || res.URL != "https://api.example/a?b" || res.Header("X-TWO") != "1" || len(res.Headers) != 2 {
			t.Errorf("%+v %s", res, res.Body)
		}
		if res, err = evoke.Fetch(ctx, evoke.FetchRequest{URL: "https://api.example/"}); err != nil || string(res.Body) != `GET api.example/ []  ""` {
			t.Errorf("%s, %v", res.Body, err)
		}
		return nil
	})
}

func TestFetchFollowsRedirectsUnlessItIsNotTo(t *testing.T) {
	t.Parallel()
	answer := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/end", http.StatusFound)
		}
	}
	deliver(t, answer, func(ctx context.Context) error {
		res, err := evoke.Fetch(ctx, evoke.FetchRequest{URL: "https://api.example/"})
		if err != nil || res.Status != 200 || res.URL != "https://api.example/end" {
			t.Errorf("%+v, %v", res, err)
		}
		res, err = evoke.Fetch(ctx, evoke.FetchRequest{URL: "https://api.example/", NoRedirect: true})
		if err != nil || res.Status != 302 || res.Header("location") != "/end" {
			t.Errorf("%+v, %v", res, err)
		}
		return nil
	})
}

// Each of the requests ends only when all have come.
func TestGoroutinesFetchTogether(t *testing.T) {
	t.Parallel()
	const n = 20
	var all sync.WaitGroup
	all.Add(n)
	answer := func(w http.ResponseWriter, r *http.Request) {
		all.Done()
		all.Wait()
		fmt.Fprint(w, r.URL.Path)
	}
	deliver(t, answer, func(ctx context.Context) error {
		errs := make(chan error, n)
		for i := range n {
			go func() {
				path := fmt.Sprint("/", i)
				res, err := evoke.Fetch(ctx, evoke.FetchRequest{URL: "https://api.example" + path})
				if err == nil && string(res.Body) != path {
					err = fmt.Errorf("%s is the answer to %s", res.Body, path)
				}
				errs <- err
			}()
		}
		var err error
		for range n {
			err = errors.Join(err, <-errs)
		}
		return err
	})
}

func TestFetchErrors(t *testing.T) {
	t.Parallel()
	hangs := func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/large") {
			return
		}
		<-r.Context().Done()
	}
	deliver(t, hangs, func(ctx context.Context) error {
		canceled, cancel := context.WithCancel(ctx)
		soon := time.AfterFunc(time.Millisecond, cancel)
		defer soon.Stop()
		short, done := context.WithTimeout(ctx, time.Millisecond)
		defer done()
		over, end := context.WithCancel(ctx)
		end()
		for name, tc := range map[string]struct {
			ctx  context.Context
			r    evoke.FetchRequest
			want error
			text string
		}{
			"its time":      {ctx, evoke.FetchRequest{URL: "https://a.example/?key=s3cret", Timeout: time.Millisecond}, context.DeadlineExceeded, `fetch "https://a.example/": context deadline exceeded; no whole response in time`},
			"the context's": {short, evoke.FetchRequest{URL: "https://a.example/"}, context.DeadlineExceeded, `fetch "https://a.example/": context deadline exceeded`},
			"canceled":      {canceled, evoke.FetchRequest{URL: "https://a.example/"}, context.Canceled, `fetch "https://a.example/": context canceled`},
			"was over":      {over, evoke.FetchRequest{URL: "https://a.example/"}, context.Canceled, `fetch "https://a.example/": context canceled`},
			"no URL":        {ctx, evoke.FetchRequest{URL: "a.example"}, evoke.ErrInvalid, `fetch "a.example": invalid; the URL is neither of http nor of https`},
			"large":         {ctx, evoke.FetchRequest{URL: "https://a.example", Body: make([]byte, 1<<20)}, evoke.ErrTooLarge, `fetch "https://a.example": too large; a request has at most 1 MiB, and 64 calls can be open`},
		} {
			if _, err := evoke.Fetch(tc.ctx, tc.r); !errors.Is(err, tc.want) || !strings.HasPrefix(err.Error(), tc.text) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
	var nobody evoketest.Runtime
	got := nobody.Deliver(func(ctx context.Context, _ *evoke.Event) (evoke.Reply, error) {
		_, err := evoke.Fetch(ctx, evoke.FetchRequest{URL: "https://a.example/"})
		if !errors.Is(err, evoke.ErrUnreachable) {
			t.Errorf("%v", err)
		}
		return evoke.Reply{}, err
	}, evoke.NewEvent("t", nil))
	if got.Reason != `fetch "https://a.example/": unreachable; nobody answers; set evoketest.Runtime.HTTP` {
		t.Error(got.Reason)
	}
}

// What a handler began and did not wait for ends with it.
func TestFetchesEndWithTheirDelivery(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	came := make(chan struct{})
	answer := func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
		close(gone)
	}
	deliver(t, answer, func(ctx context.Context) error {
		go func() { _, _ = evoke.Fetch(ctx, evoke.FetchRequest{URL: "https://a.example/"}) }()
		<-came
		return nil
	})
	<-gone
}

func TestClientOfNetHTTP(t *testing.T) {
	t.Parallel()
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "https://other.example/end", http.StatusTemporaryRedirect)
		case "/large":
			_, _ = w.Write(make([]byte, 11<<20))
		default:
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "%s %s%s %s auth=%s", r.Method, r.Host, r.URL, body, r.Header.Get("Authorization"))
		}
	}
	deliver(t, answer, func(ctx context.Context) error {
		post := func(url string, body io.Reader) (*http.Response, string, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
			if err != nil {
				return nil, "", err
			}
			req.Header.Set("Authorization", "Bearer x")
			req.Header.Set("Connection", "keep-alive")
			res, err := evokehttp.Client.Do(req)
			if err != nil {
				return nil, "", err
			}
			defer res.Body.Close() //nolint:errcheck // it is in memory
			text, err := io.ReadAll(res.Body)
			return res, string(text), err
		}
		res, text, err := post("https://api.example/a", strings.NewReader("hello"))
		if err != nil || res.StatusCode != 200 || text != "POST api.example/a hello auth=Bearer x" || res.Header.Get("Content-Type") != "text/plain" || res.ContentLength != int64(len(text)) {
			t.Errorf("%+v, %s, %v", res, text, err)
		}
		if res, text, err = post("https://api.example/redirect", strings.NewReader("hello")); err != nil || text != "POST other.example/end hello auth=" || res.Request.URL.Host != "other.example" {
			t.Errorf("%+v, %s, %v", res, text, err)
		}
		if _, _, err = post("https://api.example/large", nil); !errors.Is(err, evoke.ErrTooLarge) {
			t.Errorf("%v", err)
		}
		if _, _, err = post("https://api.example/", strings.NewReader(strings.Repeat("x", 1<<20+1))); !errors.Is(err, evoke.ErrTooLarge) || !strings.Contains(err.Error(), "the body of the request is larger than 1 MiB") {
			t.Errorf("%v", err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example/", nil)
		if err != nil {
			return err
		}
		req.Host = "inside.example"
		if _, err = (evokehttp.Transport{}).RoundTrip(req); err == nil || err.Error() != `the Host "inside.example" is not that of the URL, "api.example"; a function cannot send another one` {
			t.Errorf("%v", err)
		}
		return nil
	})
}

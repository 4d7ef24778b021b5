package server

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/scheduler"
)

// A body in chunks does not say how long it is.
func TestChunkedBodies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	calls := b.replying(scheduler.Reply{})
	for size, want := range map[int]int{0: 204, 1: 204, 4 << 10: 204, 300_000: 204, maxBody: 204, maxBody + 1: 413} {
		// hidden from the client, the length is not announced
		req, err := http.NewRequestWithContext(t.Context(), "POST", b.gateway+"/fn/hello", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", size))})
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d bytes: status %d", size, res.StatusCode)
		}
		if want != 204 {
			continue
		}
		if c := <-calls; len(c.Event.Data) != size {
			t.Errorf("%d of %d bytes arrived", len(c.Event.Data), size)
		}
	}
	if n := b.bodies.held.Load(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

func TestBodiesShareABound(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.MaxBuffered = 100_000 })
	b.deployShop()
	b.replying(scheduler.Reply{})
	if p := b.do("POST", b.gateway+"/fn/hello", strings.Repeat("x", 200_000)).problem(t); p.Status != 429 || !strings.HasSuffix(p.Type, "/busy") {
		t.Errorf("%+v", p)
	}
	if got := b.do("POST", b.gateway+"/fn/hello", strings.Repeat("x", 50_000)); got.status != 204 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestBodyThatEndsEarly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	c := dial(t, b.gateway)
	if _, err := io.WriteString(c, "POST /fn/hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 400 || !strings.Contains(string(text), "the body ended early") {
		t.Errorf("%d %s %v", res.StatusCode, text, err)
	}
}

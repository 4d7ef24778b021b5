package server

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/scheduler"
)

// counted is the value of evoke_http_requests_total.
func (b *bundle) counted(side, route, code string) float64 {
	b.t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			l := m.GetLabel() // sorted by name
			if f.GetName() == "evoke_http_requests_total" && l[0].GetValue() == code && l[1].GetValue() == route && l[2].GetValue() == side {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestDrainWaitsForRequestsInFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	running, finish := make(chan struct{}), make(chan struct{})
	b.call = func(ctx context.Context, _ scheduler.Call) (scheduler.Reply, error) {
		close(running)
		<-finish
		return scheduler.Reply{Data: []byte("done")}, ctx.Err()
	}
	// A connection of our own, kept open, to see what a request on it gets during the drain.
	conn := dial(t, b.gateway)
	got := make(chan answer, 1)
	var client sync.WaitGroup
	client.Go(func() { got <- b.do("GET", b.gateway+"/fn/hello", "") })
	<-running
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	<-b.streams.Done()                                                            // the drain has begun
	if status, header := conn.get(t, "/fn/hello"); status != 503 && status != 0 { // 0: idle connections may already be closed
		t.Errorf("a request during the drain got %d %v", status, header)
	}
	close(finish)
	if a := <-got; a.status != 200 || a.body != "done" {
		t.Errorf("the request in flight got %d %s", a.status, a.body)
	}
	client.Wait()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(b.gateway, "http://")); err == nil {
		t.Error("the gateway still listens")
	}
}

func TestDrainRefusesNewRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.gate.mu.Lock()
	b.gate.closed = true // as drain does first, before the listeners close
	b.gate.mu.Unlock()
	got := b.do("GET", b.gateway+"/fn/hello", "")
	if p := got.problem(t); p.Status != 503 || p.Detail != "the server is stopping" || got.header.Get("Retry-After") != "5" {
		t.Errorf("%+v %v", p, got.header)
	}
	if p := b.do("GET", b.admin+"/readyz", "").problem(t); p.Status != 503 || !strings.HasSuffix(p.Type, "draining") {
		t.Errorf("readyz: %+v", p)
	}
	if got := b.do("GET", b.admin+"/healthz", ""); got.status != 200 {
		t.Errorf("healthz: %d", got.status)
	}
}

func TestDrainCutsOffWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.DrainTimeout = 20 * time.Millisecond })
	b.deployShop()
	running := make(chan struct{})
	b.call = func(ctx context.Context, _ scheduler.Call) (scheduler.Reply, error) {
		close(running)
		<-ctx.Done()
		return scheduler.Reply{}, ctx.Err()
	}
	got := make(chan answer, 1)
	go func() { got <- b.do("GET", b.gateway+"/fn/hello", "") }()
	<-running
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	if p := (<-got).problem(t); p.Status != 503 || !strings.HasSuffix(p.Type, "draining") {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(b.logged.String(), "requests cut off") {
		t.Errorf("logged %s", b.logged.String())
	}
}

func TestRunReportsAListenerThatBreaks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.o.Gateway.Close()
	<-b.ended
	if err := b.stopAndIgnore(); err == nil || !strings.Contains(err.Error(), "serve HTTP") {
		t.Errorf("got %v", err)
	}
}

// stopAndIgnore returns Run's error without failing the test for it.
func (b *bundle) stopAndIgnore() error {
	err := b.stop()
	b.stop = func() error { return nil }
	return err
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Ready = func() error { return errors.New("3 of 16 partitions are replaying") } })
	if p := b.do("GET", b.admin+"/readyz", "").problem(t); p.Status != 503 || p.Detail != "3 of 16 partitions are replaying" {
		t.Errorf("%+v", p)
	}
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.call = func(context.Context, scheduler.Call) (scheduler.Reply, error) { panic("boom") }
	p := b.do("GET", b.gateway+"/fn/hello", "").problem(t)
	if p.Status != 500 || !strings.HasSuffix(p.Type, "internal") || strings.Contains(p.Detail, "boom") {
		t.Errorf("%+v", p)
	}
	if log := b.logged.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "boom") || !strings.Contains(log, "function.go") {
		t.Errorf("logged %s", log)
	}
}

func TestMetricsCountByRoute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deployShop()
	b.replying(scheduler.Reply{})
	b.do("GET", b.gateway+"/fn/hello/a", "")
	b.do("GET", b.gateway+"/fn/hello/b", "")
	b.do("GET", b.gateway+"/fn/nobody/c", "")
	b.do("GET", b.gateway+"/elsewhere", "")
	text := b.do("GET", b.admin+"/metrics", "").body
	for _, want := range []string{
		`evoke_http_requests_total{code="204",route="/fn/:function/*",side="gateway"} 2`,
		`evoke_http_requests_total{code="404",route="/fn/:function/*",side="gateway"} 1`,
		`evoke_http_requests_total{code="404",route="/*",side="gateway"} 1`,
		`evoke_http_request_duration_seconds_count{route="/fn/:function/*",side="gateway"} 3`,
		`evoke_http_buffered_bytes 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, grep(text, "evoke_http"))
		}
	}
}

func grep(text, word string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// rawConn is a connection whose requests are written by hand.
type rawConn struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, base string) rawConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return rawConn{c, bufio.NewReader(c)}
}

// get answers status 0 for a connection that is closed.
func (c rawConn) get(t *testing.T, path string) (int, http.Header) {
	t.Helper()
	if _, err := c.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		return 0, nil
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header
}

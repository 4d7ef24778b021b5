package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// app is a namespace of a runtime and the directory of its fn.yaml.
type app struct {
	rt    *process
	ns    string
	dir   string
	token string
}

// newApp is an app in the default namespace of a runtime.
func newApp(t testing.TB, rt *process) *app { return &app{rt: rt, ns: "default", dir: t.TempDir()} }

// shared is the runtime of all tests that need none of their own.
var shared sharedRuntime

type sharedRuntime struct {
	once sync.Once
	rt   *process
	err  error
	apps atomic.Int32
}

// sharedApp is an app in a new namespace of the shared runtime.
func sharedApp(t testing.TB) *app {
	t.Helper()
	shared.once.Do(shared.start)
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("stderr of the shared runtime:\n%s", shared.rt.stderr)
		}
	})
	return &app{rt: shared.rt, ns: fmt.Sprintf("test-%d", shared.apps.Add(1)), dir: t.TempDir()}
}

func (s *sharedRuntime) start() {
	dir := filepath.Join(filepath.Dir(programs.compiled), "shared")
	if s.err = makeDataDir(dir); s.err != nil {
		return
	}
	if s.rt, s.err = newProcess(dir, ""); s.err != nil {
		return
	}
	s.err = s.rt.waitReady()
}

// stop ends the shared runtime, if there is one, and judges what it did.
func (s *sharedRuntime) stop() error {
	if s.rt == nil {
		return nil
	}
	defer s.rt.kill()
	if err := s.rt.terminate(); err != nil {
		return fmt.Errorf("stop the shared runtime: %w\n%s", err, s.rt.stderr)
	}
	return s.rt.stderr.fault()
}

// write puts a file into the app's directory.
func (a *app) write(t testing.TB, name string, content []byte) {
	t.Helper()
	path := filepath.Join(a.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// deploy writes fn.yaml and deploys it. The probe's source is there as ./probe.
func (a *app) deploy(t testing.TB, manifest string) {
	t.Helper()
	if r := a.tryDeploy(t, manifest); r.code != 0 {
		t.Fatalf("fnctl deploy: %s", r)
	}
}

func (a *app) tryDeploy(t testing.TB, manifest string) result {
	t.Helper()
	a.write(t, "fn.yaml", []byte(manifest))
	if !strings.Contains(manifest, "source: ./probe") {
		return a.fnctl(t, "deploy")
	}
	a.writeProbe(t)
	var first *result
	probeOnce.Do(func() {
		r := a.fnctl(t, "deploy")
		first = &r
	})
	if first != nil {
		return *first
	}
	return a.fnctl(t, "deploy")
}

// probeOnce lets one deploy of the probe go ahead, so that the others find it built and compiled.
var probeOnce sync.Once

func (a *app) writeProbe(t testing.TB) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("testdata", "probe", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, "probe/main.go", source)
}

// response is an answer of the gateway or the management API.
type response struct {
	status  int
	header  http.Header
	body    string
	problem api.Problem // of an application/problem+json
}

// send does one request of the gateway, below the app's namespace.
func (a *app) send(t testing.TB, method, path string, header http.Header, body []byte) response {
	t.Helper()
	return send(t, method, a.rt.gateway+"/@"+a.ns+path, header, body)
}

func send(t testing.TB, method, url string, header http.Header, body []byte) response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Host = header.Get("Host")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	r := response{status: res.StatusCode, header: res.Header, body: string(text)}
	if res.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(text, &r.problem); err != nil {
			t.Fatalf("%s %s answered %q: %v", method, url, text, err)
		}
	}
	return r
}

// publish sends events to a topic; each must be stored.
func (a *app) publish(t testing.TB, topic string, events ...event) {
	t.Helper()
	batch, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	r := a.send(t, "POST", "/topics/"+topic, http.Header{"Content-Type": {api.EventBatchJSON}}, batch)
	if r.status != http.StatusAccepted {
		t.Fatalf("publish to %s: %d %s", topic, r.status, r.body)
	}
}

// call sends one event to a function over HTTP.
func (a *app) call(t testing.TB, function string, e event) response {
	t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return a.send(t, "POST", "/fn/"+function, http.Header{"Content-Type": {api.EventJSON}}, body)
}

// event is a structured CloudEvent.
type event map[string]any

// newEvent is one of type probe.<op>; key "" is none.
func newEvent(id, op, key string, data any) event {
	e := event{"specversion": "1.0", "id": id, "source": "/e2e", "type": "probe." + op}
	if key != "" {
		e["partitionkey"] = key
	}
	if data != nil {
		e["data"] = data
	}
	return e
}

// client is the management API.
func (a *app) client(t testing.TB) *api.Client {
	t.Helper()
	c, err := api.NewClient(api.ClientOptions{Server: a.rt.admin, Token: a.token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// errGone ends the wait of eventually early: what it waits for cannot come any more.
var errGone = errors.New("it cannot come any more")

// eventually is the one place that asks again and again, for what no stream tells. It ends when check answers nil.
func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if errors.Is(err, errGone) {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("no %s after %s: %v", what, patience, err)
		}
	}
}

// contains checks that a text says everything it should, and shows all of it when not.
func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

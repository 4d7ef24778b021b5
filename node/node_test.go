package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

// pebbleTicker is what pebble leaves behind when it cannot open a database; one that is open and was not closed has more goroutines than this.
const pebbleTicker = "github.com/cockroachdb/pebble/v2/vfs.(*diskHealthCheckingFS).startTickerLocked.func1"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(pebbleTicker)) }

// freeConfig is for a node on free ports.
func freeConfig(dir string) Config {
	c := NewConfig()
	c.DataDir, c.Listen, c.Admin = dir, "127.0.0.1:0", "127.0.0.1:0"
	return c
}

// testNode is a node that serves.
type testNode struct {
	*Node
	client *api.Client
	log    *lockedBuffer
	stop   func() error // ends Run and answers what it did; once
}

// lockedBuffer is what a node logs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a node and stops it with the test.
func serve(t *testing.T, c Config) *testNode {
	t.Helper()
	log := &lockedBuffer{}
	n, err := New(t.Context(), c, NewLogger(c, log))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // gets what Run answers
	go func() { ended <- n.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v\n%s", err, log)
		}
	})
	// Connections wait until the node serves, so the first call needs no other signal.
	client, err := api.NewClient(adminOf(t, n, c))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &testNode{Node: n, client: client, log: log, stop: stop}
}

// adminOf is how a client reaches the management API of a node.
func adminOf(t *testing.T, n *Node, c Config) api.ClientOptions {
	t.Helper()
	if c.AdminTLSCert == "" {
		return api.ClientOptions{Server: "http://" + n.Admin(), Token: c.AdminToken, HTTP: oneShot()}
	}
	return api.ClientOptions{Server: "https://" + n.Admin(), Token: c.AdminToken, HTTP: trusting(t, c.AdminTLSCert, false)}
}

// oneShot leaves no connection, and so no goroutine, behind.
func oneShot() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// deploy puts a function in force that echoes, served over HTTP and bound to the open topic work.
func (n *testNode) deploy(t *testing.T, function string) {
	t.Helper()
	module := wasmtest.Echo()
	digest := digestOf(module)
	if err := n.client.PutModule(t.Context(), digest, module); err != nil {
		t.Fatal(err)
	}
	_, err := n.client.Deploy(t.Context(), "default", "app", api.App{
		Functions: map[string]api.FunctionSpec{function: {Module: digest, Triggers: []api.TriggerSpec{
			{HTTP: &api.HTTPTrigger{}}, {Topic: &api.TopicTrigger{Name: "work"}},
		}}},
		Topics: map[string]api.TopicSpec{"work": {Ingress: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func digestOf(module []byte) string {
	sum := sha256.Sum256(module)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func request(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := oneShot().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestTwoNodesInOneProcess(t *testing.T) {
	t.Parallel()
	a, b := freeConfig(t.TempDir()), freeConfig(t.TempDir())
	a.LogLevel, b.LogLevel = "debug", "debug"
	one, two := serve(t, a), serve(t, b)
	one.deploy(t, "echo-one")
	two.deploy(t, "echo-two")
	if status, body := request(t, "POST", "http://"+one.Gateway()+"/fn/echo-one", "hello"); status != 200 || body != "hello" {
		t.Errorf("call: %d %s", status, body)
	}
	if status, body := request(t, "POST", "http://"+two.Gateway()+"/fn/echo-one", "hello"); status != 404 {
		t.Errorf("the other node knows the function: %d %s", status, body)
	}
	_, metrics := request(t, "GET", "http://"+one.Admin()+"/metrics", "")
	if !strings.Contains(metrics, `function="echo-one"`) || strings.Contains(metrics, "echo-two") {
		t.Errorf("metrics of the first:\n%s", metrics)
	}
	_, metrics = request(t, "GET", "http://"+two.Admin()+"/metrics", "")
	if strings.Contains(metrics, "echo-one") || !strings.Contains(metrics, "evoke_") {
		t.Errorf("metrics of the second:\n%s", metrics)
	}
	if err := one.stop(); err != nil {
		t.Error(err)
	}
	if status, _ := request(t, "GET", "http://"+two.Admin()+"/readyz", ""); status != 200 {
		t.Errorf("with the first one the second stopped being ready: %d", status)
	}
	for own, other := range map[*testNode]*testNode{one: two, two: one} {
		log := own.log.String()
		if !strings.Contains(log, own.Gateway()) || strings.Contains(log, other.Gateway()) || strings.Contains(log, other.config.DataDir) {
			t.Errorf("the log of %s:\n%s", own.config.DataDir, log)
		}
	}
}

// Again and again on one directory: what was deployed stays, and goleak in TestMain sees that nothing else does.
func TestStartAndStopAgainAndAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 3 {
		n := serve(t, freeConfig(dir))
		if i == 0 {
			n.deploy(t, "echo")
		}
		if status, body := request(t, "POST", "http://"+n.Gateway()+"/fn/echo", "again"); status != 200 || body != "again" {
			t.Errorf("start %d: %d %s", i, status, body)
		}
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
		if log := n.log.String(); !strings.Contains(log, "msg=ready") || !strings.Contains(log, "msg=stopped") || strings.Contains(log, "level=ERROR") {
			t.Errorf("log:\n%s", log)
		}
	}
}

func TestStopBeforeItServes(t *testing.T) {
	t.Parallel()
	c := freeConfig(t.TempDir())
	n, err := New(t.Context(), c, NewLogger(c, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ctx); err != nil {
		t.Error(err)
	}
	mustBeFree(t, c.DataDir)
}

// mustBeFree takes a data directory's lock.
func mustBeFree(t *testing.T, dir string) {
	t.Helper()
	l, err := lockDir(dir)
	if err != nil {
		t.Errorf("the directory is not free: %v", err)
		return
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever step of the start fails, what the steps before it took is given back.
func TestStartThatFailsReleasesEverything(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	file := func(name string) func(t *testing.T, c *Config) {
		return func(t *testing.T, c *Config) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(c.DataDir, name), []byte("in the way"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, c *Config)
		want  []string
	}{
		"gateway address in use": {func(_ *testing.T, c *Config) { c.Listen = taken.Addr().String() }, []string{"listen for the gateway: ", "address already in use; choose another --listen"}},
		"admin address in use":   {func(_ *testing.T, c *Config) { c.Admin = taken.Addr().String() }, []string{"listen for the management API: ", "address already in use; choose another --admin"}},
		"admin without a token":  {func(_ *testing.T, c *Config) { c.Admin = "0.0.0.0:0" }, []string{"can be reached from outside and no token guards it: set EVOKE_ADMIN_TOKEN"}},
		"etcd":                   {file("etcd"), []string{"start etcd", "etcd: not a directory"}},
		"modules":                {file("modules"), []string{"modules: not a directory"}},
		"history":                {file("history"), []string{"history: not a directory"}},
		"log":                    {file("log"), []string{"log", "not a directory"}},
		"state":                  {file("state"), []string{"state", "not a directory"}},
		"cache":                  {file("cache"), []string{"cache"}},
		"fewer partitions":       {otherPartitions(8), []string{"it holds records of partition 15, but only 8 partitions are configured"}},
		"more partitions":        {otherPartitions(32), []string{"the data directory has 16 partitions, not 32; their number is fixed when the directory is made"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := freeConfig(t.TempDir())
			tc.spoil(t, &c)
			n, err := New(t.Context(), c, NewLogger(c, io.Discard))
			if err == nil {
				t.Fatalf("it started: %v", n.close())
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v; want %q", err, w)
				}
			}
			mustBeFree(t, c.DataDir)
		})
	}
}

// An address that cannot or must not be served is found while the directory has nothing but the lock.
func TestStartRefusedForItsAddressesWritesNothing(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, spoil := range map[string]func(*Config){
		"gateway address in use": func(c *Config) { c.Listen = taken.Addr().String() },
		"admin address in use":   func(c *Config) { c.Admin = taken.Addr().String() },
		"admin without a token":  func(c *Config) { c.Admin = "0.0.0.0:0" },
	} {
		c := freeConfig(t.TempDir())
		spoil(&c)
		if n, err := New(t.Context(), c, NewLogger(c, io.Discard)); err == nil {
			t.Fatalf("%s: it started: %v", name, n.close())
		}
		there, err := filepath.Glob(filepath.Join(c.DataDir, "*"))
		if err != nil || len(there) != 1 || filepath.Base(there[0]) != "LOCK" {
			t.Errorf("%s: the directory has %q, %v", name, there, err)
		}
	}
}

// otherPartitions makes the data directory with the default number of partitions and asks for another.
func otherPartitions(number int) func(t *testing.T, c *Config) {
	return func(t *testing.T, c *Config) {
		t.Helper()
		startAndStop(t, *c)
		c.Partitions = number
	}
}

func startAndStop(t *testing.T, c Config) {
	t.Helper()
	n, err := New(t.Context(), c, NewLogger(c, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
}

// A start with a wrong number of partitions leaves the directory as it was.
func TestWrongPartitionsDoNoHarm(t *testing.T) {
	t.Parallel()
	c := freeConfig(t.TempDir())
	startAndStop(t, c)
	for _, number := range []int{32, 8} {
		wrong := c
		wrong.Partitions = number
		if n, err := New(t.Context(), wrong, NewLogger(wrong, io.Discard)); err == nil {
			t.Fatalf("it started with %d: %v", number, n.close())
		}
	}
	startAndStop(t, c)
}

func TestAddressesAreThereWhileItServes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "addresses.json")
	if err := os.WriteFile(path, []byte(`{"gateway":"of one that was killed"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := New(t.Context(), freeConfig(dir), NewLogger(freeConfig(dir), io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the addresses of the last start are still there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	if status, _ := request(t, "GET", "http://"+n.Admin()+"/readyz", ""); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	raw, err := os.ReadFile(path)
	var at struct{ Gateway, Admin string }
	if err != nil || json.Unmarshal(raw, &at) != nil || at.Gateway != n.Gateway() || at.Admin != n.Admin() {
		t.Errorf("addresses.json: %s, %v; want %s and %s", raw, err, n.Gateway(), n.Admin())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestAddressesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	err := writeAddresses(filepath.Join(t.TempDir(), "nowhere", "addresses.json"), "a", "b")
	if err == nil || !strings.HasPrefix(err.Error(), "write addresses: ") {
		t.Errorf("got %v", err)
	}
}

// Below the watermark the gateway takes nothing, and what the disk is for goes on: here a call that stores nothing.
func TestWatermarkIsWiredToTheGateway(t *testing.T) {
	t.Parallel()
	c := freeConfig(t.TempDir())
	c.MinFree = 100
	n := serve(t, c)
	n.deploy(t, "echo")
	_, err := n.client.Publish(t.Context(), "default", "work", api.EventJSON, []byte(`{"specversion":"1.0","id":"1","source":"/t","type":"t"}`))
	if p := (*api.Problem)(nil); !asProblem(err, &p) || p.Status != http.StatusInsufficientStorage || !strings.Contains(p.Detail, "min-free asks for 100%") {
		t.Errorf("publish: %v", err)
	}
	if status, body := request(t, "POST", "http://"+n.Gateway()+"/fn/echo", "x"); status != 200 {
		t.Errorf("call: %d %s", status, body)
	}
}

func asProblem(err error, p **api.Problem) bool {
	var ok bool
	*p, ok = err.(*api.Problem) //nolint:errorlint // the client answers it unwrapped
	return ok
}

package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gatherGuest asks for some paths together while another goroutine of it sleeps and asks for ticks.
const gatherGuest = `package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(gather) }

func main() {}

func gather(ctx context.Context, e *evoke.Event) (evoke.Reply, error) {
	at, all, _ := strings.Cut(string(e.Data()), " ")
	paths := strings.Fields(all)
	answers := make([]string, len(paths))
	get := func(path string) string {
		res, err := evoke.Fetch(ctx, evoke.FetchRequest{URL: at + path})
		if err != nil {
			return err.Error()
		}
		return string(res.Body)
	}
	var wg sync.WaitGroup
	for i, path := range paths {
		wg.Add(1)
		go func() { defer wg.Done(); answers[i] = get(path) }()
	}
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := range 3 {
			time.Sleep(time.Millisecond)
			get(fmt.Sprint("/tick", i))
		}
	}()
	wg.Wait()
	return evoke.Text(strings.Join(answers, " ")), nil
}
`

// payGuest sends a secret to others, through net/http.
const payGuest = `package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	evoke "github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evokehttp"
)

func init() { evoke.Handle(pay) }

func main() {}

func pay(ctx context.Context, e *evoke.Event) (evoke.Reply, error) {
	key, _, err := evoke.Secret("stripe_key")
	if err != nil {
		return evoke.Reply{}, err
	}
	at, _, err := evoke.Config("BANK")
	if err != nil {
		return evoke.Reply{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/pay?key="+key, strings.NewReader("amount=1"))
	if err != nil {
		return evoke.Reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := evokehttp.Client.Do(req)
	if err != nil {
		return evoke.Reply{}, errors.New("pay: " + strings.ReplaceAll(err.Error(), key, "KEY")) // net/http names the whole URL
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		return evoke.Reply{}, errors.New(res.Status)
	}
	_, err = evoke.Fetch(ctx, evoke.FetchRequest{URL: "http://127.0.0.1:1/?key=" + key, Headers: [][2]string{{"X", key + "\n"}}})
	if err != nil {
		evoke.Infof("%v", err)
	}
	_, err = evoke.Fetch(ctx, evoke.FetchRequest{URL: "http://127.0.0.1:1/?key=" + key})
	return evoke.Reply{}, evoke.Reject(err)
}
`

// bank is a host that functions send requests to.
type bank struct {
	*httptest.Server

	mu    sync.Mutex
	came  *sync.Cond
	ticks int
	paths map[string]bool
	paid  []string // a line for each payment
}

// newBank answers all but ticks only when want paths and three ticks have come.
func newBank(t *testing.T, want int) *bank {
	t.Helper()
	b := &bank{paths: map[string]bool{}}
	b.came = sync.NewCond(&b.mu)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		defer b.came.Broadcast()
		switch {
		case r.URL.Path == "/pay":
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			b.paid = append(b.paid, fmt.Sprint(r.Header.Get("Idempotency-Key"), " ", r.Header.Get("Authorization"), " ", r.URL.RawQuery, " ", string(body)))
			if len(b.paid) < 3 {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return
		case strings.HasPrefix(r.URL.Path, "/tick"):
			b.ticks++
			return
		}
		b.paths[r.URL.Path] = true
		b.came.Broadcast()
		for len(b.paths) < want || b.ticks < 3 {
			b.came.Wait()
		}
		fmt.Fprint(w, strings.TrimPrefix(r.URL.Path, "/"))
	}))
	t.Cleanup(b.Close)
	return b
}

// The requests of a guest wait together, its other goroutines go on meanwhile, and each gets its own answer.
func TestGoroutinesOfAGuestFetch(t *testing.T) {
	t.Parallel()
	rt := start(t, dataDir(t), "--fetch-allow", "127.0.0.1/32")
	a := newApp(t, rt)
	a.write(t, "gather/main.go", []byte(gatherGuest))
	a.deploy(t, "version: 1\napp: bank\nfunctions:\n  gather:\n    source: ./gather\n    on: [ { http: {} } ]\n    allow: { http: [ \"http://127.0.0.1:*\" ] }\n")
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprint("/", i))
	}
	for range 3 { // the same instance
		b := newBank(t, len(all))
		r := a.send(t, http.MethodPost, "/fn/gather", nil, []byte(b.URL+" "+strings.Join(all, " ")))
		if want := strings.ReplaceAll(strings.Join(all, " "), "/", ""); string(r.body) != want {
			t.Errorf("%d: %s\nwant %s", r.status, r.body, want)
		}
	}
}

// A secret that a function sends to others, and whose requests fail in every way, is in nothing that the runtime says or keeps.
func TestSecretsAreInNoLogs(t *testing.T) {
	t.Parallel()
	const secret = "sk_live_0123456789abcdef"
	rt := start(t, dataDir(t), "--fetch-allow", "127.0.0.1/32", "--log-level", "debug")
	a := newApp(t, rt)
	b := newBank(t, 0)
	a.write(t, "pay/main.go", []byte(payGuest))
	a.write(t, "key", []byte(secret))
	a.must(t, "secret", "set", "stripe_key", "--from-file", a.dir+"/key")
	a.deploy(t, "version: 1\napp: bank\nfunctions:\n  pay:\n    source: ./pay\n    on: [ { topic: { name: orders } } ]\n    env: { BANK: \""+b.URL+
		"\" }\n    secrets: [stripe_key]\n    retry: { initial: 1ms }\n    allow: { http: [ \"http://127.0.0.1:*\" ] }\ntopics: { orders: { ingress: true } }\n")
	a.must(t, "emit", "orders", "--type", "order", "-d", "{}")
	eventually(t, "the dead letter", func() error {
		if out := a.must(t, "dlq", "ls", "-o", "name"); strings.TrimSpace(out) == "" {
			return fmt.Errorf("there is none; the runtime says\n%s", rt.stderr)
		}
		return nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	key, _, _ := strings.Cut(b.paid[0], " ")
	if want := key + " Bearer " + secret + " key=" + secret + " amount=1"; len(b.paid) != 3 || len(key) != 32 || b.paid[0] != want || b.paid[1] != want || b.paid[2] != want {
		t.Errorf("%q", b.paid)
	}
	letter := strings.TrimSpace(a.must(t, "dlq", "ls", "-o", "name"))
	said := map[string]string{
		"the log of the runtime": rt.stderr.String(),
		"fnctl logs":             a.must(t, "logs", "pay", "-o", "jsonl"),
		"the dead letter":        a.must(t, "dlq", "peek", letter),
		"the invocation":         a.must(t, "invocations", "show", letter, "-o", "json"),
		"the function":           a.must(t, "describe", "function", "pay", "-o", "json"),
		"the audit log":          a.must(t, "audit", "-o", "json"),
		"the secrets":            a.must(t, "secret", "ls", "-o", "json"),
		"the metrics":            string(mustGet(t, rt.admin+"/metrics")),
	}
	for what, text := range said {
		if strings.Contains(text, secret) || text == "" {
			t.Errorf("%s (%d bytes) has the secret, or nothing:\n%s", what, len(text), text)
		}
	}
	if logs := said["fnctl logs"]; !strings.Contains(logs, "the value of header x has a line end") || !strings.Contains(logs, "unreachable") {
		t.Errorf("the failures are not in the logs:\n%s", logs)
	}
	if err := rt.terminate(); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(rt.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) || bytes.Contains(content, []byte(base64.StdEncoding.EncodeToString([]byte(secret)))) {
			t.Errorf("%s has the secret", path)
		}
		return err
	})
	if err != nil || files < 10 {
		t.Errorf("looked into %d files: %v", files, err)
	}
}

func mustGet(t *testing.T, url string) []byte {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it is read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

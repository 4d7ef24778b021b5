package fetch

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/sdk/abi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names are a resolver: each look-up of a name takes its next list of addresses, the last one for ever.
type names struct {
	mu    sync.Mutex
	addrs map[string][]string // addresses separated by spaces
	asked []string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	lists := n.addrs[host]
	if len(lists) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(lists) > 1 {
		n.addrs[host] = lists[1:]
	}
	var out []netip.Addr
	for a := range strings.FieldsSeq(lists[0]) {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

func (n *names) lookups() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.asked)
}

// bundle is a server and a client that may reach it under any name.
type bundle struct {
	t      *testing.T
	client *Client
	names  *names
	port   string
}

// setup serves h on 127.0.0.1, which the client's operator allows.
func setup(t *testing.T, h http.HandlerFunc) *bundle {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return setupClient(t, s, nil)
}

func setupClient(t *testing.T, s *httptest.Server, roots *x509.CertPool) *bundle {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, port: u.Port(), names: &names{addrs: map[string][]string{"api.example": {"127.0.0.1"}, "other.example": {"127.0.0.1"}, "a.b.example": {"127.0.0.1"}}}}
	b.client = New(Options{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Resolver: b.names, RootCAs: roots})
	t.Cleanup(b.client.Close)
	return b
}

func (b *bundle) function(allow ...string) *Function {
	b.t.Helper()
	f, err := b.client.Function(allow, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

func unbounded(int) bool { return true }

// encode is a request as a guest sends it.
func encode(head string, body string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(head)))
	return append(append(b, head...), body...)
}

// do parses and makes a request.
func (f *Function) do(ctx context.Context, head, body string) Answer {
	r, err := Parse(encode(head, body))
	if err != nil {
		return Invalid(err)
	}
	return f.Do(ctx, r, unbounded)
}

// get is a GET without more.
func (f *Function) get(t *testing.T, url string) Answer {
	t.Helper()
	return f.do(t.Context(), `{"url":`+quote(url)+`}`, "")
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// read takes an answer apart.
func read(t *testing.T, a Answer) (response, string) {
	t.Helper()
	if a.Status != abi.StatusOK {
		t.Fatalf("status %d (%s): %s", a.Status, a.Outcome, a.Body)
	}
	n := binary.LittleEndian.Uint32(a.Body)
	var head response
	if err := json.Unmarshal(a.Body[4:4+n], &head); err != nil {
		t.Fatal(err)
	}
	return head, string(a.Body[4+n:])
}

func want(t *testing.T, a Answer, status int32, outcome, text string) {
	t.Helper()
	if a.Status != status || a.Outcome != outcome || !strings.Contains(string(a.Body), text) {
		t.Errorf("status %d (%s): %s\nwant %d (%s): %s", a.Status, a.Outcome, a.Body, status, outcome, text)
	}
}

func TestRequestAndResponse(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Add("X-Two", "1")
		w.Header().Add("X-Two", "2")
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Latin", "caf\xe9")
		w.Header().Set("X-Text", "caf\u00e9")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s ua=%s enc=%q x=%v te=%v body=%s", r.Method, r.Host, r.URL, r.UserAgent(), r.Header.Get("Accept-Encoding"), r.Header["X-A"], r.TransferEncoding, body)
	})
	f := b.function("http://api.example:*")
	a := f.do(t.Context(), `{"method":"PUT","url":"HTTP://API.Example.:`+b.port+`/a%2Fb?q=1#part","headers":[["X-A","1"],["x-a","2"]]}`, "hello")
	head, body := read(t, a)
	if want := "PUT api.example:" + b.port + ` /a%2Fb?q=1 ua=evoke enc="" x=[1 2] te=[] body=hello`; body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if head.Status != 418 || head.URL != "http://api.example:"+b.port+"/a%2Fb?q=1" || a.Outcome != "4xx" || a.HTTP != 418 || a.Out != 5 || a.In != len(body) {
		t.Errorf("%+v, %+v", head, a)
	}
	if text := fmt.Sprint(head.Headers); !strings.Contains(text, "[content-type text/plain]") || !strings.HasSuffix(text, "[x-latin caf\u00e9] [x-text caf\u00e9] [x-two 1] [x-two 2]]") {
		t.Errorf("headers %s", text)
	}
}

func TestOnlyTargetsOfTheAllowList(t *testing.T) {
	t.Parallel()
	reached := 0
	b := setup(t, func(http.ResponseWriter, *http.Request) { reached++ })
	f := b.function("http://api.example:"+b.port, "http://*.b.example:"+b.port)
	read(t, f.get(t, "http://api.example:"+b.port))
	read(t, f.get(t, "http://a.b.example:"+b.port))
	if reached != 2 {
		t.Errorf("reached %d times", reached)
	}
	asked := b.names.lookups()
	for target, text := range map[string]string{
		"http://other.example:" + b.port:      `the function may not send requests to http://other.example:` + b.port + `; add it to allow: { http: ["http://other.example:` + b.port + `"] } in fn.yaml`,
		"http://b.example:" + b.port:          "may not send requests to http://b.example",
		"https://api.example:" + b.port:       "may not send requests to https://api.example",
		"http://api.example":                  "may not send requests to http://api.example:80",
		"http://api.example.evil:" + b.port:   "may not send requests to http://api.example.evil",
		"http://127.0.0.1:" + b.port:          "may not send requests to http://127.0.0.1",
		"http://localhost:" + b.port:          "may not send requests to http://localhost",
		"http://localhost.:" + b.port:         "may not send requests to http://localhost:",
		"http://[::ffff:127.0.0.1]:" + b.port: "may not send requests to http://[::ffff:127.0.0.1]",
	} {
		want(t, f.get(t, target), abi.StatusDenied, "denied", text)
	}
	want(t, b.function().get(t, "http://api.example"), abi.StatusDenied, "denied", "may not send")
	if reached != 2 || b.names.lookups() != asked {
		t.Errorf("reached %d times, %d names asked for", reached, b.names.lookups()-asked)
	}
	if _, err := b.client.Function([]string{"ftp://a"}, nil); err == nil || err.Error() != `allow.http: "ftp://a" begins with neither https:// nor http://` {
		t.Errorf("%v", err)
	}
}

// Whatever form an address has and wherever it comes from, it is looked at before anything connects to it.
func TestAddressesThatAreNotTheInternet(t *testing.T) {
	t.Parallel()
	n := &names{addrs: map[string][]string{}}
	c := New(Options{Resolver: n})
	t.Cleanup(c.Close)
	f, err := c.Function([]string{"http://*:*", "http://10.0.0.1", "http://[::ffff:10.0.0.1]", "http://[::1]"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for addr, kind := range map[string]string{
		"127.0.0.1": "this machine", "127.8.8.8": "this machine", "0.0.0.0": "this machine", "0.1.2.3": "this machine",
		"10.1.2.3": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private",
		"169.254.1.1": "link-local", "169.254.169.254": "the metadata of the machine", "168.63.129.16": "the metadata of the machine", "100.100.100.200": "the metadata of the machine",
		"100.64.0.1": "CGNAT", "100.127.255.255": "CGNAT", "192.0.0.1": "reserved", "192.0.0.192": "the metadata of the machine", "169.254.170.2": "the metadata of the machine", "198.18.0.1": "for measurements", "192.88.99.1": "6to4",
		"224.0.0.1": "multicast", "255.255.255.255": "reserved", "240.0.0.1": "reserved", "203.0.113.5": "documentation",
		"::": "this machine", "::1": "this machine", "fd00:ec2::254": "the metadata of the machine", "fd20:ce::254": "the metadata of the machine", "fd12::1": "private", "fc00::1": "private",
		"fe80::1": "link-local", "fec0::1": "private", "ff02::1": "multicast", "2001:db8::1": "documentation", "2001::1": "Teredo", "64:ff9b:1::1": "private",
		"::ffff:10.0.0.1": "private", "::ffff:127.0.0.1": "this machine", "::10.0.0.1": "private", "64:ff9b::10.0.0.1": "private", "64:ff9b::169.254.169.254": "the metadata of the machine",
		"2002:a00:1::1": "private", "2002:7f00:1::": "this machine", "::ffff:0:10.0.0.1": "private",
	} {
		n.addrs["x.example"] = []string{addr}
		want(t, f.get(t, "http://x.example/"), abi.StatusDenied, "denied", "x.example has the address "+netip.MustParseAddr(addr).Unmap().String()+", which is ")
		want(t, f.get(t, "http://x.example/"), abi.StatusDenied, "denied", kind)
	}
	n.addrs["both.example"] = []string{"93.184.215.14 10.0.0.1"}
	want(t, f.get(t, "http://both.example/"), abi.StatusDenied, "denied", "both.example has the address 10.0.0.1, which is private")
	// The allow list of a function does not open them.
	want(t, f.get(t, "http://10.0.0.1/"), abi.StatusDenied, "denied", "the address 10.0.0.1 is private; only addresses of the internet may be reached, and those that the operator allows: runtime --fetch-allow 10.0.0.1/32")
	want(t, f.get(t, "http://[::ffff:a00:1]/"), abi.StatusDenied, "denied", "private")
	want(t, f.get(t, "http://[::1]/"), abi.StatusDenied, "denied", "the address ::1 is this machine")
	for _, public := range []string{"93.184.215.14", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:2800:21f::1", "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"} {
		if err := c.mayReach("x.example", netip.MustParseAddr(public)); err != nil {
			t.Errorf("%s: %v", public, err)
		}
	}
}

// The operator may open networks; the metadata of a machine, only by its own address.
func TestAddressesThatTheOperatorAllows(t *testing.T) {
	t.Parallel()
	c := New(Options{Networks: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("100.100.100.200/32"),
	}})
	t.Cleanup(c.Close)
	for addr, allowed := range map[string]bool{
		"10.1.1.1": true, "::ffff:10.1.1.1": true, "127.0.0.1": true, "169.254.1.1": true, "fd00::1": true, "100.100.100.200": true, "::ffff:100.100.100.200": true,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "64:ff9b::169.254.169.254": false, "2002:a9fe:a9fe::": false, "fd00:ec2::254": false, "168.63.129.16": false,
	} {
		if err := c.mayReach("x.example", netip.MustParseAddr(addr)); (err == nil) != allowed {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestEntriesThatLeadNowhereAreTold(t *testing.T) {
	t.Parallel()
	c := New(Options{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	t.Cleanup(c.Close)
	got := c.Closed([]string{"api.example", "10.1.1.1", "http://localhost:3000", "http://[fd00::1]", "a b", "*"})
	want := []string{
		"allow.http has http://localhost:3000, to which nothing can be sent: localhost has the address 127.0.0.1, which is this machine; only addresses of the internet may be reached, and those that the operator allows: runtime --fetch-allow 127.0.0.1/32",
		"allow.http has http://[fd00::1], to which nothing can be sent: the address fd00::1 is private; only addresses of the internet may be reached, and those that the operator allows: runtime --fetch-allow fd00::1/128",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A name whose answers change between the check and the connection, or from one connection to the next.
func TestNamesThatAreBoundAnew(t *testing.T) {
	t.Parallel()
	reached := 0
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		reached++
		w.Header().Set("Connection", "close")
	})
	b.names.addrs["rebind.example"] = []string{"127.0.0.1", "169.254.169.254"}
	f := b.function("http://rebind.example:*")
	read(t, f.get(t, "http://rebind.example:"+b.port))
	if n := b.names.lookups(); n != 1 {
		t.Errorf("%d look-ups for one connection", n)
	}
	want(t, f.get(t, "http://rebind.example:"+b.port), abi.StatusDenied, "denied", "rebind.example has the address 169.254.169.254, which is the metadata of the machine")
	if reached != 1 {
		t.Errorf("reached %d times", reached)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	_, first := read(t, b.function("http://api.example:*").get(t, "http://api.example:"+b.port))
	_, second := read(t, b.function("http://*:*").get(t, "http://api.example:"+b.port))
	if first != second || b.names.lookups() != 1 {
		t.Errorf("connections from %s and %s, %d look-ups", first, second, b.names.lookups())
	}
}

// A connection that the host has closed meanwhile is no error, not even for a request that changes something: its key tells that it may be sent again.
func TestKeptConnectionsThatAreClosed(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	t.Cleanup(s.Close)
	b := setupClient(t, s, nil)
	f := b.function("http://api.example:*")
	for range 20 {
		if a := f.do(t.Context(), `{"method":"POST","url":"http://api.example:`+b.port+`","headers":[["Idempotency-Key","1"]]}`, "x"); a.HTTP != 200 {
			t.Errorf("%d: %s", a.Status, a.Body)
		}
		s.CloseClientConnections()
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var b *bundle
	b = setup(t, func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{
			"/same":     "/end",
			"/cross":    "http://other.example:" + b.port + "/end",
			"/back":     "http://other.example:" + b.port + "/again",
			"/again":    "http://api.example:" + b.port + "/end",
			"/private":  "http://inside.example:" + b.port + "/end",
			"/literal":  "http://169.254.169.254/latest/meta-data",
			"/unlisted": "http://unlisted.example/",
			"/user":     "http://me:pw@api.example:" + b.port + "/end",
			"/file":     "file:///etc/passwd",
			"/octal":    "http://0177.0.0.1/",
			"/loop":     "/loop",
		}[r.URL.Path]
		if to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s auth=%q cookie=%q referer=%q key=%q kind=%s once=%s body=%s",
			r.Method, r.Host, r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Referer(), r.Header.Get("X-Api-Key"), r.Header.Get("X-Kind"), r.Header.Get("Idempotency-Key"), body)
	})
	b.names.addrs["inside.example"] = []string{"10.0.0.1"}
	f := b.function("http://api.example:*", "http://other.example:*", "http://inside.example:*", "http://169.254.169.254")
	at := "http://api.example:" + b.port
	post := func(path, more string) Answer {
		return f.do(t.Context(), `{"method":"POST","url":"`+at+path+`","headers":[["Authorization","s3cret"],["Cookie","c=1"],["X-Api-Key","k"],["X-Kind","x"],["Idempotency-Key","1"]]`+more+`}`, "body")
	}
	head, body := read(t, post("/same", ""))
	if want := "POST api.example:" + b.port + ` auth="s3cret" cookie="c=1" referer="" key="k" kind=x once=1 body=body`; body != want || head.URL != at+"/end" {
		t.Errorf("%s (%s), want %s", body, head.URL, want)
	}
	if _, body = read(t, post("/cross", "")); body != "POST other.example:"+b.port+` auth="" cookie="" referer="" key="" kind=x once=1 body=body` {
		t.Errorf("to another origin: %s", body)
	}
	if _, body = read(t, post("/back", "")); !strings.Contains(body, `auth="" cookie=""`) {
		t.Errorf("to another origin and back: %s", body)
	}
	if head, _ = read(t, post("/cross", `,"redirect":"manual"`)); head.Status != 307 || head.URL != at+"/cross" {
		t.Errorf("left to the guest: %+v", head)
	}
	for path, text := range map[string]string{
		"/private":  "inside.example has the address 10.0.0.1, which is private",
		"/literal":  "the address 169.254.169.254 is the metadata of the machine",
		"/unlisted": "redirected: the function may not send requests to http://unlisted.example:80",
		"/user":     "redirected to \"http://me:xxxxx@api.example:" + b.port + "/end\", which has a user in it",
		"/file":     "redirected to a place that is none: URL \"file:///etc/passwd\" is neither of http nor of https",
		"/octal":    "redirected to a place that is none: URL \"http://0177.0.0.1/\": the host \"0177.0.0.1\" ends in a number",
	} {
		want(t, post(path, ""), abi.StatusDenied, "denied", text)
	}
	want(t, post("/loop", ""), abi.StatusUnreachable, "unreachable", "stopped after 5 redirects")
}

func TestResponsesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/headers" {
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1024))
			}
			return
		}
		if r.URL.Path == "/zip" {
			w.Header().Set("Content-Encoding", "gzip")
		}
		fmt.Fprint(w, strings.Repeat("x", 100_000))
	})
	f := b.function("http://api.example:*")
	at := "http://api.example:" + b.port
	if _, body := read(t, f.do(t.Context(), `{"url":"`+at+`","maxBytes":100000}`, "")); len(body) != 100_000 {
		t.Errorf("%d bytes", len(body))
	}
	want(t, f.do(t.Context(), `{"url":"`+at+`","maxBytes":99999}`, ""), abi.StatusTooLarge, "too_large", "the response of api.example:"+b.port+" has more than 99999 bytes, the limit; ask for less")
	want(t, f.get(t, at+"/headers"), abi.StatusUnreachable, "unreachable", "server response headers exceeded")
	if head, body := read(t, f.get(t, at+"/zip")); len(body) != 100_000 || !strings.Contains(fmt.Sprint(head.Headers), "[content-encoding gzip]") {
		t.Errorf("unpacked: %d bytes, %+v", len(body), head)
	}
	r, err := Parse(encode(`{"url":"`+at+`"}`, ""))
	if err != nil {
		t.Fatal(err)
	}
	left := 50_000
	a := f.Do(t.Context(), r, func(n int) bool { left -= n; return left >= 0 })
	want(t, a, abi.StatusTooLarge, "too_large", "raise memory: in fn.yaml")
}

func TestRequestsEndInTime(t *testing.T) {
	t.Parallel()
	arrived, leave := make(chan struct{}, 8), make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
		}
		arrived <- struct{}{}
		<-leave
	})
	t.Cleanup(func() { close(leave) })
	f := b.function("http://api.example:*")
	at := "http://api.example:" + b.port
	want(t, f.do(t.Context(), `{"url":"`+at+`","timeoutMs":30}`, ""), abi.StatusTimeout, "timeout", "no whole response of api.example:"+b.port+" in time")
	want(t, f.do(t.Context(), `{"url":"`+at+`/half","timeoutMs":50}`, ""), abi.StatusTimeout, "timeout", "no whole response")
	for len(arrived) > 0 {
		<-arrived
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	want(t, f.do(ctx, `{"url":"`+at+`"}`, ""), abi.StatusTimeout, "canceled", "canceled")
}

func TestNoPlaceForMore(t *testing.T) {
	t.Parallel()
	leave := make(chan struct{})
	var inside sync.WaitGroup
	inside.Add(MaxPerFunction)
	b := setup(t, func(http.ResponseWriter, *http.Request) { inside.Done(); <-leave })
	f := b.function("http://api.example:*")
	head := `{"url":"http://api.example:` + b.port + `"}`
	var wg sync.WaitGroup
	for range MaxPerFunction {
		wg.Go(func() {
			if a := f.do(t.Context(), head, ""); a.Status != abi.StatusOK {
				t.Errorf("%d: %s", a.Status, a.Body)
			}
		})
	}
	inside.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	want(t, f.do(ctx, head, ""), abi.StatusBusy, "busy", "busy: 64 requests of the function are open, the limit")
	close(leave)
	wg.Wait()
}

// A place among the requests of the node is waited for as one among those of the function.
func TestNoPlaceOnTheNode(t *testing.T) {
	t.Parallel()
	b := setup(t, func(http.ResponseWriter, *http.Request) {})
	b.client.places = make(chan struct{}, 1)
	b.client.places <- struct{}{}
	f, head := b.function("http://api.example:*"), `{"timeoutMs":20,"url":"http://api.example:`+b.port+`"}`
	want(t, f.do(t.Context(), head, ""), abi.StatusBusy, "busy", "busy: 2048 requests of the node are open, the limit")
	<-b.client.places
	if a := f.do(t.Context(), `{"url":"http://api.example:`+b.port+`"}`, ""); a.HTTP != 200 || len(f.places) != 0 || len(b.client.places) != 0 {
		t.Errorf("%s; %d and %d places are taken", a.Body, len(f.places), len(b.client.places))
	}
}

// Hosts that send what HTTP does not have, or too much of it.
func TestHostsThatMeanHarm(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 100)
	for name, tc := range map[string]struct{ says, want string }{
		"another protocol":   {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "the host wants to speak another protocol (101), which nobody asked for"},
		"no HTTP":            {"SSH-2.0-OpenSSH_9.0\r\n", "malformed HTTP"},
		"large head":         {"HTTP/1.1 200 OK\r\n" + many + "\r\n", "server response headers exceeded"},
		"early hints":        {strings.Repeat("HTTP/1.1 103 Early Hints\r\n"+many[:20_000-20_000%1005]+"\r\n", 9), "server response headers exceeded"},
		"two lengths":        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "Content-Length"},
		"no length is right": {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "Content-Length"},
		"chunks":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "chunk"},
		"location":           {"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n", "Location"},
	} {
		b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, tc.says)
				_ = conn.Close()
			}
		})
		if a := b.function("http://api.example:*").get(t, "http://api.example:"+b.port); a.Status != abi.StatusUnreachable || !strings.Contains(string(a.Body), tc.want) || len(a.Body) > 1000 {
			t.Errorf("%s: %d, %.600s", name, a.Status, a.Body)
		}
	}
}

func TestServersThatCannotBeReached(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
			_ = conn.Close()
		}
	})
	b.names.addrs["closed.example"] = []string{"127.0.0.1"}
	f := b.function("http://*:*")
	want(t, f.get(t, "http://none.example/"), abi.StatusUnreachable, "unreachable", "GET http://none.example: lookup none.example: no such host")
	want(t, f.get(t, "http://closed.example:1/"), abi.StatusUnreachable, "unreachable", "GET http://closed.example:1: dial tcp 127.0.0.1:1: ")
	want(t, f.get(t, "http://api.example:"+b.port+"/?token=s3cret"), abi.StatusUnreachable, "unreachable", "the response broke off after 4 bytes: unexpected EOF")
	if a := f.get(t, "http://none.example/?token=s3cret"); strings.Contains(string(a.Body), "s3cret") {
		t.Errorf("the error shows the URL: %s", a.Body)
	}
}

// A second address is tried when the first does not take the connection.
func TestSecondAddress(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	b.names.addrs["two.example"] = []string{"127.0.0.99 127.0.0.1"}
	if _, body := read(t, b.function("http://two.example:*").get(t, "http://two.example:"+b.port)); body != "hello" {
		t.Error(body)
	}
}

func TestTLSIsVerifiedAndHTTP2IsSpoken(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	b := setupClient(t, s, roots)
	b.names.addrs["example.com"] = []string{"127.0.0.1"} // what the certificate of httptest is for
	b.names.addrs["else.example"] = []string{"127.0.0.1"}
	f := b.function("*:*")
	if _, body := read(t, f.get(t, "https://example.com:"+b.port)); body != "HTTP/2.0" {
		t.Error(body)
	}
	// Many at once take the connection that is there.
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if a := f.get(t, "https://example.com:"+b.port); a.HTTP != 200 {
				t.Errorf("%s", a.Body)
			}
		})
	}
	wg.Wait()
	if n := b.names.lookups(); n != 1 {
		t.Errorf("%d connections", n)
	}
	want(t, f.get(t, "https://else.example:"+b.port), abi.StatusUnreachable, "unreachable", "certificate is valid for example.com")
	b.client.Close()
	unknown := setupClient(t, s, x509.NewCertPool())
	unknown.names.addrs["example.com"] = []string{"127.0.0.1"}
	want(t, unknown.function("*:*").get(t, "https://example.com:"+b.port), abi.StatusUnreachable, "unreachable", "certificate signed by unknown authority")
}

func TestProxiesOfTheEnvironmentAreNotForFunctions(t *testing.T) {
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "direct") })
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	if _, body := read(t, b.function("http://api.example:*").get(t, "http://api.example:"+b.port)); body != "direct" {
		t.Error(body)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if v := r.URL.Query().Get("v"); v != "" {
			w.Header().Set("Retry-After", v)
		}
		w.WriteHeader(http.StatusTooManyRequests)
	})
	f := b.function("http://api.example:*")
	for v, want := range map[string]time.Duration{"": -1, "7": 7 * time.Second, "-1": -1, "soon": -1, "99999999": 24 * time.Hour, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		if a := f.get(t, "http://api.example:"+b.port+"/?v="+url.QueryEscape(v)); a.RetryAfter != want || a.HTTP != 429 || !a.Overloaded {
			t.Errorf("%q: %v", v, a.RetryAfter)
		}
	}
}

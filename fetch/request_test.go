package fetch

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	r, err := Parse(encode(`{"url":"https://Bücher.example:444/a b?x=1","timeoutMs":1500,"redirect":"manual","maxBytes":10,"event":2,"headers":[["A","b"]]}`, "body"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Method != "GET" || r.URL.String() != "https://xn--bcher-kva.example:444/a%20b?x=1" || r.Timeout != 1500*time.Millisecond || !r.Manual || r.MaxBytes != 10 || r.Event != 2 || string(r.Body) != "body" || !r.Has("a") || r.Has("b") {
		t.Errorf("%+v %s", r, r.URL)
	}
	r.Set("X", "a\r\nB: c")
	r.Set("Y", "a")
	if len(r.Headers) != 2 || r.Headers[1] != [2]string{"Y", "a"} {
		t.Errorf("%q", r.Headers)
	}
	for host, want := range map[string]string{
		"http://EXAMPLE.com.":       "http://example.com",
		"http://my_host/":           "http://my_host/",
		"http://１２７.0.0.1/":         "http://127.0.0.1/",
		"http://[2001:DB8:0:0::1]/": "http://[2001:db8::1]/",
		"http://a。b/":               "http://a.b/",
		"HTTPS://a.b":               "https://a.b",
	} {
		if r, err := Parse(encode(`{"url":"`+host+`"}`, "")); err != nil || r.URL.String() != want {
			t.Errorf("%s: %v, %v", host, r, err)
		}
	}
	for method, unsafe := range map[string]bool{"GET": false, "HEAD": false, "OPTIONS": false, "POST": true, "PUT": true, "DELETE": true, "PATCH": true, "get": true} {
		if r, err := Parse(encode(`{"url":"http://a","method":"`+method+`"}`, "")); err != nil || r.Unsafe() != unsafe {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestRequestsThatAreWrong(t *testing.T) {
	t.Parallel()
	head := func(more string) []byte { return encode(`{"url":"http://a.b"`+more+`}`, "") }
	at := func(url string) []byte { return encode(`{"url":`+quote(url)+`}`, "") }
	header := func(name, value string) []byte {
		return head(`,"headers":[[` + quote(name) + `,` + quote(value) + `]]`)
	}
	many := strings.Repeat(`["A","b"],`, 100) + `["A","b"]`
	for name, tc := range map[string]struct {
		raw  []byte
		want string
	}{
		"nothing":      {nil, "a request is the length of its head as u32, the head as JSON, the body"},
		"short":        {[]byte{9, 0, 0, 0, '{'}, "the head is said to have 9 bytes, and 1 follow"},
		"negative":     {[]byte{255, 255, 255, 255, '{'}, "the head is said to have 4294967295 bytes"},
		"no JSON":      {encode("{", ""), "the head is not the JSON expected: unexpected EOF"},
		"unknown key":  {head(`,"methd":"GET"`), `the head is not the JSON expected: unknown field "methd"`},
		"more JSON":    {encode(`{"url":"http://a"} {}`, ""), "the head goes on behind its JSON object"},
		"no URL":       {encode(`{}`, ""), `URL "" is neither of http nor of https`},
		"method":       {head(`,"method":"GE T"`), `method "GE T" is none`},
		"connect":      {head(`,"method":"CONNECT"`), "method CONNECT is not possible"},
		"timeout":      {head(`,"timeoutMs":-1`), "timeoutMs -1 is not from 0"},
		"max":          {head(`,"maxBytes":10485761`), "maxBytes 10485761 is not from 0 (the default) to 10485760"},
		"event":        {head(`,"event":-1`), "event -1 is no place of an event; the first one is 0"},
		"redirect":     {head(`,"redirect":"maybe"`), `redirect "maybe" is neither follow nor manual`},
		"file":         {at("file:///etc/passwd"), "is neither of http nor of https"},
		"gopher":       {at("gopher://a/"), "is neither of http nor of https"},
		"relative":     {at("/path"), "is neither of http nor of https"},
		"no host":      {at("http:///path"), `URL "http:///path" has no host`},
		"opaque":       {at("http:a"), `URL "http:a" has no host`},
		"user":         {at("http://me:s3cret@a.b/"), `URL "http://me:xxxxx@a.b/" has a user in it; send an Authorization header`},
		"user trick":   {at("http://api.example@169.254.169.254/"), "has a user in it"},
		"port":         {at("http://a.b:99999/"), `the port "99999" is not from 1 to 65535`},
		"port 0":       {at("http://a.b:0/"), `the port "0" is not from 1 to 65535`},
		"decimal":      {at("http://2130706433/"), `the host "2130706433" ends in a number and is no address of IPv4`},
		"octal":        {at("http://0177.0.0.1/"), `the host "0177.0.0.1" ends in a number`},
		"hex":          {at("http://0x7f000001/"), `the host "0x7f000001" ends in a number`},
		"short IPv4":   {at("http://127.1/"), `the host "127.1" ends in a number`},
		"zone":         {at("http://[fe80::1%25eth0]/"), `is no address of IPv6 that can be reached`},
		"dots":         {at("http://a..b/"), "two dots"},
		"space":        {at("http://a b/"), "invalid character"},
		"control":      {at("http://a.b/\n"), "invalid control character"},
		"long":         {at("http://a.b/" + strings.Repeat("x", maxURL)), "bytes, the limit is 8192"},
		"host header":  {header("Host", "x"), "header host is set by the runtime and not by functions"},
		"length":       {header("Content-Length", "1"), "header content-length is set by the runtime"},
		"transfer":     {header("transfer-encoding", "chunked"), "header transfer-encoding is set by the runtime"},
		"proxy":        {header("Proxy-Authorization", "x"), "header proxy-authorization is set by the runtime"},
		"header name":  {header("a b", "x"), `header "a b" is no name`},
		"header value": {header("A", "s3cret\r\nB: c"), "the value of header a has a line end or another control character"},
		"large header": {header("A", strings.Repeat("x", maxHead)), "the headers have 65541 bytes together, the limit is 65536"},
		"many headers": {head(`,"headers":[` + many + `]`), "there are 101 headers, the limit is 100"},
	} {
		if r, err := Parse(tc.raw); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %+v, %v, want %s", name, r, err, tc.want)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
}

// FuzzParse: what is taken has a host that the allow list, the resolver and the connection see in the same way.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"url":"http://a.b/c?d"}`, `{"url":"https://[::1]:8080/","method":"POST","headers":[["A","b"]]}`, `{"url":"http://１.2.3.4"}`, `{"url":"http://a@b"}`, `{"url":"http://%61"}`, "{"} {
		f.Add([]byte(seed), []byte("body"))
	}
	f.Fuzz(func(t *testing.T, head, body []byte) {
		r, err := Parse(encode(string(head), string(body)))
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		again, err := parseURL(r.URL.String())
		if err != nil || again.Host != r.URL.Host || again.Scheme != r.URL.Scheme {
			t.Errorf("%s is read again as %v, %v", r.URL, again, err)
		}
		scheme, host, port := target(r.URL)
		if host == "" || host != strings.ToLower(host) || port < 1 || port > 65535 || scheme != "http" && scheme != "https" || r.URL.User != nil {
			t.Errorf("%s goes to %s", r.URL, fmt.Sprint(scheme, host, port))
		}
	})
}

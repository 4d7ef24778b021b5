package fetch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/evoke-run/evoke/api"
)

// Limits of a request.
const (
	MaxResponse = 10 << 20 // bytes of a body, and the default

	maxURL     = 8 << 10
	maxHeaders = 100
	maxHead    = 64 << 10 // bytes of the request's headers
)

// Request is what a guest asks for: docs/abi.md section 8.
type Request struct {
	Method  string
	URL     *url.URL // its host is in lower case ASCII, without a dot at its end
	Headers [][2]string
	Body    []byte
	// Timeout is how long it may take; 0 = as long as the function.
	Timeout time.Duration
	// Manual leaves redirects to the guest.
	Manual bool
	// MaxBytes is what the body of the response may have.
	MaxBytes int
	// Event is the place of the event that it is made for; -1 = all of the delivery.
	Event int
}

// head is the JSON before the body.
type head struct {
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Headers  [][2]string `json:"headers"`
	Timeout  int64       `json:"timeoutMs"`
	Redirect string      `json:"redirect"`
	MaxBytes int64       `json:"maxBytes"`
	Event    *int        `json:"event"`
}

// Parse reads a guest's request. Its body points into raw.
func Parse(raw []byte) (*Request, error) {
	if len(raw) < 4 {
		return nil, errors.New("a request is the length of its head as u32, the head as JSON, the body")
	}
	n := binary.LittleEndian.Uint32(raw)
	if uint64(n) > uint64(len(raw)-4) {
		return nil, fmt.Errorf("the head is said to have %d bytes, and %d follow", n, len(raw)-4)
	}
	var h head
	d := json.NewDecoder(bytes.NewReader(raw[4 : 4+n]))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return nil, fmt.Errorf("the head is not the JSON expected: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the head goes on behind its JSON object")
	}
	return h.request(raw[4+n:])
}

func (h *head) request(body []byte) (*Request, error) {
	r := &Request{Method: h.Method, Headers: h.Headers, Body: body, Timeout: time.Duration(h.Timeout) * time.Millisecond, MaxBytes: MaxResponse, Event: -1}
	if r.Method == "" {
		r.Method = "GET"
	}
	switch {
	case !isToken(r.Method) || len(r.Method) > 32:
		return nil, fmt.Errorf("method %.40q is none; use GET, POST and the like", r.Method)
	case r.Method == "CONNECT" || r.Method == "TRACE":
		return nil, fmt.Errorf("method %s is not possible", r.Method)
	case h.Timeout < 0 || h.Timeout > int64(24*time.Hour/time.Millisecond):
		return nil, fmt.Errorf("timeoutMs %d is not from 0 (as long as the function has) to 86400000", h.Timeout)
	case h.MaxBytes < 0 || h.MaxBytes > MaxResponse:
		return nil, fmt.Errorf("maxBytes %d is not from 0 (the default) to %d", h.MaxBytes, MaxResponse)
	case h.Event != nil && *h.Event < 0:
		return nil, fmt.Errorf("event %d is no place of an event; the first one is 0", *h.Event)
	case h.Redirect != "" && h.Redirect != "follow" && h.Redirect != "manual":
		return nil, fmt.Errorf("redirect %.40q is neither follow nor manual", h.Redirect)
	}
	r.Manual = h.Redirect == "manual"
	if h.MaxBytes > 0 {
		r.MaxBytes = int(h.MaxBytes)
	}
	if h.Event != nil {
		r.Event = *h.Event
	}
	var err error
	if r.URL, err = parseURL(h.URL); err != nil {
		return nil, err
	}
	return r, checkHeaders(h.Headers)
}

// parseURL reads an absolute URL and brings its host into the one form that is compared with the allow list, resolved and connected to.
func parseURL(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("the URL has %d bytes, the limit is %d", len(text), maxURL)
	}
	u, err := url.Parse(text)
	if err != nil {
		var e *url.Error // which repeats the URL
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, fmt.Errorf("URL %.80q: %w", text, err)
	}
	return u, normalize(u)
}

func normalize(u *url.URL) error {
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("URL %.80q is neither of http nor of https", u.Redacted())
	case u.User != nil:
		return fmt.Errorf("URL %.80q has a user in it; send an Authorization header", u.Redacted())
	case u.Opaque != "" || u.Host == "":
		return fmt.Errorf("URL %.80q has no host", u.String())
	}
	host, err := hostOf(u.Hostname())
	if err != nil {
		return fmt.Errorf("URL %.80q: %w", u.String(), err)
	}
	port := u.Port()
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return fmt.Errorf("URL %.80q: the port %.10q is not from 1 to 65535", u.String(), port)
	}
	switch {
	case port != "":
		u.Host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		u.Host = "[" + host + "]"
	default:
		u.Host = host
	}
	u.Fragment, u.RawFragment = "", ""
	return nil
}

// hostOf is the one form of a name or an address.
func hostOf(name string) (string, error) {
	if strings.Contains(name, ":") {
		addr, err := netip.ParseAddr(name)
		if err != nil || addr.Zone() != "" {
			return "", fmt.Errorf("%.60q is no address of IPv6 that can be reached", name)
		}
		return addr.String(), nil
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil {
		if ascii = strings.ToLower(strings.TrimSuffix(name, ".")); !isASCII(ascii) { // names with "_" are in use, and no names for idna
			return "", fmt.Errorf("the host %.60q is no name: %w", name, err)
		}
	}
	ascii = strings.TrimSuffix(ascii, ".") // of a dot that was another character before
	return ascii, api.CheckTargetHost(ascii)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 127 {
			return false
		}
	}
	return true
}

// target is what the allow list is asked about.
func target(u *url.URL) (scheme, host string, port int) {
	port = 443
	if u.Scheme == "http" {
		port = 80
	}
	if p := u.Port(); p != "" {
		port, _ = strconv.Atoi(p) // normalize has read it
	}
	return u.Scheme, u.Hostname(), port
}

// mayNotSet says why a guest may not set a header: it belongs to the connection, which it does not have, or follows from the URL and the body.
func mayNotSet(lower string) bool {
	switch lower {
	case "host", "content-length", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect", "proxy-connection":
		return true
	}
	return strings.HasPrefix(lower, "proxy-")
}

func checkHeaders(headers [][2]string) error {
	if len(headers) > maxHeaders {
		return fmt.Errorf("there are %d headers, the limit is %d", len(headers), maxHeaders)
	}
	size := 0
	for _, h := range headers {
		name, value := h[0], h[1]
		switch {
		case !isToken(name):
			return fmt.Errorf("header %.60q is no name", name)
		case mayNotSet(strings.ToLower(name)):
			return fmt.Errorf("header %s is set by the runtime and not by functions", strings.ToLower(name))
		case !isValue(value):
			return fmt.Errorf("the value of header %s has a line end or another control character", strings.ToLower(name)) // not the value: it may be a secret
		}
		size += len(name) + len(value) + 4
	}
	if size > maxHead {
		return fmt.Errorf("the headers have %d bytes together, the limit is %d", size, maxHead)
	}
	return nil
}

// isToken says whether s is what HTTP calls a token.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}

// Has says whether the guest has set a header.
func (r *Request) Has(name string) bool {
	for _, h := range r.Headers {
		if strings.EqualFold(h[0], name) {
			return true
		}
	}
	return false
}

// Set adds a header that the guest has not set. A value that no header can have is left out.
func (r *Request) Set(name, value string) {
	if isValue(value) {
		r.Headers = append(r.Headers, [2]string{name, value})
	}
}

func isValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// Unsafe says whether doing it twice may do twice what it does.
func (r *Request) Unsafe() bool {
	switch r.Method {
	case "GET", "HEAD", "OPTIONS":
		return false
	}
	return true
}

// Package evokehttp connects net/http with functions: Handler runs an http.Handler as one, Client and Transport send the requests of one. It is apart from package evoke because net/http would add to the size of functions that do not use it.
//
//	res, err := evokehttp.Client.Get("https://api.example.com/v1/rates")
//
// Libraries that take an *http.Client get Client, those that take a transport get Transport. Those that take neither use http.DefaultTransport:
//
//	func init() { http.DefaultTransport = evokehttp.Transport{} }
package evokehttp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/textproto"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

// Client sends requests as evoke.Fetch does. Redirects are followed by net/http, each of them checked by the runtime.
var Client = &http.Client{Transport: Transport{}}

// Transport is an http.RoundTripper that sends requests as evoke.Fetch does. Use the context of the handler, or one made of it. A request is at most 1 MiB, a response 10 MiB; both are read as a
// whole.
type Transport struct{}

// maxBody is what a call can carry, see docs/abi.md.
const maxBody = 1 << 20

// RoundTrip implements http.RoundTripper.
func (Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	if req.Host != "" && req.Host != req.URL.Host {
		return nil, fmt.Errorf("the Host %q is not that of the URL, %q; a function cannot send another one", req.Host, req.URL.Host)
	}
	res, err := evoke.Fetch(req.Context(), evoke.FetchRequest{Method: req.Method, URL: req.URL.String(), Headers: headersOf(req), Body: body, NoRedirect: true})
	if err != nil {
		return nil, err
	}
	return response(req, res), nil
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer req.Body.Close() //nolint:errcheck // it is read
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read the body of the request: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the body of the request is larger than 1 MiB: %w", evoke.ErrTooLarge)
	}
	return body, nil
}

// ofTheConnection are headers that a transport sets itself.
//
// It is read-only.
var ofTheConnection = map[string]bool{
	"Host": true, "Content-Length": true, "Connection": true, "Keep-Alive": true, "Transfer-Encoding": true, "Te": true, "Trailer": true, "Upgrade": true, "Expect": true,
	"Proxy-Connection": true,
}

func headersOf(req *http.Request) (headers [][2]string) {
	for name, values := range req.Header {
		if ofTheConnection[textproto.CanonicalMIMEHeaderKey(name)] {
			continue
		}
		for _, v := range values {
			headers = append(headers, [2]string{name, v})
		}
	}
	return headers
}

func response(req *http.Request, res *evoke.FetchResponse) *http.Response {
	header := http.Header{}
	for _, h := range res.Headers {
		header.Add(h[0], h[1])
	}
	return &http.Response{
		Status: fmt.Sprint(res.Status, " ", http.StatusText(res.Status)), StatusCode: res.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(res.Body)), ContentLength: int64(len(res.Body)), Request: req,
	}
}

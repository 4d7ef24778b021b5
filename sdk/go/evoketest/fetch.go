//go:build !wasip1

package evoketest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
)

const maxResponse = 10 << 20

// fetch runs a request in a goroutine, as the runtime does.
func (d *delivery) fetch(a *answer, raw []byte) {
	ctx, cancel := context.WithDeadline(context.Background(), d.deadline)
	a.cancel, a.done = cancel, make(chan struct{})
	d.fetches++
	key := fmt.Sprint("test-", d.fetches)
	d.running.Add(1)
	go func() {
		defer d.running.Done()
		defer cancel()
		status, body := d.rt.answer(ctx, raw, key)
		d.calls.Lock()
		a.status, a.body = status, body
		d.calls.Unlock()
		close(a.done)
		select {
		case d.ended <- struct{}{}:
		default:
		}
	}()
}

func (r *Runtime) answer(ctx context.Context, raw []byte, key string) (status int32, body []byte) {
	var head struct {
		URL, Method, Redirect string
		Headers               [][2]string
		TimeoutMs             int64
		MaxBytes              int
		Event                 int
	}
	n := binary.LittleEndian.Uint32(raw)
	if err := json.Unmarshal(raw[4:4+n], &head); err != nil {
		return abi.StatusInvalid, []byte(err.Error())
	}
	if head.TimeoutMs > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(head.TimeoutMs)*time.Millisecond)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, head.Method, head.URL, bytes.NewReader(raw[4+n:]))
	switch {
	case err != nil:
		return abi.StatusInvalid, []byte(err.Error())
	case req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.URL.Host == "":
		return abi.StatusInvalid, []byte("the URL is neither of http nor of https, or has no host")
	case r.HTTP == nil:
		return abi.StatusUnreachable, []byte("nobody answers; set evoketest.Runtime.HTTP")
	}
	for _, h := range head.Headers {
		req.Header.Add(h[0], h[1])
	}
	switch req.Method {
	case "GET", "HEAD", "OPTIONS":
	default:
		if req.Header.Get("Idempotency-Key") == "" {
			req.Header.Set("Idempotency-Key", key)
		}
	}
	client := http.Client{Transport: handlerTransport{r.HTTP}}
	if head.Redirect == "manual" {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	res, err := client.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return abi.StatusTimeout, []byte("no whole response in time")
	case err != nil:
		return abi.StatusUnreachable, []byte(err.Error())
	}
	limit := head.MaxBytes
	if limit == 0 {
		limit = maxResponse
	}
	return encodeResponse(res, limit)
}

func encodeResponse(res *http.Response, limit int) (status int32, answer []byte) {
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return abi.StatusUnreachable, []byte(err.Error())
	case len(body) > limit:
		return abi.StatusTooLarge, []byte("the response is larger than maxBytes")
	}
	headers := [][2]string{}
	for name, values := range res.Header {
		for _, v := range values {
			headers = append(headers, [2]string{strings.ToLower(name), v})
		}
	}
	sort.SliceStable(headers, func(i, j int) bool { return headers[i][0] < headers[j][0] })
	head := mustJSON(map[string]any{"status": res.StatusCode, "url": res.Request.URL.String(), "headers": headers})
	answer = binary.LittleEndian.AppendUint32(nil, uint32(len(head)))
	return abi.StatusOK, append(append(answer, head...), body...)
}

// handlerTransport lets a handler answer requests, without a network.
type handlerTransport struct{ handler http.Handler }

func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	w := &responseWriter{header: http.Header{}}
	served := make(chan struct{})
	go func() {
		defer close(served)
		in := req.Clone(req.Context())
		in.URL = &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
		in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "127.0.0.1:1"
		if in.Host == "" {
			in.Host = req.URL.Host
		}
		if in.Body == nil {
			in.Body = http.NoBody
		}
		t.handler.ServeHTTP(w, in)
	}()
	select {
	case <-served:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: fmt.Sprint(w.status, " ", http.StatusText(w.status)), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

// responseWriter keeps what a handler answers.
type responseWriter struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *responseWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

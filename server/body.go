package server

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// bodies reads request bodies into memory and bounds what all of them take together.
type bodies struct {
	max  int64
	held atomic.Int64
}

// firstBuffer is what a body takes before it has shown that it is longer, so that a client cannot reserve memory by a header alone.
const firstBuffer = 64 << 10

// read returns the whole body; release gives its room back and is never nil.
func (b *bodies) read(c echo.Context, limit int64) (body []byte, release func(), err error) {
	r := c.Request()
	if r.ContentLength > limit {
		return nil, func() {}, tooLong(limit)
	}
	in := http.MaxBytesReader(c.Response().Writer, r.Body, limit) // the bare writer: it closes the connection of who sends on
	if body, release, err = b.readAll(in, r.ContentLength); err != nil {
		return nil, release, bodyError(err)
	}
	_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Time{}) // set by track; a transport without deadlines needs none
	return body, release, nil
}

// plain is what a body was before the client compressed it, and the body itself when it did not.
func (b *bodies) plain(h http.Header, body []byte, limit int64) (plain []byte, release func(), err error) {
	switch encoding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return body, func() {}, nil
	case "gzip", "x-gzip":
	default:
		return nil, func() {}, refuse(errCoding, "", "content encoding %q is not known here", encoding)
	}
	in, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, func() {}, refuse(errInvalid, "send it again, or without Content-Encoding", "the body is not gzip, as its Content-Encoding says: %v", err)
	}
	plain, release, err = b.readAll(io.LimitReader(in, limit+1), -1)
	switch {
	case errors.Is(err, errBuffersFull):
		return nil, release, err
	case err != nil:
		return nil, release, refuse(errInvalid, "send it again, or without Content-Encoding", "the gzip body is broken: %v", err)
	case int64(len(plain)) > limit:
		return nil, release, refuse(errTooLarge, "", "the body is longer than %d MiB once it is not compressed any more", limit>>20)
	}
	return plain, release, nil
}

// readAll reads to the end into memory that is accounted for; release is never nil.
func (b *bodies) readAll(in io.Reader, announced int64) (body []byte, release func(), err error) {
	var held int64
	release = func() { b.held.Add(-held) }
	buf := make([]byte, 0, firstSize(announced))
	if held = int64(cap(buf)); b.held.Add(held) > b.max {
		return nil, release, errBuffersFull
	}
	for {
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, release, nil
		}
		if err != nil {
			return nil, release, err
		}
		if len(buf) < cap(buf) {
			continue
		}
		more := growth(int64(len(buf)), announced)
		if held += more; b.held.Add(more) > b.max {
			return nil, release, errBuffersFull
		}
		buf = append(make([]byte, 0, len(buf)+int(more)), buf...)
	}
}

// firstSize has room for one byte more than announced: the read that finds the end needs it.
func firstSize(contentLength int64) int64 {
	if contentLength < 0 {
		return 4 << 10
	}
	return min(contentLength+1, firstBuffer)
}

// growth is how many bytes more a full buffer gets: as many as it has, or the rest of what was announced when that is not much more.
func growth(length, announced int64) int64 {
	if rest := announced + 1 - length; rest > 0 && rest <= 3*length {
		return min(rest, 4<<20)
	}
	return min(length, 4<<20)
}

func tooLong(limit int64) error {
	return refuse(errTooLarge, "", "the body is longer than %d MiB", limit>>20)
}

func bodyError(err error) error {
	if errors.Is(err, errBuffersFull) {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return refuse(errSlowBody, "", "the body did not arrive in the time that a client gets for it")
	}
	if long, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLong(long.Limit)
	}
	return refuse(errInvalid, "send it again", "the body ended early: %v", err)
}

package server

import (
	"errors"
	"io"
	"net/http"
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
	var held int64
	release = func() { b.held.Add(-held) }
	if r.ContentLength > limit {
		return nil, release, tooLong(limit)
	}
	buf := make([]byte, 0, firstSize(r.ContentLength))
	if held = int64(cap(buf)); b.held.Add(held) > b.max {
		return nil, release, errBuffersFull
	}
	in := http.MaxBytesReader(c.Response().Writer, r.Body, limit) // the bare writer: it closes the connection of who sends on
	for {
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Time{}) // set by track; a transport without deadlines needs none
			return buf, release, nil
		}
		if err != nil {
			return nil, release, bodyError(err)
		}
		if len(buf) < cap(buf) {
			continue
		}
		more := int64(min(len(buf), 4<<20))
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

func tooLong(limit int64) error {
	return refuse(errTooLarge, "", "the body is longer than %d MiB", limit>>20)
}

func bodyError(err error) error {
	if long, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLong(long.Limit)
	}
	return refuse(errInvalid, "send it again", "the body ended early: %v", err)
}

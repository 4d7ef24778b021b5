package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// heartbeat is how often a quiet stream sends an empty line, so that proxies keep it open and a client that has gone is noticed.
const heartbeat = 15 * time.Second

// stream is an answer of JSON lines, sent one by one.
type stream struct {
	ctx context.Context // ends with the request, with the drain, or when the client does not read
	rc  *http.ResponseController
	in  func() bool // whether the one who asked still may

	mu  sync.Mutex // of the writer: lines and heartbeats
	w   http.ResponseWriter
	buf bytes.Buffer
}

// newStream sends the header. done ends the heartbeats and waits for the last.
func (s *Server) newStream(c echo.Context) (st *stream, done func()) {
	ctx, cancel := context.WithCancelCause(c.Request().Context())
	unlink := context.AfterFunc(s.streams, func() { cancel(errDraining) })
	w := c.Response()
	who := actorOf(c)
	st = &stream{ctx: ctx, rc: http.NewResponseController(w), w: w, in: func() bool { return s.stillIn(who) }}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_ = st.rc.Flush() // a client that has gone is noticed by the first line
	var beating sync.WaitGroup
	beating.Go(func() { st.beat(cancel) })
	return st, func() {
		unlink()
		cancel(context.Canceled)
		beating.Wait()
	}
}

func (st *stream) beat(cancel context.CancelCauseFunc) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-st.ctx.Done():
			return
		case <-tick.C:
			if !st.in() {
				cancel(errRevoked)
				return
			}
			st.mu.Lock()
			st.buf.Reset()
			st.buf.WriteByte('\n')
			err := st.flush()
			st.mu.Unlock()
			if err != nil {
				cancel(err)
				return
			}
		}
	}
}

// send writes one line and flushes it.
func (st *stream) send(v any) error {
	if st.ctx.Err() != nil {
		return context.Cause(st.ctx)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.buf.Reset()
	enc := json.NewEncoder(&st.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode a line: %w", err)
	}
	return st.flush()
}

// flush sends buf; the caller holds mu.
func (st *stream) flush() error {
	_ = st.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // a transport without deadlines needs none
	_, err := st.w.Write(st.buf.Bytes())
	if err := errors.Join(err, st.rc.Flush()); err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	return nil
}

// end is the error of the whole answer: a drain ends a stream in good order.
func (st *stream) end(err error) error {
	if errors.Is(err, errDraining) || err != nil && context.Cause(st.ctx) == errDraining {
		return nil
	}
	return err
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// load is HTTP load on one address: each connection sends a request, waits for its answer, and sends the next, at once or when it is due. It writes requests by
// hand, because the client shares the processors with what it measures.
type load struct {
	addr        string
	connections int
	status      int                 // that every answer must have
	request     func([]byte) []byte // appends the next request; called by all connections at once
	process     *process            // whose CPU time counts
}

// run puts load on for a while, as much as the answers allow.
func (l *load) run(ctx context.Context, length time.Duration) (sample, error) {
	return l.drive(ctx, func(do func(context.Context, int) error) (sample, error) {
		return hammer(ctx, l.connections, length, do)
	})
}

// runAt sends as many requests a second as it is told to, however long the answers take. The latency of one counts from when it was to be sent.
func (l *load) runAt(ctx context.Context, rate float64, length time.Duration) (sample, error) {
	return l.drive(ctx, func(do func(context.Context, int) error) (sample, error) {
		return pace(ctx, l.connections, rate, length, do)
	})
}

// drive opens the connections and lets by send requests on them.
func (l *load) drive(ctx context.Context, by func(do func(ctx context.Context, connection int) error) (sample, error)) (out sample, err error) {
	conns := make([]*connection, l.connections)
	for i := range conns {
		if conns[i], err = dial(ctx, l.addr); err != nil {
			return sample{}, errors.Join(err, closeAll(conns))
		}
	}
	// A connection that waits for an answer does not see the context end.
	stop := context.AfterFunc(ctx, func() { _ = closeAll(conns) }) // the error of the context counts
	defer stop()
	before, err := l.process.cpu()
	if err != nil {
		return sample{}, errors.Join(err, closeAll(conns))
	}
	out, err = by(func(_ context.Context, i int) error {
		c := conns[i]
		c.buffer = l.request(c.buffer[:0])
		return c.roundTrip(l.status)
	})
	after, cpuErr := l.process.cpu()
	out.cpu = after - before
	if err := errors.Join(err, cpuErr); err != nil {
		return sample{}, errors.Join(err, closeAll(conns))
	}
	return out, closeAll(conns)
}

// connection is one keep-alive connection.
type connection struct {
	net.Conn
	reader *bufio.Reader
	buffer []byte
}

func dial(ctx context.Context, addr string) (*connection, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, reader: bufio.NewReader(c)}, nil
}

func closeAll(conns []*connection) error {
	var errs []error
	for _, c := range conns {
		if c == nil {
			continue
		}
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// patience is how long an answer may take.
const patience = 20 * time.Second

func (c *connection) roundTrip(want int) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(c.buffer); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // what arrived is all there is to show
		return fmt.Errorf("%s answered %s, want %d: %s", c.RemoteAddr(), res.Status, want, body)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s answered %s without a body", c.RemoteAddr(), res.Status)
	}
	return err
}

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"time"
)

// ErrStreamEnded ends a followed stream that the server closed.
var ErrStreamEnded = errors.New("the server ended the stream")

// maxLine bounds one line of a stream: an event of 1 MiB in base64 and what is around it.
const maxLine = 4 << 20

// TailOptions select events of a topic.
type TailOptions struct {
	// Limit is how many of the newest stored events come first; 0 is the server's own limit.
	Limit int
	// Since leaves out what was stored before; zero for no bound.
	Since time.Time
	// Follow goes on with new events until ctx ends.
	Follow bool
}

// TopicEvents reads the events of a topic, oldest first. An error ends the sequence.
func (c *Client) TopicEvents(ctx context.Context, ns, topic string, o TailOptions) iter.Seq2[TopicEvent, error] {
	q := url.Values{}
	setInt(q, "limit", o.Limit)
	setTime(q, "since", o.Since)
	setBool(q, "follow", o.Follow)
	return stream[TopicEvent](ctx, c, request{path: []string{"ns", ns, "topics", topic, "events"}, query: q}, o.Follow)
}

// LogOptions select log entries; zero fields select all.
type LogOptions struct {
	Function   string
	Invocation string
	// Level leaves out what is less: "debug", "info", "warn" or "error".
	Level string
	// Since leaves out what is older.
	Since time.Time
	// Limit is how many of the newest entries come first; 0 is the server's own limit.
	Limit int
	// Follow goes on with new entries until ctx ends.
	Follow bool
}

// Logs reads log entries, oldest first. An error ends the sequence.
func (c *Client) Logs(ctx context.Context, ns string, o LogOptions) iter.Seq2[LogEntry, error] {
	q := url.Values{}
	setText(q, "function", o.Function)
	setText(q, "invocation", o.Invocation)
	setText(q, "level", o.Level)
	setTime(q, "since", o.Since)
	setInt(q, "limit", o.Limit)
	setBool(q, "follow", o.Follow)
	return stream[LogEntry](ctx, c, request{path: []string{"ns", ns, "logs"}, query: q}, o.Follow)
}

// stream yields one value for each line of the answer. Empty lines keep a quiet connection alive and are skipped.
func stream[T any](ctx context.Context, c *Client, r request, follow bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		res, err := c.do(ctx, r)
		if err != nil {
			yield(zero, err)
			return
		}
		defer res.Body.Close() // ends the request when the caller has enough
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			line := bytes.TrimSpace(lines.Bytes())
			if len(line) == 0 {
				continue
			}
			var v T
			if err := json.Unmarshal(line, &v); err != nil {
				yield(zero, c.transportError(ctx, fmt.Errorf("read a line of %s: %w", res.Request.URL.Path, err)))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := endOfStream(lines.Err(), follow); err != nil {
			yield(zero, c.transportError(ctx, err))
		}
	}
}

// endOfStream is nil only where an end was expected.
func endOfStream(err error, follow bool) error {
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case follow:
		return ErrStreamEnded
	}
	return nil
}

func setTime(q url.Values, name string, t time.Time) {
	if !t.IsZero() {
		q.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}

func setBool(q url.Values, name string, v bool) {
	if v {
		q.Set(name, "true")
	}
}

// Package evokelog connects log/slog with the log of the function. It is apart from package evoke because slog would add to the size of functions
// that do not use it.
//
//	func init() { slog.SetDefault(slog.New(evokelog.NewHandler(nil))) }
package evokelog

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// NewHandler makes a handler that writes each record as one line, "msg=… key=value …". The runtime knows time and level, so they are left out.
// Options may be nil; the default level is info.
func NewHandler(o *slog.HandlerOptions) slog.Handler {
	if o == nil {
		o = &slog.HandlerOptions{}
	}
	own, replace := *o, o.ReplaceAttr
	own.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		if replace != nil {
			return replace(groups, a)
		}
		return a
	}
	var h handler
	for i, l := range levels {
		h[i] = slog.NewTextHandler(line(l), &own)
	}
	return h
}

// levels are the ones the runtime knows. Slog allows numbers in between; they count as the one below.
var levels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// line writes what slog's text handler makes of a record, in one call, to the log at its level.
type line slog.Level

func (l line) Write(b []byte) (int, error) {
	host.Log(int32(l), string(bytes.TrimSuffix(b, []byte("\n"))))
	return len(b), nil
}

// handler is a text handler for every level.
type handler [len(levels)]slog.Handler

func (h handler) Enabled(ctx context.Context, l slog.Level) bool { return h[0].Enabled(ctx, l) }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	i := len(levels) - 1
	for i > 0 && r.Level < levels[i] {
		i--
	}
	return h[i].Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for i := range h {
		h[i] = h[i].WithAttrs(attrs)
	}
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	for i := range h {
		h[i] = h[i].WithGroup(name)
	}
	return h
}

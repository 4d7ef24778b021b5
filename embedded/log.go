package embedded

import (
	"context"
	"log/slog"
	"strings"

	"go.uber.org/zap/zapcore"
)

// expected says which messages tell nothing to whoever operates this server.
func expected(message string) bool {
	switch message {
	case "Running http and grpc server on single port. This is not recommended for production.": // there is no port
	case "simple token is not cryptographically signed": // nobody logs in
	case "Failed to detect schema version", "failed to update storage version": // an empty database has none for its first moments; etcd repeats it
	case "failed to update cluster version": // the same, when it is closed before it was repeated
	default:
		// Raft says so of a member that is alone when an election comes before it has joined itself; the next one succeeds.
		return strings.Contains(message, "cannot campaign at term")
	}
	return true
}

// slogCore sends etcd's warnings and errors to slog; what is below is dropped before it is built.
type slogCore struct {
	logger *slog.Logger
	fields []zapcore.Field
}

func (c slogCore) Enabled(l zapcore.Level) bool {
	return l >= zapcore.WarnLevel && c.logger.Enabled(context.Background(), level(l))
}

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{logger: c.logger, fields: append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

func (c slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && !expected(e.Message) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		f.AddTo(enc)
	}
	attrs := []slog.Attr{slog.String("message", e.Message)}
	for name, v := range enc.Fields {
		attrs = append(attrs, slog.Any(name, v))
	}
	c.logger.LogAttrs(context.Background(), level(e.Level), "etcd", attrs...)
	return nil
}

func (c slogCore) Sync() error { return nil }

func level(l zapcore.Level) slog.Level {
	if l >= zapcore.ErrorLevel {
		return slog.LevelError
	}
	return slog.LevelWarn
}

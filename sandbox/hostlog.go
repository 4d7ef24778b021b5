package sandbox

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"

	"github.com/evoke-run/evoke/sdk/abi"
)

const (
	maxPartialLine = 16 << 10 // a line without an end is flushed at this length
	maxCrashLine   = 512
)

func logLine(c call, stack []uint64) {
	b := c.memory.bytes(stack[1], stack[2])
	if c.log.cut {
		return // before 64 KiB are copied for nothing, again and again
	}
	c.log.line(level(int32(stack[0])), string(b[:min(len(b), abi.MaxLog+1)]))
}

// level maps any number to the nearest level at or below it; what is below debug is debug.
func level(n int32) slog.Level {
	switch {
	case n >= abi.LevelError:
		return slog.LevelError
	case n >= abi.LevelWarn:
		return slog.LevelWarn
	case n >= abi.LevelInfo:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// guestLog passes a guest's lines on, up to the limit of an attempt. Lines of stdout and stderr have the level info, from the first line on that
// looks like the guest's own death cry they are errors.
type guestLog struct {
	host   Host
	used   int // bytes, with one for the end of each line
	cut    bool
	stdout []byte // lines that have no end yet
	stderr []byte
	last   string // last line on stderr that is not empty
	crash  string // line on stderr that says why the guest died
	failed string // last line with the level error
}

func (l *guestLog) line(level slog.Level, message string) {
	if l.cut {
		return
	}
	message = strings.ToValidUTF8(message, "\uFFFD")
	if level >= slog.LevelError {
		l.failed = cutText(message, maxCrashLine)
	}
	if left := abi.MaxLog - l.used - 1; len(message) > left {
		l.cut = true
		if kept := cutText(message, max(left, 0)); kept != "" {
			l.host.Log(level, kept)
		}
		l.host.Log(slog.LevelWarn, fmt.Sprintf("log limit of %d bytes reached, the rest of this attempt's log is cut", abi.MaxLog))
		return
	}
	l.used += len(message) + 1
	l.host.Log(level, message)
}

func (l *guestLog) writeStdout(b []byte) {
	l.stdout = splitLines(l.stdout, b, func(line []byte) { l.line(slog.LevelInfo, string(line)) })
}

func (l *guestLog) writeStderr(b []byte) { l.stderr = splitLines(l.stderr, b, l.errLine) }

func (l *guestLog) errLine(line []byte) {
	if text := bytes.TrimSpace(line); len(text) > 0 {
		l.last = cutText(string(text[:min(len(text), abi.MaxReason)]), abi.MaxReason)
		switch {
		case l.crash == "" && isCrash(text):
			l.crash = cutText(l.last, maxCrashLine)
		case strings.HasSuffix(l.crash, ":"): // Rust since 1.73 says where on one line and what on the next
			l.crash = cutText(l.crash+" "+l.last, maxCrashLine)
		}
	}
	level := slog.LevelInfo
	if l.crash != "" {
		level = slog.LevelError
	}
	l.line(level, string(line))
}

// isCrash knows the first line of a dying Go and Rust program. Newer Rust has the thread's number behind its name.
func isCrash(line []byte) bool {
	return bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: ")) ||
		bytes.HasPrefix(line, []byte("thread '")) && bytes.Contains(line, []byte(" panicked at "))
}

// flush passes on lines that never got their end.
func (l *guestLog) flush() {
	if len(l.stdout) > 0 {
		l.line(slog.LevelInfo, string(l.stdout))
	}
	if len(l.stderr) > 0 {
		l.errLine(l.stderr)
	}
	l.stdout, l.stderr = nil, nil
}

// splitLines calls line for each whole line of rest and b, and returns what is left.
func splitLines(rest, b []byte, line func([]byte)) []byte {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		piece := b
		if end >= 0 {
			piece = b[:end]
		}
		if room := maxPartialLine - len(rest); len(piece) > room {
			line(append(rest, piece[:room]...))
			rest, b = rest[:0], b[room:]
			continue
		}
		rest = append(rest, piece...)
		if end < 0 {
			return rest
		}
		line(bytes.TrimSuffix(rest, []byte("\r")))
		rest, b = rest[:0], b[end+1:]
	}
	return rest
}

package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
)

// Filter selects entries; a zero field selects all.
type Filter struct {
	Namespace, Function, Invocation string
	// Since leaves out entries with an earlier time.
	Since time.Time
	// MinLevel leaves out entries below "debug", "info", "warn" or "error".
	MinLevel string
	// Trigger selects entries of events that came by it.
	Trigger string
	// Attempts leaves out all but the lines that close an attempt, Last all but those that close the last one, of an invocation that is not a dead letter.
	Attempts, Last bool
}

func (f Filter) match(e *api.LogEntry) bool {
	return (f.Namespace == "" || f.Namespace == e.Namespace) &&
		(f.Function == "" || f.Function == e.Function) &&
		(f.Invocation == "" || f.Invocation == e.Invocation) &&
		(f.Trigger == "" || f.Trigger == e.Trigger) &&
		(e.Attempt != nil || !f.Attempts && !f.Last) &&
		(!f.Last || e.Next != "retry" && e.Next != "dead-letter") &&
		!e.Time.Before(f.Since) &&
		severity(e.Level) >= severity(f.MinLevel)
}

func severity(level string) int {
	return slices.Index([]string{"debug", "info", "warn", "error"}, level) // −1 for none and for what nobody knows
}

// defaultLimit and maxLimit bound how many entries one query holds in memory.
const (
	defaultLimit = 100
	maxLimit     = 10_000
)

// lateness is how much older than its neighbours an entry may be: entries are stored in the order of Append, with times taken before.
const lateness = time.Hour

// Query calls yield with the newest limit entries that match, oldest first, up to everything appended before the call. limit 0 means 100, and more
// than 10,000 means 10,000. It returns yield's error, or ErrClosed.
func (s *Store) Query(f Filter, limit int, yield func(api.LogEntry) error) error {
	end, err := s.settled()
	if err != nil {
		return err
	}
	return s.read(f, end, limit, yield)
}

func (s *Store) read(f Filter, end position, limit int, yield func(api.LogEntry) error) error {
	if limit <= 0 {
		limit = defaultLimit
	}
	found, err := newest(s.writer.dir, f, end, min(limit, maxLimit))
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	for _, e := range slices.Backward(found) {
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// newest collects matching entries before end, newest first.
func newest(dir string, f Filter, end position, limit int) ([]api.LogEntry, error) {
	segments, err := listSegments(dir)
	if err != nil {
		return nil, err
	}
	var found []api.LogEntry
	after := time.Time{} // when the segment after this one began: nothing in this one was appended later
	for _, seg := range slices.Backward(segments) {
		if seg.number > end.segment || len(found) == limit {
			continue
		}
		if !after.IsZero() && after.Add(lateness).Before(f.Since) {
			break
		}
		if seg.number == end.segment {
			seg.size = min(seg.size, end.size)
		}
		if found, err = appendMatches(found, seg, f, limit); err != nil {
			return nil, err
		}
		after = seg.began()
	}
	return found, nil
}

func appendMatches(found []api.LogEntry, seg segment, f Filter, limit int) ([]api.LogEntry, error) {
	file, err := os.Open(seg.path)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil // the ring has moved on
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	err = linesBackward(file, seg.size, func(line []byte) bool {
		if e, ok := f.decode(line); ok {
			found = append(found, e)
		}
		return len(found) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(seg.path), err)
	}
	return found, nil
}

// decode reads a line if it may match. Most lines do not: looking for the name in the bytes is much faster than JSON. Names that JSON would escape
// are not looked for.
func (f Filter) decode(line []byte) (api.LogEntry, bool) {
	for _, want := range []string{f.Invocation, f.Function, f.Trigger} {
		if plain(want) && !bytes.Contains(line, []byte(want)) {
			return api.LogEntry{}, false
		}
	}
	if (f.Attempts || f.Last) && !bytes.Contains(line, []byte(`"attempt":{`)) {
		return api.LogEntry{}, false
	}
	var e api.LogEntry
	if err := json.Unmarshal(line, &e); err != nil {
		return api.LogEntry{}, false // the rest of a line that a full disk cut
	}
	return e, f.match(&e)
}

func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < '-' || r > 'z' || r == '<' || r == '>' || r == '\\'
	})
}

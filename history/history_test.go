package history

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func entry(message string) api.LogEntry {
	return api.LogEntry{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Namespace: "default", Function: "charge", Revision: 3,
		Invocation: "1-2-3", EventID: "e", Trigger: "charge:orders", Level: "info", Message: message,
	}
}

// messages are the messages a query yields.
func messages(t *testing.T, s *Store, f Filter, limit int) []string {
	t.Helper()
	var out []string
	if err := s.Query(f, limit, func(e api.LogEntry) error {
		out = append(out, e.Message)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// written lets the writer come to what was appended. It is for a bubble of synctest.
func written() {
	time.Sleep(gather)
	synctest.Wait()
}

func numbered(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestEntriesComeBackWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	want := entry("a \"line\"\nand <more>")
	want.Attempt = &api.Attempt{Attempt: 2, Revision: 3, Start: want.Time, Duration: api.Duration(time.Second), Verdict: "failed", Class: "trap", Error: "unreachable",
		Bill: api.Bill{Wall: time.Second, Guest: 400 * time.Microsecond, Fuel: 97_041, PeakMemory: 2 << 20, BytesIn: 1024, BytesOut: 512, HostCalls: 7}}
	want.Next, want.RetryAt = "retry", want.Time.Add(time.Minute)
	s.Append(want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var got []api.LogEntry
	if err := open(t, Options{Dir: dir}).Query(Filter{}, 0, func(e api.LogEntry) error {
		got = append(got, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || *got[0].Attempt != *want.Attempt {
		t.Fatalf("got %+v", got)
	}
	got[0].Attempt, want.Attempt = nil, nil
	if got[0] != want {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
}

// A segment written before attempts had bills reads as ever, and so does one of a later version that says more.
func TestSegmentsOfOtherVersionsAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const lines = `{"time":"2026-01-02T03:04:05Z","namespace":"default","function":"charge","revision":3,"invocation":"1-2-3","eventId":"e","level":"info",` +
		`"attempt":{"attempt":1,"revision":3,"start":"2026-01-02T03:04:05Z","duration":"1ms","verdict":"done"}}` + "\n" +
		`{"time":"2026-01-02T03:04:06Z","namespace":"default","function":"charge","revision":3,"invocation":"1-2-4","eventId":"f","level":"info","later":[1],` +
		`"attempt":{"attempt":2,"revision":3,"start":"2026-01-02T03:04:06Z","duration":"2ms","verdict":"done","bill":{"wallNs":5,"fuel":7,"joules":1}}}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, segmentName(time.Now().UnixNano())), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []api.Attempt
	if err := open(t, Options{Dir: dir}).Query(Filter{Function: "charge"}, 0, func(e api.LogEntry) error {
		got = append(got, *e.Attempt)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Attempt != 1 || got[0].Duration != api.Duration(time.Millisecond) || got[0].Bill != (api.Bill{}) || got[1].Bill != (api.Bill{Wall: 5, Fuel: 7}) {
		t.Errorf("got %+v", got)
	}
}

func TestQueryGivesTheNewestInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, MaxBytes: 64 << 10}) // segments of 4 KiB, about 20 lines
	for _, m := range numbered(0, 200) {
		s.Append(entry(m))
	}
	if got := messages(t, s, Filter{}, 0); !slices.Equal(got, numbered(100, 200)) {
		t.Errorf("by default: %v", got)
	}
	if got := messages(t, s, Filter{}, 3); !slices.Equal(got, numbered(197, 200)) {
		t.Errorf("limit 3: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir, MaxBytes: 64 << 10})
	s.Append(entry("200"))
	if got := messages(t, s, Filter{}, 150); !slices.Equal(got, numbered(51, 201)) {
		t.Errorf("after a restart: %v", got)
	}
	stop := errors.New("enough")
	if err := s.Query(Filter{}, 0, func(api.LogEntry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("yield's error: got %v", err)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: t.TempDir()})
	start := entry("").Time
	for i, change := range []func(*api.LogEntry){
		func(e *api.LogEntry) {},
		func(e *api.LogEntry) { e.Namespace = "other" },
		func(e *api.LogEntry) { e.Function = "charge-2" },
		func(e *api.LogEntry) { e.Invocation = "1-2-34" },
		func(e *api.LogEntry) { e.Time = start.Add(time.Minute) },
		func(e *api.LogEntry) { e.Level = "debug" },
		func(e *api.LogEntry) { e.Level = "error" },
		func(e *api.LogEntry) { e.Invocation, e.Function = `a"<b`, "ü" },
	} {
		e := entry(fmt.Sprint(i))
		change(&e)
		s.Append(e)
	}
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "0 1 2 3 4 5 6 7"},
		{Filter{Namespace: "default"}, "0 2 3 4 5 6 7"},
		{Filter{Namespace: "other"}, "1"},
		{Filter{Function: "charge"}, "0 1 3 4 5 6"},
		{Filter{Invocation: "1-2-3"}, "0 1 2 4 5 6"},
		{Filter{Since: start.Add(time.Second)}, "4"},
		{Filter{MinLevel: "debug"}, "0 1 2 3 4 5 6 7"},
		{Filter{MinLevel: "info"}, "0 1 2 3 4 6 7"},
		{Filter{MinLevel: "warn"}, "6"},
		{Filter{Invocation: `a"<b`}, "7"},
		{Filter{Function: "ü"}, "7"},
		{Filter{Function: "none"}, ""},
	} {
		if got := strings.Join(messages(t, s, c.f, 0), " "); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.f, got, c.want)
		}
	}
}

func (s *Store) sizeOnDisk(t *testing.T) (total int64, segments int) {
	t.Helper()
	list, err := listSegments(s.writer.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, seg := range list {
		total += seg.size
	}
	return total, len(list)
}

func TestRingStaysBelowItsSize(t *testing.T) {
	t.Parallel()
	const maxBytes = 64 << 10
	s := open(t, Options{Dir: t.TempDir(), MaxBytes: maxBytes})
	for i := range 2000 { // about 400 KiB
		s.Append(entry(fmt.Sprint(i)))
		if i%100 == 0 {
			messages(t, s, Filter{}, 1)
			if total, _ := s.sizeOnDisk(t); total > maxBytes {
				t.Fatalf("%d bytes on disk, the limit is %d", total, maxBytes)
			}
		}
	}
	got := messages(t, s, Filter{}, 5000)
	if n := len(got); n < 200 || n == 2000 {
		t.Errorf("%d entries are left", n)
	}
	if !slices.Equal(got, numbered(2000-len(got), 2000)) {
		t.Error("what is left are not the newest entries in order")
	}
	if s.Dropped() != 0 {
		t.Errorf("%d dropped", s.Dropped())
	}
}

func TestEntryLargerThanASegment(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: t.TempDir(), MaxBytes: 1 << 20}) // segments of 64 KiB
	big := strings.Repeat("x", 200<<10)
	for _, m := range []string{"before", big, "after"} {
		s.Append(entry(m))
	}
	if got := messages(t, s, Filter{}, 0); !slices.Equal(got, []string{"before", big, "after"}) {
		t.Errorf("got %d entries", len(got))
	}
}

func TestRingForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := open(t, Options{Dir: t.TempDir(), MaxAge: 24 * time.Hour, Now: c.Now})
	for hour := range 60 {
		e := entry(fmt.Sprint(hour))
		e.Time = c.Now()
		s.Append(e)
		messages(t, s, Filter{}, 1) // the writer has seen this hour
		c.add(time.Hour + time.Second)
	}
	got := messages(t, s, Filter{}, 0)
	if n := len(got); n < 24 || n > 26 || got[n-1] != "59" {
		t.Errorf("%d hours are left: %v", n, got)
	}
	if got := messages(t, s, Filter{Since: c.Now().Add(-150 * time.Minute)}, 0); !slices.Equal(got, []string{"58", "59"}) {
		t.Errorf("the last hours: %v", got)
	}
}

func TestOldSegmentsGoAtStart(t *testing.T) {
	t.Parallel()
	c := newClock()
	dir := t.TempDir()
	for range 3 {
		s := open(t, Options{Dir: dir, Now: c.Now})
		s.Append(entry("x"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c.add(20 * time.Hour)
	}
	s := open(t, Options{Dir: dir, Now: c.Now})
	if _, n := s.sizeOnDisk(t); n != 2 { // the first ended when the second began, 40 hours ago
		t.Errorf("%d segments, want 2", n)
	}
}

func TestClockThatGoesBack(t *testing.T) {
	t.Parallel()
	c := newClock()
	dir := t.TempDir()
	for i := range 3 {
		s := open(t, Options{Dir: dir, Now: c.Now})
		s.Append(entry(fmt.Sprint(i)))
		if got := messages(t, s, Filter{}, 0); !slices.Equal(got, numbered(0, i+1)) {
			t.Errorf("got %v", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c.add(-time.Minute)
	}
}

func TestTornLineIsSkipped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	s.Append(entry("whole"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := listSegments(dir)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	whole, err := os.ReadFile(list[0].path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole { // the writer was killed after n bytes of a second line
		if err := os.WriteFile(list[0].path, append(slices.Clone(whole), whole[:n]...), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, Options{Dir: dir})
		if got := messages(t, s, Filter{}, 0); !slices.Equal(got, []string{"whole"}) {
			t.Fatalf("torn after %d bytes: %v", n, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"notes.txt": "x\n", "1.jsonl": "x\n", segmentName(7): "{}{\n\n\x00\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, Options{Dir: dir})
	s.Append(entry("after"))
	if got := messages(t, s, Filter{}, 0); !slices.Equal(got, []string{"whole", "after"}) {
		t.Errorf("with foreign files: %v", got)
	}
}

func TestUnwritableDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"": "no directory given", filepath.Join(file, "history"): "not a directory"} {
		if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): %v, want %q", dir, err, want)
		}
	}
}

// TestLostDiskDropsAndHeals takes the directory away under the store and gives it back.
func TestLostDiskDropsAndHeals(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "history")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // written by the store's goroutine, read after Close
		s, err := Open(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		var seen []string
		done := make(chan error, 1)
		go func() { done <- s.Follow(t.Context(), Filter{}, collect(&seen)) }()
		synctest.Wait()
		for i := range 3 {
			s.Append(entry(fmt.Sprint(i)))
			written()
		}
		if s.Dropped() != 3 {
			t.Errorf("%d dropped, want 3", s.Dropped())
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s.Append(entry("kept"))
		if got := messages(t, s, Filter{}, 0); !slices.Equal(got, []string{"kept"}) {
			t.Errorf("got %v", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, ErrClosed) || !slices.Equal(seen, []string{"0", "1", "2", "kept"}) {
			t.Errorf("the follower saw %v, %v; want what was lost, too", seen, err)
		}
		if text := log.String(); strings.Count(text, "cannot be written") != 1 || strings.Count(text, "is written again") != 1 || strings.Count(text, "dropped=3") != 1 {
			t.Errorf("logged:\n%s", text)
		}
	})
}

// TestFullDisk writes to a device that is always full.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full")
	}
	dir := t.TempDir()
	w := newWriter(Options{Dir: dir, MaxBytes: 1 << 20, MaxAge: time.Hour, Now: time.Now}, nil)
	if lost, err := w.write([]api.LogEntry{entry("one")}); lost != 0 || err != nil {
		t.Fatalf("lost %d, %v", lost, err)
	}
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	w.file = full
	w.buf.Reset(full)
	big := entry(strings.Repeat("x", 2*fileBuffer)) // is written before the flush
	for _, batch := range [][]api.LogEntry{{entry("two"), entry("three")}, {entry("four"), big, entry("five")}} {
		lost, err := w.write(batch)
		if lost != len(batch) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("lost %d of %d, %v", lost, len(batch), err)
		}
		if w.file != nil {
			t.Fatal("the writer goes on with the file that failed")
		}
		if full, err = os.OpenFile("/dev/full", os.O_WRONLY, 0); err != nil {
			t.Fatal(err)
		}
		w.file, w.unflushed = full, 0
		w.buf.Reset(full)
	}
	if err := w.abandon(); err != nil {
		t.Fatal(err)
	}
	if lost, err := w.write([]api.LogEntry{entry("six")}); lost != 0 || err != nil {
		t.Errorf("afterwards: lost %d, %v", lost, err)
	}
	found, err := newest(dir, Filter{}, w.position(), 10)
	if err != nil || len(found) != 2 || found[0].Message != "six" || found[1].Message != "one" {
		t.Errorf("kept %v, %v", found, err)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
}

func TestFullQueueDrops(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: t.TempDir()})
	s.mu.Lock()
	s.queued = maxQueue // as if the disk stood still; nothing wakes the writer
	s.mu.Unlock()
	before := s.Dropped()
	s.Append(entry("one too many"))
	if s.Dropped() != before+1 {
		t.Errorf("%d dropped, want %d", s.Dropped(), before+1)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Append(entry("after Close"))
	if s.Dropped() != before+2 {
		t.Errorf("%d dropped after Close, want %d", s.Dropped(), before+2)
	}
}

func TestNothingWorksAfterClose(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: t.TempDir()})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	none := func(api.LogEntry) error { return nil }
	if err := s.Query(Filter{}, 0, none); !errors.Is(err, ErrClosed) {
		t.Errorf("Query: %v", err)
	}
	if err := s.Follow(t.Context(), Filter{}, none); !errors.Is(err, ErrClosed) {
		t.Errorf("Follow: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func change(n int) api.Audit {
	return api.Audit{ID: fmt.Sprintf("c%04d", n), Time: start.Add(time.Duration(n) * time.Second), Who: "token:ci", Address: "192.0.2.1", Method: "PUT", Route: "/ns/:ns/apps/:app", Names: map[string]string{"ns": "shop", "app": "a"}}
}

func record(t *testing.T, l *Log, n int, ends bool) {
	t.Helper()
	if err := l.Begin(change(n), true); err != nil {
		t.Fatal(err)
	}
	if !ends {
		return
	}
	if err := l.End(change(n).ID, 200+n%2*209, strings.Repeat("conflict", n%2)); err != nil {
		t.Fatal(err)
	}
}

// read lists changes as "id status problem".
func read(t *testing.T, l *Log, since time.Time, limit int) (list string, damaged int) {
	t.Helper()
	changes, damaged, err := l.Read(since, limit)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range changes {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %d %s", c.ID, c.Status, c.Problem)))
	}
	return strings.Join(out, ", "), damaged
}

func TestChangesWithTheirOutcome(t *testing.T) {
	t.Parallel()
	l := open(t, Options{Dir: filepath.Join(t.TempDir(), "audit")})
	record(t, l, 1, true)
	record(t, l, 2, false)
	record(t, l, 3, true)
	if got, _ := read(t, l, time.Time{}, 10); got != "c0001 409 conflict, c0002 0, c0003 409 conflict" {
		t.Error(got)
	}
	if got, _ := read(t, l, time.Time{}, 2); got != "c0002 0, c0003 409 conflict" {
		t.Error(got)
	}
	if got, _ := read(t, l, start.Add(2*time.Second), 10); got != "c0002 0, c0003 409 conflict" {
		t.Error(got)
	}
	changes, _, err := l.Read(time.Time{}, 1)
	if err != nil || changes[0].Path() != "/ns/shop/apps/a" || changes[0].Who != "token:ci" || changes[0].Address != "192.0.2.1" || !changes[0].Time.Equal(start.Add(3*time.Second)) {
		t.Errorf("%+v, %v", changes, err)
	}
}

func TestFilesAreRotatedAndTheOldestGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, MaxSize: 600, Keep: 3})
	for n := range 20 {
		record(t, l, n, true)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files %q, %v", files, err)
	}
	all, damaged := read(t, l, time.Time{}, 100)
	if !strings.HasSuffix(all, "c0017 409 conflict, c0018 200, c0019 409 conflict") || strings.Contains(all, "c0001") || strings.Contains(all, " 0,") || damaged != 0 {
		t.Errorf("%s, %d damaged", all, damaged)
	}
	again := open(t, Options{Dir: dir, MaxSize: 600, Keep: 3})
	record(t, again, 20, true)
	if got, _ := read(t, again, time.Time{}, 2); got != "c0019 409 conflict, c0020 200" {
		t.Error(got)
	}
}

func TestALineThatACrashHasCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	record(t, l, 1, true)
	f, err := os.OpenFile(filepath.Join(dir, "00000001.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"id":"c0002","ti`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, Options{Dir: dir})
	record(t, again, 3, true)
	if got, damaged := read(t, again, time.Time{}, 10); got != "c0001 409 conflict, c0003 409 conflict" || damaged != 1 {
		t.Errorf("%s, %d damaged", got, damaged)
	}
}

func TestWritersDoNotMixTheirLines(t *testing.T) {
	t.Parallel()
	l := open(t, Options{Dir: t.TempDir(), MaxSize: 4 << 10, Keep: 1000})
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for n := range 25 {
				record(t, l, 100*w+n, true)
			}
		})
	}
	writers.Wait()
	changes, damaged, err := l.Read(time.Time{}, 1000)
	if err != nil || len(changes) != 200 || damaged != 0 {
		t.Errorf("%d changes, %d damaged, %v", len(changes), damaged, err)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: file}); err == nil || !strings.HasPrefix(err.Error(), "open the audit log: ") {
		t.Errorf("a file in the way: %v", err)
	}
	l := open(t, Options{Dir: t.TempDir()})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Begin(change(1), true); err == nil || err.Error() != "the audit log is closed" {
		t.Errorf("after Close: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"id":"a","time":"2026-01-31T12:00:00Z"}` + "\n" + `{"of":"a","status":200}`))
	f.Add([]byte("\n\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "00000001.jsonl"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, Options{Dir: dir})
		record(t, l, 2, true)
		changes, _, err := l.Read(time.Time{}, 1<<20)
		if err != nil || len(changes) == 0 || changes[len(changes)-1].ID != "c0002" {
			t.Errorf("%+v, %v", changes, err)
		}
	})
}

package local

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/evoke-run/evoke/eventlog"
)

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one about %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

// fill opens a log on files, stores records in partition 3 with a commit for each, and closes it.
func fill(t *testing.T, files vfs.FS, data ...string) {
	t.Helper()
	l := mustOpen(t, Options{Dir: "log", Partitions: 16, FS: files})
	stored := make(chan struct{}, len(data))
	if _, err := l.Follow(3, l.parts[3].next, func([]eventlog.Record) { stored <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	for _, d := range data {
		l.Append(3, 2, []byte(d))
		<-stored
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// edit changes the closed database behind the log's back.
func edit(t *testing.T, files vfs.FS, change func(*pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open("log", &pebble.Options{
		FS: files, FormatMajorVersion: pebbleFormat, Logger: pebbleLogger{slog.New(slog.DiscardHandler), nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(change(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*pebble.DB) error
		o      Options
		want   []string
	}{
		{
			name:   "a newer format",
			change: func(db *pebble.DB) error { return db.Set(formatKey, []byte{2}, pebble.Sync) },
			o:      Options{Partitions: 16},
			want:   []string{"event log log", "format 2", "up to 1", "newer program"},
		},
		{
			name:   "a damaged format version",
			change: func(db *pebble.DB) error { return db.Set(formatKey, nil, pebble.Sync) },
			o:      Options{Partitions: 16},
			want:   []string{"event log log", "format version is damaged"},
		},
		{
			name: "fewer partitions than there are",
			o:    Options{Partitions: 3},
			want: []string{"partition 3", "only 3 partitions"},
		},
		{
			name: "no partitions",
			o:    Options{Partitions: 0},
			want: []string{"0 partitions"},
		},
		{
			name:   "a damaged last value",
			change: func(db *pebble.DB) error { return db.Set(logKey(3, 5), []byte("rubbish"), pebble.Sync) },
			o:      Options{Partitions: 16},
			want:   []string{"event log log is damaged", "partition 3", "offset 5"},
		},
		{
			name:   "a key that is not ours",
			change: func(db *pebble.DB) error { return db.Set([]byte("L?"), nil, pebble.Sync) },
			o:      Options{Partitions: 16},
			want:   []string{"event log log is damaged", "unknown key 4c3f"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := vfs.NewMem()
			fill(t, files, "a", "b", "c")
			if test.change != nil {
				edit(t, files, test.change)
			}
			test.o.Dir, test.o.FS = "log", files
			_, err := Open(test.o)
			wantError(t, err, test.want...)
			// The lock is free again.
			_, err = Open(test.o)
			wantError(t, err, test.want...)
		})
	}
}

func TestDamageInTheMiddleNamesThePlace(t *testing.T) {
	t.Parallel()
	files := vfs.NewMem()
	fill(t, files, "a", "b", "c")
	edit(t, files, func(db *pebble.DB) error {
		key := logKey(3, 3)
		v, closer, err := db.Get(key)
		if err != nil {
			return err
		}
		v = append([]byte(nil), v...)
		v[len(v)-1] ^= 1
		return errors.Join(closer.Close(), db.Set(key, v, pebble.Sync))
	})
	l := mustOpen(t, Options{Dir: "log", Partitions: 16, FS: files})
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	var got []string
	err := l.Read(3, 1, func(r eventlog.Record) bool { got = append(got, string(r.Data)); return true })
	wantError(t, err, "event log log is damaged", "partition 3", "offset 3", "checksum", "backup")
	if len(got) != 1 || got[0] != "a" {
		t.Errorf("read %q before the damage, want a", got)
	}
	_, err = l.Follow(3, 3, func([]eventlog.Record) { t.Error("a damaged record was applied") })
	wantError(t, err, "follow partition 3 from 3", "damaged")
}

func TestTrimmedIsAnError(t *testing.T) {
	t.Parallel()
	files := vfs.NewMem()
	fill(t, files, "a", "b", "c")
	l := mustOpen(t, Options{Dir: "log", Partitions: 16, FS: files})
	defer l.Close() //nolint:errcheck // checked elsewhere
	if err := l.Trim(3, 6); err != nil {
		t.Fatal(err)
	}
	err := l.Read(3, 4, func(eventlog.Record) bool { t.Error("a trimmed record was read"); return true })
	if !errors.Is(err, eventlog.ErrTrimmed) {
		t.Errorf("read: %v, want %v", err, eventlog.ErrTrimmed)
	}
	wantError(t, err, "oldest record has offset 5")
	_, err = l.Follow(3, 1, func([]eventlog.Record) { t.Error("records after a hole were applied") })
	if !errors.Is(err, eventlog.ErrTrimmed) {
		t.Errorf("follow: %v, want %v", err, eventlog.ErrTrimmed)
	}
}

const holdDir = "EVOKE_TEST_HOLD_DIR"

// TestHoldDirectory is no test of its own: TestDirectoryInUse runs it in a second process.
func TestHoldDirectory(t *testing.T) {
	dir := os.Getenv(holdDir)
	if dir == "" {
		t.Skip("only the second process of TestDirectoryInUse runs this")
	}
	l := mustOpen(t, Options{Dir: dir, Partitions: 1})
	_, _ = os.Stdout.WriteString("held\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the first process closes it
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestDirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHoldDirectory$")
	cmd.Env = append(os.Environ(), holdDir+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); line != "held\n" {
		t.Fatalf("second process said %q (%v)", line, err)
	}
	_, err = Open(Options{Dir: dir, Partitions: 1})
	wantError(t, err, dir, "in use by another process", "choose another data directory")
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, Options{Dir: dir, Partitions: 1})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUseAfterClose(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Options{Dir: "log", Partitions: 2, FS: vfs.NewMem()})
	apply := func([]eventlog.Record) { t.Error("applied after Close") }
	if _, err := l.Follow(0, 1, apply); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Append(0, 1, []byte("lost"))
	_, follow := l.Follow(1, 1, apply)
	for name, err := range map[string]error{
		"Read":   l.Read(0, 1, func(eventlog.Record) bool { return true }),
		"Trim":   l.Trim(0, 1),
		"Follow": follow,
		"Close":  l.Close(),
	} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: %v, want %v", name, err, fs.ErrClosed)
		}
	}
}

func TestWrongUsePanics(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Options{Dir: "log", Partitions: 2, FS: vfs.NewMem()})
	defer l.Close() //nolint:errcheck // checked elsewhere
	for name, call := range map[string]func(){
		"no such partition": func() { l.Append(2, 1, nil) },
		"span 0":            func() { l.Append(0, 0, nil) },
		"too large":         func() { l.Append(0, 1, make([]byte, eventlog.MaxRecord+1)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	files, reg := vfs.NewMem(), prometheus.NewRegistry()
	for range 2 { // a registry outlives the log: what it registered must go with it
		l := mustOpen(t, Options{Dir: "log", Partitions: 1, FS: files, Registerer: reg})
		stored := make(chan struct{}, 1)
		if _, err := l.Follow(0, 1, func([]eventlog.Record) { stored <- struct{}{} }); err != nil {
			t.Fatal(err)
		}
		for len(stored) > 0 {
			<-stored // what was replayed
		}
		l.Append(0, 1, make([]byte, 100))
		<-stored
		got := gather(t, reg)
		if got["evoke_log_records_total"] != 1 || got["evoke_log_record_bytes_total"] != 100 ||
			got["evoke_log_commit_seconds"] != 1 || got["evoke_log_disk_bytes"] < 100 {
			t.Errorf("metrics %v after one record of 100 bytes", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := gather(t, reg); len(got) != 0 {
		t.Errorf("metrics %v of a closed log", got)
	}
}

// gather returns the value of each metric, of a histogram its count.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		out[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return out
}

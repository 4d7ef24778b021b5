package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/archive"
)

func smallConfig(dir string) Config {
	c := freeConfig(dir)
	c.Partitions = 2
	return c
}

func (n *testNode) emit(t *testing.T, topic string, ids ...string) []api.PublishedEvent {
	t.Helper()
	var list []string
	for _, id := range ids {
		list = append(list, fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/t","type":"t","subject":"k-%s","data":{"n":1}}`, id, id))
	}
	p, err := n.client.Publish(t.Context(), "default", topic, api.EventBatchJSON, []byte("["+strings.Join(list, ",")+"]"))
	if err != nil {
		t.Fatal(err)
	}
	return p.Events
}

// events are the ids on a topic, sorted.
func (n *testNode) events(t *testing.T, topic string) (ids []string) {
	t.Helper()
	for e, err := range n.client.TopicEvents(t.Context(), "default", topic, api.TailOptions{Limit: 1000}) {
		if err != nil {
			t.Fatal(err)
		}
		var ev struct{ ID string }
		if err := json.Unmarshal(e.Event, &ev); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, ev.ID)
	}
	slices.Sort(ids)
	return ids
}

func (n *testNode) backup(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := n.Backup(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func restoreTo(t *testing.T, c Config, in []byte) (RestoreResult, error) {
	t.Helper()
	return Restore(t.Context(), c, bytes.NewReader(in), NewLogger(c, io.Discard))
}

// A backup comes to life with an etcd of its own, whose revisions begin anew, again and again: functions run, what was stored is there, what comes next goes on behind it.
func TestBackupAndRestoreAgainAndAgain(t *testing.T) {
	t.Parallel()
	n := serve(t, smallConfig(t.TempDir()))
	n.deploy(t, "echo")
	n.emit(t, "work", "a0", "b0", "c0")
	want := []string{"a0", "b0", "c0"}
	for round := 1; round <= 2; round++ {
		in := n.backup(t)
		n.emit(t, "work", "late") // after the backup
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
		c := smallConfig(t.TempDir())
		result, err := restoreTo(t, c, in)
		if err != nil || result.Partitions != 2 || result.Modules != 1 {
			t.Fatalf("restored %+v, %v", result, err)
		}
		n = serve(t, c)
		if got := n.events(t, "work"); !slices.Equal(got, want) {
			t.Errorf("round %d: the topic has %q, want %q", round, got, want)
		}
		if status, body := request(t, "POST", "http://"+n.Gateway()+"/fn/echo", "hello"); status != 200 || body != "hello" {
			t.Errorf("round %d: call: %d %s", round, status, body)
		}
		// What is published again is known; what is new is bound to the triggers of before and of now.
		if p := n.emit(t, "work", "a0"); !p[0].Duplicate {
			t.Errorf("round %d: an event of before the backup is new: %+v", round, p)
		}
		n.deploy(t, fmt.Sprint("echo-", round))
		id := fmt.Sprint("a", round)
		n.emit(t, "work", id)
		want = append(want, id)
		slices.Sort(want)
		for _, trigger := range []string{"echo:work", fmt.Sprintf("echo-%d:work", round)} {
			awaitSettled(t, n, trigger)
		}
	}
}

// awaitSettled waits until a trigger has nothing pending.
func awaitSettled(t *testing.T, n *testNode, trigger string) {
	t.Helper()
	for {
		changed := n.table.Changed()
		tr, err := n.client.Trigger(t.Context(), "default", trigger)
		if err != nil {
			t.Fatal(err)
		}
		if tr.Stats.Pending == 0 {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("%s has %+v", trigger, tr.Stats)
		}
	}
}

func TestRestoreRefusesWithTheReason(t *testing.T) {
	t.Parallel()
	n := serve(t, smallConfig(t.TempDir()))
	n.deploy(t, "echo")
	n.emit(t, "work", "a", "b", "c")
	good := n.backup(t)
	flipped, newer := bytes.Clone(good), bytes.Clone(good)
	flipped[len(good)/3] ^= 1
	newer[8] = 7
	mkdir := func(name string) func(*Config) {
		return func(c *Config) { _ = os.MkdirAll(filepath.Join(c.DataDir, name), 0o755) } // the refusal would miss it
	}
	for name, tc := range map[string]struct {
		in    []byte
		spoil func(*Config)
		want  string
	}{
		"cut":              {good[:len(good)-1], nil, "the backup is cut off: block"},
		"cut early":        {good[:20], nil, "the backup is cut off: block 0, at byte 9, is not all there"},
		"flipped":          {flipped, nil, "the backup is damaged: block"},
		"newer":            {newer, nil, "a newer program wrote this backup: it has format 7, this program reads format 1"},
		"foreign":          {[]byte("PK\x03\x04 something else"), nil, "not a backup"},
		"empty":            {nil, nil, "the backup is cut off"},
		"other partitions": {good, func(c *Config) { c.Partitions = 16 }, "the backup has 2 partitions, this runtime is to have 16; restore and start with --partitions 2"},
		"without header":   {without(t, good, archive.Header), nil, "it begins with a block of kind R"},
		"without parts":    {without(t, good, archive.Partition), nil, "state of no partition"},
		"only metadata":    {without(t, good, archive.Partition, archive.State, archive.Log), nil, "the backup is damaged: it has no partitions"},
		"not empty: log":   {good, mkdir("log"), "is not empty: it has log; name an empty one with --data-dir, or move this one away"},
		"not empty: etcd":  {good, mkdir("etcd"), "is not empty: it has etcd"},
		"interrupted":      {good, mkdir(restoring), "was interrupted; delete the directory and restore again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := smallConfig(filepath.Join(t.TempDir(), "data"))
			if tc.spoil != nil {
				tc.spoil(&c)
			}
			before, _ := filepath.Glob(filepath.Join(c.DataDir, "*")) // the pattern is good
			_, err := restoreTo(t, c, tc.in)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			after, _ := filepath.Glob(filepath.Join(c.DataDir, "*"))
			if after = slices.DeleteFunc(after, func(s string) bool { return filepath.Base(s) == "LOCK" }); !slices.Equal(before, after) {
				t.Errorf("left behind: %q, before there was %q", after, before)
			}
		})
	}
}

// without is a backup that has lost blocks, with checksums as if it had never had them.
func without(t *testing.T, in []byte, kinds ...archive.Kind) []byte {
	t.Helper()
	r, err := archive.NewReader(bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := archive.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for {
		kind, payload, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(kinds, kind) {
			if err := w.Block(kind, payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestInterruptedRestoreDoesNotStart(t *testing.T) {
	t.Parallel()
	c := smallConfig(t.TempDir())
	if err := os.WriteFile(filepath.Join(c.DataDir, restoring), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := New(t.Context(), c, NewLogger(c, io.Discard)); err == nil || !strings.Contains(err.Error(), "was interrupted; delete the directory and restore again") {
		t.Errorf("started: %v, %v", n, err)
	}
}

// A client that goes away in the middle of a backup leaves a node that works, and trims again.
func TestBackupThatBreaksOff(t *testing.T) {
	t.Parallel()
	n := serve(t, smallConfig(t.TempDir()))
	boom := errors.New("boom")
	if err := n.Backup(t.Context(), brokenWriter{boom}); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Backup(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	n.backup(t)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// writeFormat makes testdata/NAME.backup anew. A format that has been released is never made again: what it was is what must be restored.
var writeFormat = flag.String("write-format", "", "name of the backup to write to testdata")

// Backups of every format since the first come to life.
func TestEveryFormatIsRestored(t *testing.T) {
	t.Parallel()
	if *writeFormat != "" {
		n := serve(t, smallConfig(t.TempDir()))
		n.deploy(t, "echo")
		n.emit(t, "work", "a", "b", "c")
		awaitSettled(t, n, "echo:work")
		if err := os.WriteFile(filepath.Join("testdata", *writeFormat+".backup"), n.backup(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob("testdata/*.backup")
	if err != nil || len(files) == 0 {
		t.Fatalf("backups: %q, %v", files, err)
	}
	for _, name := range files {
		in, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c := smallConfig(t.TempDir())
		if _, err := restoreTo(t, c, in); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n := serve(t, c)
		if got := n.events(t, "work"); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("%s: the topic has %q", name, got)
		}
		if status, body := request(t, "POST", "http://"+n.Gateway()+"/fn/echo", "hello"); status != 200 || body != "hello" {
			t.Errorf("%s: call: %d %s", name, status, body)
		}
		f, err := n.client.Function(t.Context(), "default", "echo")
		if err != nil || f.Revision != 1 || len(f.Triggers) != 3 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		n.emit(t, "work", "d")
		awaitSettled(t, n, "echo:work")
	}
}

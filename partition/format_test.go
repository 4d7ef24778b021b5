package partition

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/sdk/abi"
)

// writeFormat makes testdata/formats/NAME anew. A format that has been released is never made again: what it was is what must be read.
var writeFormat = flag.String("write-format", "", "name of the format to write to testdata/formats")

// What earlier programs wrote is read with the same meaning: data directories and exports of every format since the first, with everything that a partition can hold.
func TestEveryFormatIsRead(t *testing.T) {
	t.Parallel()
	if *writeFormat != "" {
		makeFormat(t, filepath.Join("testdata", "formats", *writeFormat))
	}
	formats, err := filepath.Glob("testdata/formats/*")
	if err != nil || len(formats) == 0 {
		t.Fatalf("formats: %q, %v", formats, err)
	}
	for _, dir := range formats {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(filepath.Join(dir, "holds.txt"))
			if err != nil {
				t.Fatal(err)
			}
			in, err := os.ReadFile(filepath.Join(dir, "export"))
			if err != nil {
				t.Fatal(err)
			}
			fromData := &testTable{t: t, dir: t.TempDir(), epoch: formatEpochs}
			if err := os.CopyFS(fromData.dir, os.DirFS(filepath.Join(dir, "data"))); err != nil {
				t.Fatal(err)
			}
			fromExport := &testTable{t: t, dir: t.TempDir(), epoch: formatEpochs}
			if err := restoreTo(t, in, fromExport.dir, vfs.Default, 4); err != nil {
				t.Fatal(err)
			}
			for name, tt := range map[string]*testTable{"data directory": fromData, "export": fromExport} {
				tt.open()
				if got := tt.holds(); got != string(want) {
					t.Errorf("%s: it holds\n%s\nwant\n%s", name, got, want)
				}
				tt.publish("work", newEvent("next", "k0"))
				if n := len(tt.tail("work")); n != formatEvents+1 {
					t.Errorf("%s: the topic has %d events after another one, want %d", name, n, formatEvents+1)
				}
				tt.close()
			}
		})
	}
}

const (
	formatEpochs = 3 // how often the table of a format was opened
	formatEvents = 24
)

// makeFormat writes what a format can hold: its data directory, its export, and what is in both.
func makeFormat(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	tt := &testTable{t: t, dir: filepath.Join(dir, "data")}
	tt.open()
	tt.triggers(1, onTopic(1, "work"), onTopic(2, "out"), Trigger{ID: 3, Namespace: "default", Name: "f3:*", Function: "f3", Topic: "*", Filter: "subject = 'k1'", Order: "key"})
	tt.publish("work", manyEvents(formatEvents, func(i int) string { return fmt.Sprint("k", i%5) })...)
	for i, d := range tt.takeN(1, 18) {
		switch i % 6 {
		case 0, 1:
			tt.done(d, Effects{
				Writes: []StateWrite{{Name: "last", Value: []byte(d.Event.ID)}},
				Emits:  []Emit{{Topic: "out", Event: newEvent("out-"+d.Event.ID, "to-"+d.Event.ID)}},
			})
		case 2, 3:
			tt.giveUp(d, "no good")
		case 4:
			tt.settle(d, attemptOf(d, abi.Failed, "later"), Next{RetryAt: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}, Effects{})
		}
	}
	tt.takeN(2, 6) // the events for other partitions have arrived
	var letters []ID
	if err := tt.DeadLetters("default", 1, func(d DeadLetter) error { letters = append(letters, d.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if n, err := tt.Redrive(t.Context(), letters[:2]); n != 2 || err != nil {
		t.Fatalf("redrive: %d, %v", n, err)
	}
	if n, err := tt.Discard(t.Context(), letters[2:3], "not needed"); n != 1 || err != nil {
		t.Fatalf("discard: %d, %v", n, err)
	}
	tt.triggers(2, onTopic(1, "work"), onTopic(2, "out"))
	tt.publish("later", delayedEvent("delayed", "k", time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)))
	past := Trigger{ID: 5, Namespace: "default", Name: "f5:later", Function: "f5", Topic: "later", Start: &Range{}}
	tt.triggers(3, onTopic(1, "work"), onTopic(2, "out"), Trigger{ID: 4, Namespace: "default", Name: "f4:ranked", Function: "f4", Topic: "ranked", Priority: "urgency"}, past, cronTrigger(6))
	if _, err := tt.Fire(t.Context(), []Firing{firing(6, firstDue)}); err != nil {
		t.Fatal(err)
	}
	for tt.Stats(5).CatchingUp > 0 {
		<-tt.ready
	}
	tt.publish("ranked", urgent("5:a", "b", "-5:c")...)
	for i := range 3 {
		if _, _, err := tt.Admit(t.Context(), Rate{Namespace: "default", Function: "f", Name: "throttle", Key: fmt.Sprint(i), Interval: 100 * 24 * time.Hour, Burst: 2}); err != nil {
			t.Fatal(err)
		}
	}
	tt.publish("old", manyEvents(30, someKey)...)
	tt.retainer.now = func() time.Time { return time.Now().Add(time.Hour) }
	if err := tt.retainer.round(&Retention{Topics: map[TopicName]TopicRetention{{"default", "old"}: {Keep: time.Minute}}}); err != nil {
		t.Fatal(err)
	}
	tt.reopen()
	tt.reopen() // makes pebble write tables, not only its WAL
	files := map[string][]byte{"export": export(t, tt.Table), "holds.txt": []byte(tt.holds())}
	tt.close()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// holds is all that can be seen of a table, line by line.
func (tt *testTable) holds() string {
	tt.t.Helper()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, topic := range []string{"work", "out", "old"} {
		_, err := tt.Tail("default", topic, Cursor{}, time.Time{}, 0, func(r TopicRecord) error {
			add("topic %s %d/%d %s %s", topic, r.Partition, r.Offset, r.Event.ID, r.Event.Data)
			return nil
		})
		horizon, err2 := tt.Horizon("default", topic)
		if err != nil || err2 != nil {
			tt.t.Fatal(err, err2)
		}
		add("topic %s begins at %v", topic, horizon.next)
	}
	for trigger := range uint64(4) {
		n := tt.Stats(trigger)
		add("trigger %d {Pending:%d Retrying:%d DeadLetters:%d}", trigger, n.Pending, n.Retrying, n.DeadLetters)
		for _, d := range tt.takeAll(trigger) {
			add("pending %s generation %d attempt %d %s", d.ID, d.Generation, d.Attempt, d.Event.ID)
			tt.Release(&d)
		}
	}
	err := tt.DeadLetters("default", 0, func(d DeadLetter) error {
		add("dead letter %s generation %d %s: %d attempts, %s", d.ID, d.Generation, d.Event.ID, len(d.Attempts), d.Attempts[0].Error)
		return nil
	})
	if err != nil {
		tt.t.Fatal(err)
	}
	for i := range 5 {
		value, version, err := tt.State("default", "f1", fmt.Sprint("k", i), "last")
		if err != nil {
			tt.t.Fatal(err)
		}
		add("state k%d %s version %d", i, value, version)
	}
	for _, p := range tt.parts { // what came with v2
		p.mu.Lock()
		for id, tr := range p.machine.triggers {
			for offset, rank := range tr.ranks {
				add("trigger %d: offset %d/%d has rank %d", id, p.index, offset, rank)
			}
			if tr.Topic == "later" {
				for offset, at := range tr.progress {
					add("trigger %d: offset %d/%d waits until %d", id, p.index, offset, at.next)
				}
			}
		}
		for id, due := range p.machine.due { // with v3
			add("trigger %d: last due at %d in partition %d", id, due, p.index)
		}
		for id, r := range p.machine.rates.byID {
			add("rate %x is free from %d on", id, r.free)
		}
		p.mu.Unlock()
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

func (tt *testTable) takeAll(trigger uint64) []Delivery {
	tt.t.Helper()
	list, err := tt.Take(trigger, 1000)
	if err != nil {
		tt.t.Fatal(err)
	}
	return list
}

package partition

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/archive"
	"github.com/evoke-run/evoke/eventlog/local"
)

// export writes a view of all partitions.
func export(t *testing.T, table *Table) []byte {
	t.Helper()
	v, err := table.View()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := archive.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.Write(w), w.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// restore brings what export wrote onto an empty disk.
func restore(t *testing.T, in []byte, disk vfs.FS, partitions int) error {
	t.Helper()
	return restoreTo(t, in, "", disk, partitions)
}

func restoreTo(t *testing.T, in []byte, dir string, disk vfs.FS, partitions int) error {
	t.Helper()
	log, err := local.Open(local.Options{Dir: filepath.Join(dir, "log"), Partitions: 4, FS: disk, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	im, err := NewImporter(ImportOptions{Log: log, Dir: filepath.Join(dir, "state"), FS: disk, Partitions: partitions, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	err = pour(im, in)
	if e := errors.Join(im.Close(), log.Close()); e != nil {
		t.Fatal(e)
	}
	return err
}

func pour(im *Importer, in []byte) error {
	r, err := archive.NewReader(bytes.NewReader(in))
	if err != nil {
		return err
	}
	for {
		kind, payload, err := r.Next()
		if errors.Is(err, io.EOF) {
			return im.Finish()
		}
		if err != nil {
			return err
		}
		if err := im.Block(kind, payload); err != nil {
			return err
		}
	}
}

// Partitions are exported under load, events of one emitting into others, and go on somewhere else: every event that was acknowledged before is there, every one
// is handled once, and every counter is right.
func TestExportUnderLoadLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const producers, each = 8, 60
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		r := &machineRoom{t: t, disk: vfs.NewCrashableMem(), calm: true}
		r.start()
		sent := make([]atomic.Int64, producers)
		in := r.exportDuringLoad(sent, each, producers*each/4+rnd.IntN(producers*each/2))
		r.stop()
		r.disk = vfs.NewCrashableMem()
		if err := restore(t, in, r.disk, 4); err != nil {
			t.Fatal(err)
		}
		r.start()
		r.load(t.Context(), sent, each).Wait()
		r.drainAndCheck(producers, each)
		r.stop()
	}
}

// exportDuringLoad exports when n events are acknowledged. What came later is to be sent again, under the same ids.
func (r *machineRoom) exportDuringLoad(sent []atomic.Int64, goal, n int) []byte {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	var handling sync.WaitGroup
	handling.Go(func() { r.handle(ctx) })
	producing := r.load(ctx, sent, goal)
	for changed := r.table.Changed(); total(sent) < n; changed = r.table.Changed() {
		if total(sent) < n {
			<-changed
		}
	}
	acknowledged := make([]int64, len(sent))
	for i := range sent {
		acknowledged[i] = sent[i].Load()
	}
	in := export(r.t, r.table)
	cancel()
	producing.Wait()
	handling.Wait()
	for i := range sent {
		sent[i].Store(acknowledged[i])
	}
	return in
}

// What a trimmed partition has left goes into an export whole: dead letters and pending events with their bytes, state, and where offsets go on.
func TestExportOfATrimmedPartition(t *testing.T) {
	t.Parallel()
	r := &machineRoom{t: t, disk: vfs.NewCrashableMem(), calm: true}
	r.start()
	sent := make([]atomic.Int64, 4)
	r.load(t.Context(), sent, 50).Wait()
	r.handleFirst(120, 0)
	r.handleFirst(30, 10)
	r.awaitOutputs(147)
	r.table.retainer.now = func() time.Time { return time.Now().Add(8 * day) }
	if err := r.table.retainer.round(&Retention{}); err != nil {
		t.Fatal(err)
	}
	want, head := r.observe(), r.table.Head()
	in := export(t, r.table)
	r.stop()
	r.disk = vfs.NewCrashableMem()
	if err := restore(t, in, r.disk, 4); err != nil {
		t.Fatal(err)
	}
	r.start()
	if got := r.observe(); !maps.Equal(got, want) {
		t.Errorf("the import has\n%v\nthe export had\n%v", got, want)
	}
	for i, next := range r.table.Head().next {
		if next <= head.next[i] {
			t.Errorf("partition %d goes on at offset %d, it was at %d", i, next, head.next[i])
		}
	}
	r.handleFirst(50, 0)
	r.stop()
}

// blocks takes an archive apart and puts it together again after a change.
func blocks(t *testing.T, in []byte, change func(kind archive.Kind, payload []byte) ([]byte, bool)) []byte {
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
		payload, keep := change(kind, payload)
		if !keep {
			continue
		}
		if err := w.Block(kind, payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestImportRefusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "a"))
	tt.publish("a", manyEvents(40, someKey)...)
	good := export(t, tt.Table)
	without := func(k archive.Kind) []byte {
		return blocks(t, good, func(kind archive.Kind, p []byte) ([]byte, bool) { return p, kind != k })
	}
	spoilt := func(k archive.Kind, spoil func([]byte) []byte) []byte {
		return blocks(t, good, func(kind archive.Kind, p []byte) ([]byte, bool) {
			if kind == k {
				p = spoil(p)
			}
			return p, true
		})
	}
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 4
	for name, c := range map[string]struct {
		in         []byte
		partitions int
		want       string
	}{
		"good":               {good, 4, ""},
		"fewer partitions":   {good, 3, "the data directory has 4 partitions, not 3"},
		"more partitions":    {good, 5, "the data directory has 4 partitions, not 5"},
		"cut":                {good[:len(good)*2/3], 4, "the backup is cut off: block"},
		"flipped":            {flipped, 4, "the backup is damaged: block"},
		"no state":           {without(archive.State), 4, "its state at"},
		"no log":             {without(archive.Log), 4, "the log of partition 0 ends at offset 0, its state at"},
		"no partitions":      {without(archive.Partition), 4, "state of no partition"},
		"partition twice":    {spoilt(archive.Partition, func([]byte) []byte { return []byte(`{"index":0,"applied":2}`) }), 4, "the log of partition 0 ends"},
		"not JSON":           {spoilt(archive.Partition, func([]byte) []byte { return []byte(`{`) }), 4, "unexpected end of JSON input"},
		"short entry":        {spoilt(archive.State, func(b []byte) []byte { return b[:len(b)-1] }), 4, "an entry of the state cannot be read"},
		"short record":       {spoilt(archive.Log, func(b []byte) []byte { return b[:len(b)-1] }), 4, "a record of the log cannot be read"},
		"damaged record":     {spoilt(archive.Log, func(b []byte) []byte { b[len(b)-1]++; return b }), 4, "damaged record: wrong checksum"},
		"wrong span":         {spoilt(archive.Log, func(b []byte) []byte { b[8]++; return b }), 4, "damaged record: it owns"},
		"empty log block":    {spoilt(archive.Log, func([]byte) []byte { return nil }), 4, "the log of partition 0 ends at offset 0"},
		"newer state format": {spoilt(archive.State, newerMeta), 4, "state version 9 is unknown, this program reads 1"},
	} {
		err := restore(t, c.in, vfs.NewMem(), c.partitions)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// newerMeta changes the version of the meta entry, which begins with its key's length, its key and its length.
func newerMeta(b []byte) []byte {
	if i := bytes.Index(b, []byte{1, keyMeta}); i >= 0 {
		j := i + 3
		for b[j-1] >= 0x80 { // the length takes more than one byte
			j++
		}
		b[j] = 9
	}
	return b
}

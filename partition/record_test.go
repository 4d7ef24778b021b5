package partition

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/wire"
)

func sampleRecords() []body {
	ev := event.Event{ID: "1", Source: "/s", Type: "t", Data: []byte("{}")}
	raw := ev.AppendBinary(nil)
	stored := []storedEvent{{namespace: "n", topic: "a.b", notBefore: 5, triggers: []uint64{1, 300}, event: raw}, {namespace: "n", topic: "c", event: raw}}
	e := effects{
		namespace: "n", function: "f", key: "k\x00\xff",
		reads:   []StateRead{{Name: "r", Version: 9}},
		writes:  []StateWrite{{Name: "w", Value: []byte("v")}, {Name: "d", Delete: true, Value: []byte{}}},
		own:     stored,
		foreign: []foreignEvent{{to: 3, namespace: "n", topic: "t", event: raw}},
	}
	with := e
	with.joints = []joint{
		{function: "f", lists: []stateList{{"p", "after", "upTo", 1 << 63}, {digest: 7}}},
		{function: "g", reads: e.reads, writes: e.writes},
	}
	a := Attempt{Number: 2, Revision: 7, Start: time.UnixMilli(1234).UTC(), Duration: 15 * time.Microsecond, Verdict: 1, Class: "trap", Error: "text"}
	return []body{
		&leadRecord{partitions: 16, index: 3, first: 1 << 62, last: 1<<63 - 1, node: "node-1"},
		&publishRecord{origin: originOutside, stored: stored},
		&publishRecord{origin: originOutbox, from: 2, seq: 400, stored: stored[:1]},
		&settleRecord{trigger: 1, offset: 2, generation: 3, attempt: a, next: nextRetry, retryAt: 99},
		&settleRecord{trigger: 1, offset: 2, attempt: a, effects: e},
		&effectsRecord{invocation: "i", effects: e},
		&matchedRecord{trigger: 3, generation: 2, definition: 77, from: 10, upTo: 900, offsets: []uint64{10, 11, 300, 899}},
		&redriveRecord{letters: []letter{{1, 2, 3}, {4, 5, 6}}},
		&discardRecord{reason: "why", letters: []letter{{1, 2, 3}}},
		&deliveredRecord{to: 1, seq: 2},
		&controlRecord{generation: 8, put: [][]byte{[]byte(`{"id":1}`)}, remove: []uint64{4, 5}},
		&expireRecord{topics: []expiredTopic{{"n", "a.b", 7}, {"n", "_inbox.f", 1 << 40}}},
		&lapseRecord{reason: "why", letters: []letter{{1, 2, 3}}},
		&trimRecord{before: 300},
		&gaveUpRecord{trigger: 1, offset: 2, generation: 3, attempt: a, parks: true, lane: 1 << 63, effects: e},
		&redriveAsRecord{letters: []letterAs{{letter: letter{1, 2, 3}, revision: 7, edited: true}, {letter: letter{4, 5, 6}}}, edited: stored[:1]},
		&callRecord{invocation: "i", once: Once{Key: "k", Request: [16]byte{1, 15: 2}}, reply: []byte("reply"), effects: e},
		&batchRecord{trigger: 1, settled: []batchEntry{{2, 3, 1}, {300, 0, 2}}, attempt: a, effects: e},
		&redriveAsRecord{letters: []letterAs{{letter: letter{1, 2, 3}}}, above: true},
		&matchedRecord{trigger: 3, definition: 77, from: 10, upTo: 900, offsets: []uint64{10, 300}, later: []heldBack{{10, 5}, {300, -1}}},
		&cronRecord{trigger: 7, due: 1_700_000_000_000, alone: true, stored: []storedEvent{{namespace: "default", topic: "_cron.f", triggers: []uint64{7}, event: []byte("e")}}},
		&cronRecord{trigger: 7, due: 1_700_000_001_000},
		&admitRecord{id: identity{1, 15: 9}, now: -5, interval: 1_000_000, burst: 7},
		&settleRecord{trigger: 1, offset: 2, attempt: a, effects: with},
		&effectsRecord{invocation: "i", effects: with},
		&callRecord{invocation: "i", once: Once{Key: "k"}, reply: []byte("reply"), effects: with},
		&batchRecord{trigger: 1, settled: []batchEntry{{2, 3, 1}}, attempt: a, effects: with},
	}
}

func TestRecordsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, want := range sampleRecords() {
		h := header{epoch: 1 << 40, seq: 77, time: -1}
		gotHeader, got, err := decodeRecord(encodeRecord(h, want))
		if err != nil || gotHeader != h || !reflect.DeepEqual(got, want) {
			t.Errorf("kind %d:\ngot  %+v %+v, %v\nwant %+v %+v", want.kind(), gotHeader, got, err, h, want)
		}
	}
}

// A new kind is in the samples, which the fuzz test begins with, and in the simulation.
func TestEveryKindIsTested(t *testing.T) {
	t.Parallel()
	samples := map[kind]bool{}
	for _, b := range sampleRecords() {
		samples[b.kind()] = true
	}
	for k := range kind(255) {
		r := wire.NewReader(nil)
		if _, err := decodeBody(k, &r); err != nil {
			continue
		}
		if !samples[k] {
			t.Errorf("kind %d is not in sampleRecords", k)
		}
		if simBodies[byte(k)] == nil || simRules[byte(k)] == nil {
			t.Errorf("kind %d is not in the simulation: see simBodies and simRules", k)
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	for _, b := range sampleRecords() {
		data := encodeRecord(header{epoch: 1, seq: 1, time: 1}, b)
		for i := range data {
			bad := bytes.Clone(data)
			bad[i] ^= 1 << (i % 8)
			if _, _, err := decodeRecord(bad); !errors.Is(err, errDamaged) {
				t.Fatalf("kind %d byte %d: got %v", b.kind(), i, err)
			}
		}
		for n := range data {
			if _, _, err := decodeRecord(data[:n]); !errors.Is(err, errDamaged) {
				t.Fatalf("kind %d cut to %d bytes: got %v", b.kind(), n, err)
			}
		}
	}
}

func TestRecordsOfNewerProgramsAreNotSkipped(t *testing.T) {
	t.Parallel()
	for change, want := range map[int]string{4: "record version 9 is unknown", 5: "record kind 9"} {
		data := encodeRecord(header{}, &deliveredRecord{})
		data[change] = 9
		if change == 5 {
			data[change] = 99
			want = "record kind 99 is unknown"
		}
		seal(data)
		if _, _, err := decodeRecord(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// FuzzDecodeRecord gives decoders bytes behind a right checksum: they must not panic, and what they accept they must write again in the same meaning.
func FuzzDecodeRecord(f *testing.F) {
	for _, b := range sampleRecords() {
		f.Add(encodeRecord(header{epoch: 1, seq: 2, time: 3}, b))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = bytes.Clone(data)
		if len(data) >= headerSize {
			seal(data)
		}
		h, b, err := decodeRecord(data)
		if err != nil {
			return
		}
		h2, b2, err := decodeRecord(encodeRecord(h, b))
		if err != nil || h != h2 || !reflect.DeepEqual(b, b2) {
			t.Errorf("%+v %+v became %+v %+v, %v", h, b, h2, b2, err)
		}
	})
}

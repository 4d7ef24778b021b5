package local

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/eventlog"
)

func frameOf(partition int, records []eventlog.Record) (key, frame []byte) {
	key = logKey(partition, records[0].Offset)
	frame = make([]byte, frameSize(records))
	putFrame(frame, key, records)
	return key, frame
}

func sampleRecords() []eventlog.Record {
	return []eventlog.Record{
		{Offset: 40, Span: 3, Data: []byte("three offsets")},
		{Offset: 43, Span: 1, Data: nil},
		{Offset: 44, Span: 1 << 30, Data: []byte{0}},
	}
}

func TestFrameComesBack(t *testing.T) {
	t.Parallel()
	want := sampleRecords()
	key, frame := frameOf(7, want)
	got, err := parseFrame(key, frame)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Offset != want[i].Offset || got[i].Span != want[i].Span || !bytes.Equal(got[i].Data, want[i].Data) {
			t.Errorf("record %d is %v, want %v", i, got[i], want[i])
		}
		if cap(got[i].Data) != len(got[i].Data) {
			t.Errorf("record %d: an append to its data would write into the next record", i)
		}
	}
}

func TestEveryDamagedBitIsFound(t *testing.T) {
	t.Parallel()
	key, frame := frameOf(7, sampleRecords())
	for i := range len(frame) * 8 {
		damaged := bytes.Clone(frame)
		damaged[i/8] ^= 1 << (i % 8)
		if _, err := parseFrame(key, damaged); err == nil {
			t.Errorf("bit %d of byte %d was turned and nobody noticed", i%8, i/8)
		}
	}
	for n := range frame {
		if _, err := parseFrame(key, frame[:n]); err == nil {
			t.Errorf("a frame cut to %d bytes was accepted", n)
		}
	}
	if _, err := parseFrame(logKey(8, 40), frame); err == nil {
		t.Error("a frame under the key of another partition was accepted")
	}
}

// sealed puts a right checksum under a body, so that the rules behind it are reached.
func sealed(key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(body), frameSum(key, body))
}

func TestFrameRules(t *testing.T) {
	t.Parallel()
	head := func(version byte, count uint32, rest ...byte) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte{version}, count), rest...)
	}
	for _, test := range []struct {
		name, want string
		key, body  []byte
	}{
		{"version", "frame version 9, this program knows 1", logKey(0, 1), head(9, 1, 1, 0, 0, 0, 0, 0, 0, 0)},
		{"no records", "lengths", logKey(0, 1), head(1, 0)},
		{"more records than bytes", "lengths", logKey(0, 1), head(1, math.MaxUint32)},
		{"bytes left over", "lengths", logKey(0, 1), head(1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 77)},
		{"record longer than the frame", "lengths", logKey(0, 1), head(1, 1, 1, 0, 0, 0, 1, 0, 0, 0)},
		{"second record missing", "lengths", logKey(0, 1), head(1, 2, 1, 0, 0, 0, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)},
		{"span 0", "lengths", logKey(0, 1), head(1, 1, 0, 0, 0, 0, 0, 0, 0, 0)},
		{"offset overflow", "lengths", logKey(0, math.MaxUint64), head(1, 1, 1, 0, 0, 0, 0, 0, 0, 0)},
		{"key", "unknown key 58", []byte("X"), head(1, 1, 1, 0, 0, 0, 0, 0, 0, 0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseFrame(test.key, sealed(test.key, test.body))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %q", err, test.want)
			}
		})
	}
}

func FuzzParseFrame(f *testing.F) {
	key, frame := frameOf(7, sampleRecords())
	f.Add(key, frame[:len(frame)-frameTrailer])
	f.Add(logKey(0, 1), []byte{1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, key, body []byte) {
		records, err := parseFrame(key, sealed(key, body))
		if err != nil {
			return
		}
		// What is accepted is exactly what putFrame writes.
		again := make([]byte, frameSize(records))
		putFrame(again, key, records)
		if !bytes.Equal(again[:len(again)-frameTrailer], body) {
			t.Errorf("%x was read as %v, which is written as %x", body, records, again)
		}
	})
}

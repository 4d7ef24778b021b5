package wire

import (
	"errors"
	"testing"
)

func TestFieldsComeBackAsTheyWereAppended(t *testing.T) {
	t.Parallel()
	b := AppendU32(nil, 7)
	b = AppendU64(b, 1<<63)
	b = AppendUvarint(b, 300)
	b = AppendBytes(b, "abc")
	b = AppendBytes(b, []byte{})
	r := NewReader(b)
	if v := r.U32(); v != 7 {
		t.Errorf("u32: got %d", v)
	}
	if v := r.U64(); v != 1<<63 {
		t.Errorf("u64: got %d", v)
	}
	if v := r.Uvarint(); v != 300 {
		t.Errorf("uvarint: got %d", v)
	}
	if v := r.String(); v != "abc" {
		t.Errorf("string: got %q", v)
	}
	if v := r.Bytes(); v == nil || len(v) != 0 {
		t.Errorf("empty bytes: got %v", v)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestSizesMatchWhatIsAppended(t *testing.T) {
	t.Parallel()
	for _, v := range []uint64{0, 1, 127, 128, 1<<14 - 1, 1 << 14, 1<<64 - 1} {
		if got, want := SizeUvarint(v), len(AppendUvarint(nil, v)); got != want {
			t.Errorf("%d: got %d, want %d", v, got, want)
		}
	}
	if got, want := SizeBytes(200), len(AppendBytes(nil, make([]byte, 200))); got != want {
		t.Errorf("bytes: got %d, want %d", got, want)
	}
}

func TestReaderStaysAtItsFirstError(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(*Reader){
		"u8 of nothing":           func(r *Reader) { *r = NewReader(nil); r.U8() },
		"u64 of three bytes":      func(r *Reader) { r.U64() },
		"bytes beyond the end":    func(r *Reader) { r.Bytes() },
		"count beyond the end":    func(r *Reader) { r.Count() },
		"uvarint without its end": func(r *Reader) { *r = NewReader([]byte{0x80}); r.Uvarint() },
	} {
		r := NewReader([]byte{9, 1, 2})
		read(&r)
		if !errors.Is(r.Err(), ErrTruncated) {
			t.Errorf("%s: got %v", name, r.Err())
		}
		if r.U8() != 0 || r.Uvarint() != 0 || r.Bytes() != nil || r.Count() != 0 {
			t.Errorf("%s: reads after the error are not zero", name)
		}
	}
	r := NewReader([]byte{1, 2})
	r.U8()
	if err := r.Close(); err == nil || err.Error() != "1 bytes after the end" {
		t.Errorf("left over: got %v", err)
	}
}

package archive

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

type block struct {
	kind Kind
	text string
}

func sample(t testing.TB, blocks ...block) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if err := w.Block(b.kind, []byte(b.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readAll(in io.Reader) (out []block, err error) {
	r, err := NewReader(in)
	for err == nil {
		var kind Kind
		var payload []byte
		if kind, payload, err = r.Next(); err == nil {
			out = append(out, block{kind, string(payload)})
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return out, err
}

var some = []block{{Header, "{}"}, {State, ""}, {Log, strings.Repeat("x", 300_000)}, {State, "b"}}

func TestBlocksComeBack(t *testing.T) {
	t.Parallel()
	got, err := readAll(iotest.OneByteReader(bytes.NewReader(sample(t, some...))))
	if err != nil || len(got) != len(some) {
		t.Fatalf("%d blocks, %v", len(got), err)
	}
	for i := range some {
		if got[i] != some[i] {
			t.Errorf("block %d is of kind %c with %d bytes", i, got[i].kind, len(got[i].text))
		}
	}
}

func TestEveryCutAndEveryFlipIsFound(t *testing.T) {
	t.Parallel()
	whole := sample(t, block{Header, "{}"}, block{State, "state"}, block{Log, "log"})
	for n := range whole {
		if _, err := readAll(bytes.NewReader(whole[:n])); !errors.Is(err, ErrCut) {
			t.Errorf("cut to %d bytes of %d: %v", n, len(whole), err)
		}
	}
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 1 << (i % 8)
		if _, err := readAll(bytes.NewReader(bad)); err == nil {
			t.Errorf("flipped byte %d is not found", i)
		}
	}
}

func TestWhatIsNoGoodSaysWhy(t *testing.T) {
	t.Parallel()
	whole := sample(t, block{State, "one"}, block{State, "two"})
	size := headerSize + 3 + 4
	swapped := append(bytes.Clone(whole[:9]), whole[9+size:9+2*size]...)
	swapped = append(append(swapped, whole[9:9+size]...), whole[9+2*size:]...)
	newer := bytes.Clone(whole)
	newer[8] = 2
	huge := bytes.Clone(whole)
	huge[9+4] = 0xff
	for name, c := range map[string]struct {
		in   []byte
		is   error
		want string
	}{
		"text":     {[]byte("a text of some length"), ErrForeign, "not a backup: it does not begin with EVOKEBAK"},
		"word":     {[]byte("a"), ErrForeign, "not a backup"},
		"nothing":  {nil, ErrCut, "the backup is cut off: block 0, at byte 0, is not all there"},
		"newer":    {newer, ErrNewer, "it has format 2, this program reads format 1"},
		"swapped":  {swapped, ErrDamaged, "the backup is damaged: block 0 at byte 9: wrong checksum"},
		"huge":     {huge, ErrDamaged, "block 0 at byte 9: a block of 4278190083 bytes"},
		"cut":      {whole[:9+size], ErrCut, "block 1, at byte 21, is not all there"},
		"appended": {append(bytes.Clone(whole), 0), ErrDamaged, "something follows its end"},
	} {
		if _, err := readAll(bytes.NewReader(c.in)); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestErrorsOfTheStreamsComeThrough(t *testing.T) {
	t.Parallel()
	whole := sample(t, some...)
	boom := errors.New("boom")
	if _, err := readAll(io.MultiReader(bytes.NewReader(whole[:100]), iotest.ErrReader(boom))); !errors.Is(err, boom) || errors.Is(err, ErrCut) {
		t.Errorf("read: %v", err)
	}
	w, err := NewWriter(writerFunc(func([]byte) (int, error) { return 0, boom }))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, boom) {
		t.Errorf("write: %v", err)
	}
	if err := w.Block(State, make([]byte, MaxBlock+1)); err == nil || !strings.Contains(err.Error(), "the limit is 33554432") {
		t.Errorf("too large: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func FuzzReader(f *testing.F) {
	f.Add(sample(f, block{Header, "{}"}, block{State, "state"}))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := readAll(bytes.NewReader(in))
		if err != nil {
			return
		}
		if again := sample(t, got...); !bytes.Equal(again, in) {
			t.Errorf("%d bytes were read as what is written in %d", len(in), len(again))
		}
	})
}

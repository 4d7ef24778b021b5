package inflight

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func start(t *testing.T, f *File, slots int) {
	t.Helper()
	if err := f.Start(slots); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

func note(i int) Note {
	return Note{
		Invocation: fmt.Sprintf("3-%d-17", i), Namespace: "default", Function: "charge", Attempt: i + 1, Revision: 4,
		Start: time.UnixMilli(1_700_000_000_000 + int64(i)).UTC(),
	}
}

// What is set and not cleared is there for the next process, although nobody closed the file.
func TestNotesOutliveTheirProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "inflight")
	first := open(t, path)
	if left := first.Left(); len(left) > 0 {
		t.Errorf("a new file has notes: %v", left)
	}
	start(t, first, 8)
	notes := []Note{note(0), note(1), note(2)}
	for i := range notes {
		first.Set(2*i, &notes[i])
	}
	first.Clear(2)
	second := open(t, path)
	if want := []Note{notes[0], notes[2]}; !slices.Equal(second.Left(), want) {
		t.Errorf("left %v, want %v", second.Left(), want)
	}
	if again := open(t, path); len(again.Left()) != 2 {
		t.Errorf("before Start another process finds %v", again.Left())
	}
	start(t, second, 2)
	if third := open(t, path); len(third.Left()) > 0 {
		t.Errorf("after Start the next process finds %v", third.Left())
	}
}

func TestForgivenAttemptsAreNotLeft(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "inflight")
	f := open(t, path)
	f.Forgive() // before Start: nothing to do
	start(t, f, 3)
	for i := range 3 {
		n := note(i)
		f.Set(i, &n)
	}
	f.Forgive()
	if left := open(t, path).Left(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "inflight")
	f := open(t, path)
	start(t, f, 2)
	n := Note{Invocation: strings.Repeat("i", 300), Namespace: strings.Repeat("n", 300), Function: strings.Repeat("f", 300)}
	f.Set(0, &n)
	left := open(t, path).Left()
	if len(left) != 1 || left[0].Invocation != n.Invocation[:64] || left[0].Namespace != n.Namespace[:64] || left[0].Function != n.Function[:96] {
		t.Errorf("left %+v", left)
	}
}

// Whatever is wrong with the file, it is said, and the next process can note its own attempts.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	valid := func() []byte {
		b := emptyFile(2)
		for i := range 2 {
			n := note(i)
			writeSlot(slotOf(b, i), &n)
		}
		return b
	}
	for name, tc := range map[string]struct {
		spoil func(b []byte) []byte
		want  string
		left  int
	}{
		"empty":        {func([]byte) []byte { return nil }, "no file of attempts in flight", 0},
		"other file":   {func(b []byte) []byte { b[0] ^= 1; return b }, "no file of attempts in flight", 0},
		"header":       {func(b []byte) []byte { b[17] ^= 1; return b }, "its header is damaged", 0},
		"newer":        {func([]byte) []byte { return newer() }, "its version is 2, this program reads 1", 0},
		"cut":          {func(b []byte) []byte { return b[:len(b)-1] }, "no size for 2 attempts", 0},
		"slot":         {func(b []byte) []byte { b[headerSize+atStart] ^= 1; return b }, "1 of its attempts are damaged", 1},
		"slot lengths": {func(b []byte) []byte { b[headerSize+atLengths] = 255; return b }, "1 of its attempts are damaged", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "inflight")
			if err := os.WriteFile(path, tc.spoil(valid()), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), tc.want) || len(f.Left()) != tc.left {
				t.Errorf("left %v, error %v; want %d and %q", f.Left(), err, tc.left, tc.want)
			}
			start(t, f, 1)
			n := note(5)
			f.Set(0, &n)
			if left := open(t, path).Left(); len(left) != 1 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func newer() []byte {
	b := emptyFile(1)
	b[8] = version + 1
	return sealHeader(b)
}

func TestWhereNoFileCanBeMade(t *testing.T) {
	t.Parallel()
	f := open(t, filepath.Join(t.TempDir(), "absent", "inflight"))
	if err := f.Start(1); err == nil || !strings.Contains(err.Error(), "make the file of attempts in flight") {
		t.Errorf("error %v", err)
	}
	n := note(0)
	f.Set(0, &n) // does nothing, and does not break
	f.Clear(0)
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "inflight")
	f := open(t, path)
	start(t, f, 16)
	var all sync.WaitGroup
	for slot := range 16 {
		all.Go(func() {
			for i := range 2001 {
				n := note(i)
				f.Set(slot, &n)
				if i < 2000 {
					f.Clear(slot)
				}
			}
		})
	}
	all.Wait()
	left := open(t, path).Left()
	if len(left) != 16 || slices.ContainsFunc(left, func(n Note) bool { return n != note(2000) }) {
		t.Errorf("left %v", left)
	}
}

func FuzzDecode(f *testing.F) {
	b := emptyFile(2)
	n := note(1)
	writeSlot(slotOf(b, 1), &n)
	f.Add(b)
	f.Add(b[:70])
	f.Fuzz(func(t *testing.T, data []byte) {
		notes, err := decode(data)
		if len(notes) > maxSlots || err == nil && len(data) < headerSize {
			t.Errorf("%d notes of %d bytes", len(notes), len(data))
		}
	})
}

func BenchmarkNote(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "inflight"))
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Start(4); err != nil {
		b.Fatal(err)
	}
	n := note(3)
	b.ReportAllocs()
	for b.Loop() {
		f.Set(1, &n)
		f.Clear(1)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

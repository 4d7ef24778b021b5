package linear

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
)

// engine does what the WebAssembly engine does with a memory.
type engine struct {
	*Memory
	buffer []byte
	max    int // pages
}

func newEngine(m *Memory, minimum int) *engine {
	return &engine{Memory: m, buffer: m.Reallocate(uint64(minimum)), max: 65536}
}

func (e *engine) Grow(pages uint32) (uint32, bool) {
	previous := len(e.buffer) / PageSize
	if previous+int(pages) > e.max {
		return 0, false
	}
	buffer := e.Reallocate(uint64((previous + int(pages)) * PageSize))
	if buffer == nil {
		return 0, false
	}
	e.buffer = buffer
	return uint32(previous), true
}

// systems are this one and what others would do.
func systems(t testing.TB) map[string]*System {
	real := NewSystem()
	t.Cleanup(func() {
		if err := real.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]*System{"real": real, "without counts": {scanner: real.scanner}, "without scans": {}}
}

func newImage(t testing.TB, s *System, content []byte) *Image {
	t.Helper()
	i, err := s.NewImage(len(content), Part{0, content})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func newMemory(t testing.TB, i *Image, limit int) *Memory {
	t.Helper()
	m, err := i.NewMemory(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// noise is pages of random bytes and of zeros.
func noise(r *rand.Rand, pages int) []byte {
	b := make([]byte, pages*PageSize)
	for at := 0; at < len(b); at += 4096 {
		if r.IntN(3) > 0 {
			scribble(r, b[at:at+4096])
		}
	}
	return b
}

// scribble is fast also under the race detector, which looks at every byte that Go code writes one by one.
func scribble(r *rand.Rand, b []byte) {
	var piece [64]byte
	for i := range 8 {
		binary.LittleEndian.PutUint64(piece[8*i:], r.Uint64())
	}
	for len(b) > 0 {
		b = b[copy(b, piece[:]):]
	}
}

// Whatever was written, grown, trimmed and reset before: after a reset the memory is the image, and what is grown next is zero.
func TestResetIsExact(t *testing.T) {
	t.Parallel()
	for name, s := range systems(t) {
		for _, pages := range []int{0, 1, 2, 37} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(uint64(pages), 1))
				image := newImage(t, s, noise(r, pages))
				want := bytes.Clone(image.Bytes())
				a := newEngine(newMemory(t, image, 100*PageSize), 0)
				b := newEngine(newMemory(t, image, 100*PageSize), 0)
				for round := range 60 {
					for _, e := range []*engine{a, b} {
						if r.IntN(4) > 0 {
							e.Watch()
						}
						abuse(r, e)
						for r.IntN(3) == 0 {
							e.Leave()
							otherThread()
							e.Return()
							abuse(r, e)
						}
						if r.IntN(8) == 0 {
							e.Leave() // for good
						}
						if !bytes.Equal(b.buffer, want) && e == a {
							t.Fatalf("round %d: one memory shows in another", round)
						}
						if r.IntN(10) == 0 {
							if err := e.Trim(); err != nil {
								t.Fatal(err)
							}
						}
						if err := e.Reset(e); err != nil {
							t.Fatal(err)
						}
						if !bytes.Equal(e.buffer, want) || !bytes.Equal(e.Bytes(), want) {
							t.Fatalf("round %d: the memory differs from the image", round)
						}
					}
				}
				if !bytes.Equal(image.Bytes(), want) {
					t.Error("the image changed")
				}
			})
		}
	}
}

// otherThread comes back on another thread, if Go has one to spare.
func otherThread() {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // the one it was on, as likely as not
		defer runtime.UnlockOSThread()
		runtime.Gosched()
		close(done)
	}()
	<-done
}

// abuse writes and grows, and checks that what it got is zero.
func abuse(r *rand.Rand, e *engine) {
	for range r.IntN(3) {
		before := len(e.buffer)
		if _, ok := e.Grow(uint32(r.IntN(30))); ok && !bytes.Equal(e.buffer[before:], make([]byte, len(e.buffer)-before)) {
			panic("grown memory is not zero")
		}
	}
	if len(e.buffer) == 0 {
		return
	}
	writes := []int{0, 1, 3, 30, 600}[r.IntN(5)] // the last is more than a scan lists
	within := len(e.buffer)
	if r.IntN(2) == 0 {
		within = min(within, 8*4096) // where others have written before
	}
	for range writes {
		from := r.IntN(within)
		scribble(r, e.buffer[from:min(len(e.buffer), from+1+r.IntN(9000))])
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for name, s := range systems(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEngine(newMemory(t, newImage(t, s, make([]byte, PageSize)), 3*PageSize), PageSize)
			if _, ok := e.Grow(2); !ok || len(e.buffer) != 3*PageSize || e.Refused() {
				t.Fatalf("%d bytes", len(e.buffer))
			}
			if _, ok := e.Grow(1); ok || !e.Refused() || e.Size() != 3*PageSize {
				t.Error("grew beyond the limit")
			}
			if err := e.Reset(e); err != nil || e.Refused() || len(e.buffer) != PageSize {
				t.Errorf("%v, %d bytes", err, len(e.buffer))
			}
		})
	}
}

func TestNewMemoryFails(t *testing.T) {
	t.Parallel()
	s := NewSystem()
	t.Cleanup(func() { _ = s.Close() })
	image := newImage(t, s, make([]byte, 2*PageSize))
	if _, err := image.NewMemory(PageSize); err == nil || err.Error() != "an image of 131072 bytes does not fit into a memory of 65536" {
		t.Error(err)
	}
	if canDiscard { // elsewhere the heap would be asked
		if _, err := image.NewMemory(1 << 62); err == nil {
			t.Error("reserved 4 EiB")
		}
	}
	if err := image.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := image.NewMemory(2 * PageSize); err != ErrClosed {
		t.Error(err)
	}
}

// An engine that does not call back, as at 4 GiB, is an error.
func TestResetFails(t *testing.T) {
	t.Parallel()
	s := NewSystem()
	t.Cleanup(func() { _ = s.Close() })
	e := newEngine(newMemory(t, newImage(t, s, make([]byte, PageSize)), 8*PageSize), PageSize)
	e.Grow(1)
	e.max = 2
	if err := e.Reset(e); err != errNotShrunk {
		t.Error(err)
	}
}

func TestImageOutlivesItsClosing(t *testing.T) {
	t.Parallel()
	for name, s := range systems(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := noise(rand.New(rand.NewPCG(1, 2)), 3)
			image := newImage(t, s, content)
			e := newEngine(newMemory(t, image, 4*PageSize), 0)
			for range 2 {
				if err := image.Close(); err != nil {
					t.Fatal(err)
				}
			}
			clear(e.buffer)
			if err := e.Reset(e); err != nil || !bytes.Equal(e.buffer, content) {
				t.Error(err)
			}
			for range 2 {
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if image.Bytes() != nil {
				t.Error("the image is still there")
			}
		})
	}
}

func TestMemoryWithoutImage(t *testing.T) {
	t.Parallel()
	m, err := NewSystem().NewMemory(2 * PageSize)
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(m, PageSize)
	if len(e.buffer) != PageSize || !bytes.Equal(e.buffer, make([]byte, PageSize)) {
		t.Errorf("%d bytes", len(e.buffer))
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkReset(b *testing.B) {
	for name, s := range systems(b) {
		for _, c := range []struct {
			name         string
			image, dirty int // pages of the image, written pages of 4 KiB
		}{{"64Ki,1", 1, 1}, {"64Ki,16", 1, 16}, {"4Mi,3", 64, 3}, {"4Mi,35", 64, 35}, {"4Mi,200", 64, 200}, {"4Mi,900", 64, 900}} {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				e := newEngine(newMemory(b, newImage(b, s, noise(rand.New(rand.NewPCG(1, 2)), c.image)), 65*PageSize), 0)
				for b.Loop() {
					e.Watch()
					for at := range c.dirty {
						e.buffer[at*4096]++
					}
					if err := e.Reset(e); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// What no part covers is zero, and a part that begins inside of a page stays where it is.
func TestImageOfParts(t *testing.T) {
	t.Parallel()
	const size = 2 * PageSize
	s := &System{}
	image, err := s.NewImage(size, Part{100, []byte("one")}, Part{PageSize - 1, []byte("two")}, Part{size - 2, []byte("ab")}, Part{size, nil})
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	want := make([]byte, size)
	copy(want[100:], "one")
	copy(want[PageSize-1:], "two")
	copy(want[size-2:], "ab")
	if !bytes.Equal(image.Bytes(), want) {
		t.Error("the image has other bytes")
	}
	for text, p := range map[string]Part{
		"3 bytes from 131070 on are not in an image of 131072": {size - 2, []byte("abc")},
		"1 bytes from -1 on are not in an image of 131072":     {-1, []byte("a")},
		"0 bytes from 131073 on are not in an image of 131072": {size + 1, nil},
	} {
		if _, err := s.NewImage(size, p); err == nil || err.Error() != text {
			t.Errorf("%v, want %s", err, text)
		}
	}
}

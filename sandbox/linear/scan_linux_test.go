package linear

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A kernel that lists the wrong pages, or none, must not be trusted.
func TestScannerSelfTest(t *testing.T) {
	t.Parallel()
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSystem()
	if s.scanner == nil {
		t.Skip("this kernel has no PAGEMAP_SCAN")
	}
	good := s.scanner.fd
	s.scanner.fd = fd
	if s.scanner.works() {
		t.Error("a file that is no page map passes")
	}
	if err := unix.Close(good); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// When the scan fails later the memory is reset all the same.
func TestScanFailsLater(t *testing.T) {
	t.Parallel()
	s := NewSystem()
	if s.scanner == nil {
		t.Skip("this kernel has no PAGEMAP_SCAN")
	}
	e := newEngine(newMemory(t, newImage(t, s, make([]byte, 9*PageSize)), 16*PageSize), 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.scanner.fd = -1
	e.buffer[12345] = 1
	if err := e.Reset(e); err != nil || e.buffer[12345] != 0 {
		t.Error(err)
	}
}

// A list is good for the next event as long as that one writes where others have, and no longer.
func TestListIsUsedAgain(t *testing.T) {
	t.Parallel()
	s := NewSystem()
	t.Cleanup(func() { _ = s.Close() })
	if !s.faults {
		t.Skip("this kernel does not list pages or does not count faults")
	}
	e := newEngine(newMemory(t, newImage(t, s, make([]byte, 9*PageSize)), 16*PageSize), 0)
	event := func(at int) (complete bool) {
		e.Watch()
		e.buffer[at]++
		complete = e.writes.watched && threadFaults() == e.writes.faults
		if err := e.Reset(e); err != nil || e.buffer[at] != 0 {
			t.Fatalf("byte %d is %d, %v", at, e.buffer[at], err)
		}
		if e.writes.watched {
			t.Fatal("still bound to its thread")
		}
		return complete
	}
	event(5000)
	again := 0
	for range 100 {
		if event(5001) {
			again++
		}
	}
	if again == 0 { // now and then a fault of somebody else on this thread makes a scan
		t.Error("every reset lists the pages again")
	}
	for at := range 50 {
		if event(3*PageSize + 4096*at) {
			t.Error("the first write to a page went unnoticed")
		}
	}
	if err := e.Trim(); err != nil {
		t.Fatal(err)
	}
	if event(5000) {
		t.Error("the list of before a trim is believed")
	}
}

// Pages that the system has swapped out, of the memory or of the image, come back as they were and are put back as others are.
func TestResetUnderSwap(t *testing.T) {
	t.Parallel()
	for name, s := range systems(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, 4))
			image := newImage(t, s, noise(r, 5))
			want := bytes.Clone(image.Bytes())
			e := newEngine(newMemory(t, image, 20*PageSize), 0)
			swapped := 0
			for round := range 30 {
				e.Watch()
				abuse(r, e)
				for _, b := range [][]byte{e.space, image.bytes} {
					if err := unix.Madvise(b, unix.MADV_PAGEOUT); err != nil { // a wish: without swap nothing happens
						t.Skip(err)
					}
				}
				swapped += swappedPages(t, e.space)
				if r.IntN(2) == 0 {
					abuse(r, e)
				}
				if err := e.Reset(e); err != nil || !bytes.Equal(e.buffer, want) {
					t.Fatalf("round %d: the memory differs from the image, %v", round, err)
				}
			}
			t.Logf("%d pages were swapped out", swapped)
		})
	}
}

// swappedPages counts the pages of b that are in swap, as /proc/self/pagemap says.
func swappedPages(t *testing.T, b []byte) (n int) {
	t.Helper()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = f.Close() }()
	page := os.Getpagesize()
	entries := make([]byte, len(b)/page*8)
	if _, err := f.ReadAt(entries, int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))/int64(page)*8); err != nil {
		t.Skip(err)
	}
	for i := 0; i < len(entries); i += 8 {
		const isSwapped = 1 << 62
		if binary.LittleEndian.Uint64(entries[i:])&isSwapped != 0 {
			n++
		}
	}
	return n
}

// What nobody may write stays what it is.
func TestImageIsSealed(t *testing.T) {
	t.Parallel()
	i := newImage(t, &System{}, make([]byte, PageSize))
	if _, err := unix.Pwrite(i.fd, []byte{1}, 0); err == nil {
		t.Error("written")
	}
	if err := unix.Ftruncate(i.fd, 0); err == nil {
		t.Error("cut")
	}
	if _, err := unix.Mmap(i.fd, 0, PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("mapped for writing")
	}
}

// Pages of zeros take no memory.
func TestImageIsSparse(t *testing.T) {
	t.Parallel()
	content := make([]byte, 100*PageSize)
	for _, at := range []int{0, 4096, 50 * PageSize, len(content) - 1} {
		content[at] = 1
	}
	i := newImage(t, &System{}, content)
	var stat unix.Stat_t
	if err := unix.Fstat(i.fd, &stat); err != nil || stat.Blocks*512 > 8*4096 {
		t.Errorf("%v, %d bytes", err, stat.Blocks*512)
	}
	for _, at := range []int{0, 4096, 50 * PageSize, len(content) - 1} {
		if i.Bytes()[at] != 1 {
			t.Errorf("byte %d is missing", at)
		}
	}
}

package linear

import (
	"testing"

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

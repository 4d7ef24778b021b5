package linear

import (
	"os"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Beyond these the pages are given back: a reset must not take long, and the list not much space.
const (
	maxRanges = 512
	maxCopied = 4 << 20 // bytes
)

// scanner lists the pages of a private mapping that were written, with the kernel's PAGEMAP_SCAN: a page that belongs to the file is clean, any other
// that is present or swapped out is a private copy. Nothing has to be armed beforehand, and write faults cost what they always cost.
type scanner struct {
	fd    int // /proc/self/pagemap
	lists sync.Pool
}

// newScanner returns nil when the kernel does not do it, or not as we need it.
func newScanner() *scanner {
	fd, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	s := &scanner{fd: fd, lists: sync.Pool{New: func() any { return new(list) }}}
	if !s.works() {
		_ = s.close()
		return nil
	}
	return s
}

func (s *scanner) close() error { return unix.Close(s.fd) }

// list is one answer of the kernel. Both structures are its own layout.
type list struct {
	base  uintptr
	found int
	arg   scanArg
	vec   [maxRanges]pageRange
}

type scanArg struct {
	size, flags                                      uint64
	start, end, walkEnd                              uint64
	vec, vecLen, maxPages                            uint64
	categoryInverted, categoryMask, anyOf, returning uint64
}

type pageRange struct{ start, end, categories uint64 }

const (
	pagemapScan = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)

	pageFile    = 1 << 2
	pagePresent = 1 << 3
	pageSwapped = 1 << 4
	pageZero    = 1 << 5 // only ever read, shows the system's page of zeros
)

// written lists what was written of b, which is not empty. Give the list back to done.
func (s *scanner) written(b []byte) (*list, bool) {
	l := s.lists.Get().(*list)
	l.base = uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	end := uint64(l.base) + uint64(len(b))
	l.arg = scanArg{
		size: uint64(unsafe.Sizeof(scanArg{})), start: uint64(l.base), end: end,
		// The list is on the heap, which does not move, and alive until done.
		vec: uint64(uintptr(unsafe.Pointer(&l.vec[0]))), vecLen: maxRanges, maxPages: maxCopied/uint64(os.Getpagesize()) + 1,
		categoryInverted: pageFile | pageZero, categoryMask: pageFile | pageZero, anyOf: pagePresent | pageSwapped, returning: pagePresent,
	}
	// It takes a microsecond and never blocks for long, so the Go scheduler need not know.
	n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(s.fd), pagemapScan, uintptr(unsafe.Pointer(&l.arg)))
	if errno != 0 || l.arg.walkEnd != end {
		s.done(l)
		return nil, false
	}
	l.found = int(n)
	return l, true
}

func (s *scanner) done(l *list) { s.lists.Put(l) }

func (l *list) ranges() []pageRange { return l.vec[:l.found] }

// offsets are those of a range in the bytes that were scanned.
func (l *list) offsets(r pageRange) (from, to int) {
	return int(uintptr(r.start) - l.base), int(uintptr(r.end) - l.base)
}

// works tries a scan where every kind of page occurs: of the file and untouched, read, written; beyond it untouched, read, written.
func (s *scanner) works() bool {
	page := os.Getpagesize()
	image, err := (&System{}).NewImage(3*page, Part{0, slices.Repeat([]byte{1}, 3*page)})
	if err != nil {
		return false
	}
	defer func() { _ = image.Close() }()
	m, err := image.NewMemory(6 * page)
	if err != nil {
		return false
	}
	defer func() { _ = m.Close() }()
	if m.space[page]+m.space[4*page] != 1 { // reading both
		return false
	}
	m.space[2*page], m.space[5*page] = 2, 2
	l, ok := s.written(m.space)
	if !ok {
		return false
	}
	defer s.done(l)
	var got [][2]int
	for _, r := range l.ranges() {
		from, to := l.offsets(r)
		got = append(got, [2]int{from / page, to / page})
	}
	return slices.Equal(got, [][2]int{{2, 3}, {5, 6}})
}

package linear

import (
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// threadFaults is how many page faults this thread has had. A page becomes a private copy only by a fault of the thread that writes to it, so a thread
// without a new one has made none.
func threadFaults() int64 {
	var u unix.Rusage
	// It takes less than half a microsecond and cannot fail.
	_, _, _ = unix.RawSyscall(unix.SYS_GETRUSAGE, unix.RUSAGE_THREAD, uintptr(unsafe.Pointer(&u)), 0)
	return int64(u.Minflt) + int64(u.Majflt)
}

// countsFaults tries whether this kernel counts each fault that matters: the first write to a page of the image, one that was read before, and the first
// to a page beyond the image.
func countsFaults() bool {
	page := os.Getpagesize()
	image, err := (&System{}).NewImage(2*page, Part{0, slices.Repeat([]byte{1}, 2*page)})
	if err != nil {
		return false
	}
	defer func() { _ = image.Close() }()
	m, err := image.NewMemory(4 * page)
	if err != nil {
		return false
	}
	defer func() { _ = m.Close() }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if m.space[page]+m.space[3*page] != 1 { // reading both
		return false
	}
	for at := 0; at < len(m.space); at += page {
		before := threadFaults()
		m.space[at] = 2
		if threadFaults() == before {
			return false
		}
	}
	return true
}

// keepSmall keeps the kernel from turning pages into a huge one behind our back: that would make private copies without any fault, and make idle
// instances large.
func keepSmall(space []byte) error {
	if err := unix.Madvise(space, unix.MADV_NOHUGEPAGE); err != nil && err != unix.EINVAL { // EINVAL: this kernel has no huge pages
		return err
	}
	return nil
}

package linear

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canDiscard: dropping a private page brings the image's page back, or zeros.
const canDiscard = true

// backing is a sealed file in memory. Every view of it is private, so nobody can change it.
type backing struct {
	fd int
}

func (i *Image) fill(parts []Part) (err error) {
	i.fd = -1
	if i.size == 0 {
		return nil
	}
	if i.fd, err = unix.MemfdCreate("evoke-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING); err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Close(i.fd))
		}
	}()
	if err := unix.Ftruncate(i.fd, int64(i.size)); err != nil {
		return fmt.Errorf("ftruncate: %w", err)
	}
	for _, p := range parts {
		if err := writeSparse(i.fd, p); err != nil {
			return err
		}
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(i.fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	// MAP_SHARED for reading would do, but kernels before 6.7 refuse it for a sealed file.
	if i.bytes, err = unix.Mmap(i.fd, 0, i.size, unix.PROT_READ, unix.MAP_PRIVATE); err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	return nil
}

// zeros is a page of them.
var zeros = make([]byte, os.Getpagesize())

// writeSparse leaves pages of zeros out.
func writeSparse(fd int, p Part) error {
	content, page := p.Bytes, len(zeros)
	isZero := func(at int) bool {
		return bytes.Equal(content[at:min(at+page, len(content))], zeros[:min(page, len(content)-at)])
	}
	for at := 0; at < len(content); {
		end := at
		for end < len(content) && !isZero(end) {
			end = min(end+page, len(content))
		}
		for at < end {
			n, err := unix.Pwrite(fd, content[at:end], int64(p.At+at))
			if err != nil {
				return fmt.Errorf("write at %d: %w", p.At+at, err)
			}
			at += n
		}
		at += page // the page of zeros that ended the run
	}
	return nil
}

// place lays the image over the beginning of space, copy on write.
func (i *Image) place(space []byte) error {
	if i.size == 0 {
		return nil
	}
	_, err := unix.MmapPtr(i.fd, 0, unsafe.Pointer(unsafe.SliceData(space)), uintptr(i.size),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	return err
}

func (i *Image) drop() error {
	if i.fd < 0 {
		return nil
	}
	err := errors.Join(unix.Munmap(i.bytes), unix.Close(i.fd))
	i.bytes, i.fd = nil, -1
	return err
}

// reserve maps zeroed memory that costs nothing until it is touched. It goes around unix.Mmap, which keeps a map of all mappings under a lock.
func reserve(n int) ([]byte, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), n), nil
}

func unreserve(space []byte) error {
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(space)), uintptr(len(space)))
}

func discard(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return unix.Madvise(b, unix.MADV_DONTNEED)
}

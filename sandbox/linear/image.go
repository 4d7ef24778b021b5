package linear

import (
	"errors"
	"fmt"
	"sync"
)

// Image is the content that memories begin with and go back to; it never changes. It lives until it is closed and its last memory is, too. It is safe
// for concurrent use.
type Image struct {
	system *System
	size   int
	bytes  []byte // for reading only
	backing

	mu     sync.Mutex
	users  int // memories
	closed bool
}

// Part is a piece of an image: bytes from an offset on.
type Part struct {
	At    int
	Bytes []byte
}

// NewImage makes an image of size bytes, whole pages of PageSize, and copies the parts into it; the rest is zero. Pages of zeros cost nothing on Linux.
func (s *System) NewImage(size int, parts ...Part) (*Image, error) {
	i := &Image{system: s, size: size}
	for _, p := range parts {
		if p.At < 0 || p.At > size || len(p.Bytes) > size-p.At {
			return nil, fmt.Errorf("%d bytes from %d on are not in an image of %d", len(p.Bytes), p.At, size)
		}
	}
	if err := i.fill(parts); err != nil {
		return nil, fmt.Errorf("make an image of %d bytes: %w", size, err)
	}
	return i, nil
}

// Bytes is the content, for reading only and until Close.
func (i *Image) Bytes() []byte { return i.bytes }

// ErrClosed answers a NewMemory that came too late.
var ErrClosed = errors.New("the image is closed")

// NewMemory makes a memory that begins as the image and may grow to limit bytes, whole pages and not less than the image.
func (i *Image) NewMemory(limit int) (*Memory, error) {
	if limit < i.size {
		return nil, fmt.Errorf("an image of %d bytes does not fit into a memory of %d", i.size, limit)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, ErrClosed
	}
	m, err := i.system.newMemory(i, limit)
	if err == nil {
		i.users++
	}
	return m, err
}

// Close frees the image as soon as no memory uses it. Memories stay usable.
func (i *Image) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.closed = true
	if i.users > 0 {
		return nil
	}
	return i.drop()
}

// release is the end of one memory.
func (i *Image) release() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.users--
	if i.users > 0 || !i.closed {
		return nil
	}
	return i.drop()
}

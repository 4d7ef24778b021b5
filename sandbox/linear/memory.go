// Package linear holds the memories of WebAssembly instances: address space up to a limit, filled from an image, changed by one event, and put back to
// the image byte for byte before the next one.
//
//	System.NewImage(size, parts) ─► Image.NewMemory(limit) ─► the guest runs ─► Memory.Reset ─► the guest runs ─► … ─► Memory.Close
//
// On Linux all memories of an image share its pages until they write to one (copy on write), and a reset touches only what was written. Elsewhere a
// memory is a plain copy and a reset copies all of it. Nothing here knows WebAssembly beyond the page size of its memories.
package linear

import (
	"errors"
	"fmt"
)

// PageSize is the unit in which guests grow their memory, in bytes.
const PageSize = 1 << 16

// Memory is one instance's linear memory. It lies outside the Go heap where the system allows, so that guests do not drive the garbage collector.
// It is used by one goroutine at a time.
type Memory struct {
	system    *System
	image     *Image // nil: it began with zeros and cannot be reset
	space     []byte // all that may ever be handed out, of which the system gives only the pages that are touched
	size      int    // bytes the guest has now
	touched   int    // bytes from the start that may differ from image and zeros since they were last discarded
	refused   bool
	shrinking bool
	writes    writes
}

// NewMemory reserves limit bytes of zeros, whole pages. A memory without an image grows, but cannot be reset.
func (s *System) NewMemory(limit int) (*Memory, error) { return s.newMemory(nil, limit) }

func (s *System) newMemory(image *Image, limit int) (*Memory, error) {
	space, err := reserve(limit)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of memory: %w", limit, err)
	}
	m := &Memory{system: s, image: image, space: space}
	if image != nil {
		if err := image.place(space); err != nil {
			return nil, errors.Join(fmt.Errorf("map an image of %d bytes: %w", image.size, err), unreserve(space))
		}
		m.size, m.touched = image.size, image.size
	}
	if err := keepSmall(space); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the pages of a memory small: %w", err), unreserve(space))
	}
	return m, nil
}

// Reallocate gives the guest size bytes. The engine calls it when it makes an instance and when the guest grows its memory; nil refuses. A memory with
// an image answers with the image's size when less is asked: the image may have grown since the module's minimum.
func (m *Memory) Reallocate(size uint64) []byte {
	switch {
	case m.shrinking:
		m.size = m.image.size
	case size > uint64(len(m.space)):
		m.refused = true
		return nil
	default:
		m.size = max(m.size, int(size))
		m.touched = max(m.touched, m.size)
	}
	return m.space[:m.size:m.size]
}

// Free does nothing: an instance that failed half-way is never freed by the engine, so its owner calls Close.
func (m *Memory) Free() {}

// Bytes are what the guest has now, good until the next Reallocate, Reset or Close.
func (m *Memory) Bytes() []byte { return m.space[:m.size:m.size] }

// Size is what the guest has now, in bytes.
func (m *Memory) Size() int { return m.size }

// Refused says that the guest asked for more than the limit since the last reset or the beginning of the event.
func (m *Memory) Refused() bool { return m.refused }

// Engine is the engine's view of a memory. Grow by one page makes it ask Reallocate.
type Engine interface {
	Grow(pages uint32) (previous uint32, ok bool)
}

var errNotShrunk = errors.New("the engine did not shrink the memory: it has its largest size")

// Reset makes the memory equal to its image again, also in size. After an error it must not be used for another event.
//
// The engine has no call that shrinks a memory. But it takes what Reallocate returns for the new size, so asking it to grow while Reallocate answers
// with the image's size does it. That fails only for a memory of 4 GiB, which cannot grow.
func (m *Memory) Reset(engine Engine) error {
	if err := m.restore(); err != nil {
		return err
	}
	m.refused = false
	if m.size == m.image.size {
		return nil
	}
	m.shrinking = true
	_, ok := engine.Grow(1)
	m.shrinking = false
	if !ok || m.size != m.image.size {
		return errNotShrunk
	}
	return nil
}

// restore puts the bytes back, in the cheapest way for what was written.
func (m *Memory) restore() error {
	switch m.system.method(m) {
	case copyDirty:
		if (m.writes.complete() || m.system.list(m)) && !m.writes.stale() {
			m.copyBack()
			return nil
		}
		return m.Trim()
	case discardAll:
		return m.Trim()
	default:
		m.copyAll()
		return nil
	}
}

// copyBack copies the written pages back from the image and clears those beyond it.
func (m *Memory) copyBack() {
	for _, w := range m.writes.spans {
		from, inside := w.from, min(w.to, m.image.size)
		if from < inside {
			copy(m.space[from:inside], m.image.bytes[from:inside])
			from = inside
		}
		clear(m.space[from:w.to])
	}
}

func (m *Memory) copyAll() {
	copy(m.space, m.image.bytes)
	clear(m.space[m.image.size:m.touched])
}

// Trim makes the memory equal to its image by giving back the pages it does not share with it: the cheapest state to wait in, and the dearest to run
// from. The size stays.
func (m *Memory) Trim() error {
	if !canDiscard {
		m.copyAll()
		return nil
	}
	m.writes.forget()
	if err := discard(m.space[:m.touched]); err != nil {
		return fmt.Errorf("give back %d bytes of memory: %w", m.touched, err)
	}
	m.touched = m.size
	return nil
}

// Close gives everything back. No guest code may run after it.
func (m *Memory) Close() error {
	if m.space == nil {
		return nil
	}
	m.Leave()
	space, image := m.space, m.image
	m.space, m.image, m.size, m.touched = nil, nil, 0, 0
	err := unreserve(space)
	if image != nil {
		err = errors.Join(err, image.release())
	}
	return err
}

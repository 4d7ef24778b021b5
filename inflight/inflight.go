// Package inflight notes which attempts run right now in a small mapped file. What is noted there outlives the process, and what the next process finds
// was cut by the end of this one. It is not fsynced: a power cut may lose notes, or bring back old ones, so whoever reads them asks the log what is true.
//
//	Open (reads what was left) ─► Left ─► Start (forgets it, maps a new file) ─► Set, Clear, Set, … ─► Close
package inflight

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Note is one attempt that runs. Texts that do not fit into a slot are cut.
type Note struct {
	Invocation          string // at most 64 bytes
	Namespace, Function string
	Attempt, Revision   int
	Start               time.Time // kept to the millisecond
}

// File is the notes of one process. Set and Clear may be called by many goroutines, each for a slot of its own.
type File struct {
	path string
	left []Note
	mem  atomic.Pointer[[]byte] // of the mapped file; nil before Start and after Close
}

// Open reads what the last process left. An error that Is ErrDamaged says that the file could not be read and its notes are lost; the File works all the same.
func Open(path string) (*File, error) {
	f := &File{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if f.left, err = decode(data); err != nil {
		return f, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return f, nil
}

// ErrDamaged says that notes of the last process were lost.
var ErrDamaged = errors.New("the notes of attempts in flight cannot be read")

// Left are the attempts that ran when the last process ended. They stay on disk until Start.
func (f *File) Left() []Note { return f.left }

// Start forgets what was left and makes room for a number of attempts. Without it, or when it fails, Set and Clear do nothing.
func (f *File) Start(slots int) error {
	fresh := f.path + ".new"
	// Written, not truncated to its size: a hole would need a block later, and a full disk would then kill the process at a store to memory.
	if err := os.WriteFile(fresh, emptyFile(slots), 0o640); err != nil {
		return fmt.Errorf("make the file of attempts in flight: %w", err)
	}
	mem, err := mapFile(fresh, fileSize(slots))
	if err != nil {
		return fmt.Errorf("map %s: %w", fresh, err)
	}
	if err := os.Rename(fresh, f.path); err != nil {
		return errors.Join(fmt.Errorf("make the file of attempts in flight: %w", err), syscall.Munmap(mem))
	}
	f.left = nil
	f.mem.Store(&mem)
	return nil
}

func mapFile(path string, size int) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	mem, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	return mem, errors.Join(err, file.Close())
}

// Set notes an attempt in a slot, from 0 on, that is empty.
func (f *File) Set(slot int, n *Note) {
	if mem := f.mem.Load(); mem != nil {
		writeSlot(slotOf(*mem, slot), n)
	}
}

// Clear empties a slot: its attempt has ended.
func (f *File) Clear(slot int) {
	if mem := f.mem.Load(); mem != nil {
		atomic.StoreUint32(stateOf(slotOf(*mem, slot)), slotEmpty)
	}
}

// Forgive empties all slots. It is for a process that has to end at once for a reason of its own: no attempt is to blame.
func (f *File) Forgive() {
	mem := f.mem.Load()
	if mem == nil {
		return
	}
	for i := range (len(*mem) - headerSize) / slotSize {
		f.Clear(i)
	}
}

// Close gives the memory back. Nothing may be noted any more.
func (f *File) Close() error {
	mem := f.mem.Swap(nil)
	if mem == nil {
		return nil
	}
	if err := syscall.Munmap(*mem); err != nil {
		return fmt.Errorf("unmap %s: %w", f.path, err)
	}
	return nil
}

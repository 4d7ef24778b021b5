package linear

// System is what the operating system offers for resetting memories, found out by trying. One serves a whole process. It is safe for concurrent use.
type System struct {
	scanner *scanner // nil where written pages cannot be listed
}

// method is a way to put a memory back.
type method int

const (
	copyAll    method = iota // copy the whole image
	discardAll               // give written pages back; each costs a fault when it is touched next
	copyDirty                // list written pages and copy those, which costs no faults
)

// small is the size up to which copying everything beats looking for what was written, in bytes.
const small = PageSize

// NewSystem looks at what there is. Close it after all memories.
func NewSystem() *System { return &System{scanner: newScanner()} }

// Scans says whether written pages can be listed, which makes resets about four times faster. It needs Linux 6.7.
func (s *System) Scans() bool { return s.scanner != nil }

// Close frees what looking for written pages needs.
func (s *System) Close() error {
	if s.scanner == nil {
		return nil
	}
	return s.scanner.close()
}

func (s *System) method(m *Memory) method {
	switch {
	case !canDiscard || m.touched <= small:
		return copyAll
	case s.scanner != nil:
		return copyDirty
	}
	return discardAll
}

// copyBack copies the written pages back from the image and clears those beyond it. It answers false, having done nothing, when there are too many or
// they cannot be listed.
func (s *System) copyBack(m *Memory) bool {
	list, ok := s.scanner.written(m.space[:m.touched])
	if !ok {
		return false
	}
	for _, r := range list.ranges() {
		from, to := list.offsets(r)
		if inside := min(to, m.image.size); from < inside {
			copy(m.space[from:inside], m.image.bytes[from:inside])
			from = inside
		}
		clear(m.space[from:to])
	}
	s.scanner.done(list)
	return true
}

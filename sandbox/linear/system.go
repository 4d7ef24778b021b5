package linear

// System is what the operating system offers for resetting memories, found out by trying. One serves a whole process. It is safe for concurrent use.
type System struct {
	scanner *scanner // nil where written pages cannot be listed
	faults  bool     // a thread can count its page faults
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
func NewSystem() *System {
	s := &System{scanner: newScanner()}
	s.faults = s.scanner != nil && countsFaults()
	return s
}

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

// list finds out which pages of a memory were written. It answers false when there are too many to copy or they cannot be listed.
func (s *System) list(m *Memory) bool {
	m.writes.forget()
	list, ok := s.scanner.written(m.space[:m.touched])
	if !ok {
		return false
	}
	for _, r := range list.ranges() {
		from, to := list.offsets(r)
		m.writes.add(span{from, to})
	}
	m.writes.known = s.faults
	s.scanner.done(list)
	return true
}

//go:build !linux

package linear

// canDiscard: memories are plain copies here.
const canDiscard = false

type backing struct{}

func (i *Image) fill(parts []Part) error {
	i.bytes = make([]byte, i.size)
	for _, p := range parts {
		copy(i.bytes[p.At:], p.Bytes)
	}
	return nil
}

func (i *Image) place(space []byte) error {
	copy(space, i.bytes)
	return nil
}

func (i *Image) drop() error {
	i.bytes = nil
	return nil
}

func discard([]byte) error { return nil }

func countsFaults() bool { return false }

func threadFaults() int64 { return 0 }

func keepSmall([]byte) error { return nil }

// scanner does not exist here: newScanner returns none.
type scanner struct{}

type list struct{}

type pageRange struct{}

func newScanner() *scanner { return nil }

func (*scanner) close() error { return nil }

func (*scanner) written([]byte) (*list, bool) { return nil, false }

func (*scanner) done(*list) {}

func (*list) ranges() []pageRange { return nil }

func (*list) offsets(pageRange) (from, to int) { return 0, 0 }

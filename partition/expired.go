package partition

import (
	"errors"
	"fmt"

	"github.com/evoke-run/evoke/eventlog"
)

// CheckRange refuses a range of a topic, or of those that a pattern matches, whose offsets are not of this data directory, or with ErrExpired one whose
// beginning is not stored any more.
func (t *Table) CheckRange(namespace, topic string, r Range) error {
	for _, offsets := range [...][]uint64{r.From, r.To} {
		if offsets == nil {
			continue
		}
		if err := t.CheckOffsets(offsets); err != nil {
			return err
		}
	}
	if err := t.reaches(Cursor{next: r.From}, namespace, topic); err != nil {
		return err
	}
	head := t.Head()
	for i, from := range r.From {
		if from >= head.at(i) {
			continue
		}
		err := t.log.Read(i, max(1, from), func(eventlog.Record) bool { return false })
		if errors.Is(err, eventlog.ErrTrimmed) {
			return fmt.Errorf("%w: the events of partition %d behind offset %d were removed by retention", ErrExpired, i, from)
		}
		if err != nil {
			return fmt.Errorf("read partition %d: %w", i, err)
		}
	}
	return nil
}

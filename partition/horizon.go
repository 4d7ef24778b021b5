package partition

import (
	"errors"
	"fmt"

	"github.com/evoke-run/evoke/eventlog"
)

// ErrExpired says that what was asked for has been removed by retention.
var ErrExpired = errors.New("removed by retention")

// Horizon is where the events of a topic begin: everything below has been removed by retention. It is the zero cursor when nothing has.
func (t *Table) Horizon(namespace, topic string) (Cursor, error) {
	c := Cursor{next: make([]uint64, t.count)}
	for i, p := range t.parts {
		value, _, err := read(t.db, p.machine.store.horizonKey(namespace, topic))
		if err != nil {
			return Cursor{}, err
		}
		c.next[i] = readU64(value)
	}
	return c, nil
}

// reaches refuses a cursor that points to events which are gone. The zero cursor means the beginning, wherever that is.
func (t *Table) reaches(from Cursor, namespace, topic string) error {
	if len(from.next) == 0 {
		return nil
	}
	horizon, err := t.Horizon(namespace, topic)
	if err != nil {
		return err
	}
	for i := range t.parts {
		if from.at(i) < horizon.at(i) {
			return fmt.Errorf("%w: the events of topic %s in partition %d begin at offset %d, the position is %d; start at \"earliest\" or later",
				ErrExpired, topic, i, horizon.at(i), from.at(i))
		}
	}
	return nil
}

// vanished says that a read came too late: between looking the event up and reading it, retention has removed it.
func vanished(err error) bool { return errors.Is(err, eventlog.ErrTrimmed) }

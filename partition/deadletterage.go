package partition

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/evoke-run/evoke/wire"
)

// expireLetters discards the dead letters that have been kept for as long as their function wants.
func (k *keeper) expireLetters(ctx context.Context) error {
	if k.now.UnixMilli() < k.aging.letters {
		return nil
	}
	expired, due, err := k.expiredLetters()
	if err != nil {
		return err
	}
	for _, trigger := range slices.Sorted(maps.Keys(expired)) {
		if err := k.discardExpired(ctx, trigger, expired[trigger]); err != nil {
			return err
		}
	}
	k.aging.letters = due
	return nil
}

// expiredLetters finds what has had its time, by trigger, and when the next will have. A dead letter that comes after this look is due later than all that are
// kept as long.
func (k *keeper) expiredLetters() (expired map[uint64][]letter, due int64, err error) {
	expired = map[uint64][]letter{}
	due = k.now.Add(k.wanted.shortestKeep()).UnixMilli()
	err = scan(k.table.db, k.machine.store.key(keyDeadLetter), func(rest, value []byte) error {
		if len(rest) != 16 {
			return errors.New("dead letter has a key of the wrong length")
		}
		r := wire.NewReader(value)
		generation, since := uint32(r.Uvarint()), int64(r.U64())
		if r.Err() != nil {
			return fmt.Errorf("dead letter: %w", r.Err())
		}
		trigger, offset := binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:])
		end := since + k.wanted.deadLetter(trigger).Milliseconds()
		if end <= k.now.UnixMilli() {
			expired[trigger] = append(expired[trigger], letter{trigger: trigger, offset: offset, generation: generation})
		} else {
			due = min(due, end)
		}
		return nil
	})
	return expired, due, err
}

func (k *keeper) discardExpired(ctx context.Context, trigger uint64, letters []letter) error {
	def, _ := k.triggerOf(trigger) // before they go: the trigger may go with the last of them
	keep, total := k.wanted.deadLetter(trigger), 0
	for part := range slices.Chunk(letters, maxLetters) {
		res, err := k.do(ctx, &discardRecord{reason: "kept for " + keep.String(), letters: part})
		if err != nil {
			return err
		}
		total += res.count
	}
	k.table.metrics.lettersExpired.Add(float64(total))
	k.table.opts.Logger.Info("removed dead letters that were kept long enough", "trigger", def.Name, "partition", k.index, "kept", keep, "dead_letters", total)
	return nil
}

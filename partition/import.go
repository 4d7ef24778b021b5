package partition

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/archive"
	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/wire"
)

// ImportOptions say where partitions of an archive go.
type ImportOptions struct {
	Log        eventlog.Importer // empty; nil = the node has the log already, because it shares it with the one that the archive is from
	Dir        string            // of the state; empty or missing
	FS         vfs.FS            // nil = the disk
	Partitions int               // that the archive has
	Fatal      func(error)       // called when the state cannot be written: the process must end
}

// Importer takes over the partitions that View.Write or, for a log that is shared, View.WriteState has written.
type Importer struct {
	o    ImportOptions
	db   *pebble.DB
	at   partitionBlock // the partition whose blocks come now
	seen int            // partitions that have begun
	end  uint64         // offset behind the newest record of it; without a log, what its state says
	meta bool           // its meta entry has come
}

// NewImporter makes the state. Close must be called in the end.
func NewImporter(o ImportOptions) (*Importer, error) {
	db, err := pebble.Open(o.Dir, &pebble.Options{
		FS: o.FS, FormatMajorVersion: pebble.FormatValueSeparation, ErrorIfExists: true, DisableWAL: true, // Finish makes it durable
		Logger:        pebbleLogger{Options{Logger: slog.New(slog.DiscardHandler), Fatal: o.Fatal}},
		EventListener: &pebble.EventListener{BackgroundError: func(err error) { o.Fatal(fmt.Errorf("write state %s: %w", o.Dir, err)) }},
	})
	if err != nil {
		return nil, fmt.Errorf("make state %s: %w", o.Dir, err)
	}
	return &Importer{o: o, db: db}, nil
}

// Block takes one block of kind Partition, State or Log, in the order of the archive.
func (im *Importer) Block(kind archive.Kind, payload []byte) error {
	var err error
	switch kind {
	case archive.Partition:
		err = im.begin(payload)
	case archive.State:
		err = im.state(payload)
	case archive.Log:
		err = im.records(payload)
	default:
		err = fmt.Errorf("%w: a block of kind %c among partitions", archive.ErrDamaged, kind)
	}
	if err != nil {
		return fmt.Errorf("import partition %d: %w", im.at.Index, err)
	}
	return nil
}

func (im *Importer) begin(payload []byte) error {
	if err := im.finish(); err != nil {
		return err
	}
	im.end, im.meta = 0, false
	if err := json.Unmarshal(payload, &im.at); err != nil {
		return fmt.Errorf("%w: %w", archive.ErrDamaged, err)
	}
	if im.at.Index != im.seen || im.at.Index >= im.o.Partitions {
		return fmt.Errorf("%w: partition %d comes when %d of %d are there", archive.ErrDamaged, im.at.Index, im.seen, im.o.Partitions)
	}
	im.seen++
	if im.o.Log == nil && im.at.Directory != 0 {
		return writeDirectoryID(im.db, im.at.Directory, pebble.NoSync)
	}
	return nil
}

// finish checks that a partition is whole.
func (im *Importer) finish() error {
	if im.seen > 0 && (!im.meta || im.end != im.at.Applied) {
		return fmt.Errorf("%w: the log of partition %d ends at offset %d, its state at %d", archive.ErrDamaged, im.at.Index, im.end, im.at.Applied)
	}
	return nil
}

func (im *Importer) state(payload []byte) error {
	if im.seen == 0 {
		return fmt.Errorf("%w: state of no partition", archive.ErrDamaged)
	}
	s := newStore(im.db, im.at.Index)
	prefix := s.key(0)[:2]
	for r := wire.NewReader(payload); len(r.Rest()) > 0; {
		key, value := r.Bytes(), r.Bytes()
		if err := r.Err(); err != nil || len(key) == 0 {
			return fmt.Errorf("%w: an entry of the state cannot be read", archive.ErrDamaged)
		}
		if key[0] == keyMeta {
			m := newMachine(s, im.o.Partitions, nil)
			if err := m.readMeta(value); err != nil {
				return err
			}
			if im.meta = true; im.o.Log == nil {
				im.end = m.next
			}
		}
		s.put(slices.Concat(prefix, key), value)
	}
	return s.commit()
}

func (im *Importer) records(payload []byte) error {
	if im.seen == 0 {
		return fmt.Errorf("%w: records of no partition", archive.ErrDamaged)
	}
	if im.o.Log == nil {
		return nil
	}
	var list []eventlog.Record
	for r := wire.NewReader(payload); len(r.Rest()) > 0; {
		rec := eventlog.Record{Offset: r.U64(), Span: r.U32(), Data: r.Bytes()}
		if r.Err() != nil {
			return fmt.Errorf("%w: a record of the log cannot be read", archive.ErrDamaged)
		}
		if _, b, err := decodeRecord(rec.Data); err != nil {
			return fmt.Errorf("record at offset %d: %w", rec.Offset, err)
		} else if span(b) != rec.Span {
			return fmt.Errorf("record at offset %d: %w: it owns %d offsets, not %d", rec.Offset, errDamaged, rec.Span, span(b))
		}
		list = append(list, rec)
		im.end = rec.Offset + uint64(rec.Span)
	}
	return im.o.Log.Import(im.at.Index, list)
}

// Finish checks that all partitions have come and puts the state on stable storage.
func (im *Importer) Finish() error {
	if err := im.finish(); err != nil {
		return err
	}
	if im.seen != im.o.Partitions {
		return fmt.Errorf("%w: it has %d partitions of %d", archive.ErrDamaged, im.seen, im.o.Partitions)
	}
	if err := im.db.Flush(); err != nil {
		return fmt.Errorf("write state %s: %w", im.o.Dir, err)
	}
	return nil
}

// Close releases the state; without Finish it is of no use.
func (im *Importer) Close() error {
	if err := im.db.Close(); err != nil {
		return fmt.Errorf("close state %s: %w", im.o.Dir, err)
	}
	return nil
}

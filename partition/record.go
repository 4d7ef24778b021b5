package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// Records are what docs/log.md specifies; this file is their only reader and writer.

// Versions of a record. rankedVersion has the ranks of its events behind the body; one without ranks is of the version before, which older programs read.
const (
	recordVersion = 1
	rankedVersion = 2
)

const headerSize = 4 + 1 + 1 + 8 + 8 + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged marks bytes that are no record: the log under them is not what was written.
var errDamaged = errors.New("damaged record")

type kind uint8

const (
	kindLead      kind = 1
	kindPublish   kind = 2
	kindSettle    kind = 3
	kindEffects   kind = 4
	kindMatched   kind = 5
	kindRedrive   kind = 6
	kindDiscard   kind = 7
	kindDelivered kind = 8
	kindControl   kind = 9

	kindGaveUp    kind = 13
	kindRedriveAs kind = 14
	kindBatch     kind = 15
	kindCall      kind = 16

	kindRedriveAbove kind = 17
	kindAdmit        kind = 18
	kindMatchedLater kind = 19
	kindCron         kind = 20
	kindJoint        kind = 21
)

// header is the part that every record has.
type header struct {
	epoch, seq uint64
	time       int64 // unix milliseconds
}

// body is one kind of record.
type body interface {
	kind() kind
	append(b []byte) []byte
	// events are those that the record stores for its own partition; they own the record's offsets.
	events() []storedEvent
}

// bringer is a kind that brings what an invocation did.
type bringer interface{ brings() *effects }

// span is how many offsets a record owns.
func span(b body) uint32 { return uint32(max(1, len(b.events()))) }

func encodeRecord(h header, b body) []byte {
	room := headerSize + 32
	for _, e := range b.events() {
		room += len(e.namespace) + len(e.topic) + len(e.event) + 32
	}
	if b, ok := b.(bringer); ok {
		room += b.brings().room()
	}
	out := make([]byte, 4, max(room, 256)) // what is large makes it grow no more
	ranks := ranksOf(b.events())
	version := byte(recordVersion)
	if len(ranks) > 0 {
		version = rankedVersion
	}
	joints := jointsOf(b)
	out = append(out, version, byte(b.kind()))
	if len(joints) > 0 {
		out[len(out)-1] = byte(kindJoint)
	}
	out = wire.AppendU64(out, h.epoch)
	out = wire.AppendU64(out, h.seq)
	out = wire.AppendU64(out, uint64(h.time))
	if len(joints) > 0 {
		out = appendJoints(b.append(append(out, byte(b.kind()))), joints)
	} else {
		out = b.append(out)
	}
	if version == rankedVersion {
		out = appendRanks(out, ranks)
	}
	seal(out)
	return out
}

// seal sets the checksum.
func seal(record []byte) {
	binary.LittleEndian.PutUint32(record, crc32.Checksum(record[4:], castagnoli))
}

// decodeRecord checks and reads a record. What it returns shares data's memory.
func decodeRecord(data []byte) (header, body, error) {
	if len(data) < headerSize {
		return header{}, nil, fmt.Errorf("%w: %d bytes", errDamaged, len(data))
	}
	if crc32.Checksum(data[4:], castagnoli) != binary.LittleEndian.Uint32(data) {
		return header{}, nil, fmt.Errorf("%w: wrong checksum", errDamaged)
	}
	if v := data[4]; v != recordVersion && v != rankedVersion {
		return header{}, nil, fmt.Errorf("record version %d is unknown, this program reads %d: a newer one wrote this log", v, rankedVersion)
	}
	r := wire.NewReader(data[6:])
	h := header{epoch: r.U64(), seq: r.U64(), time: int64(r.U64())}
	b, err := decodeBody(kind(data[5]), &r)
	if err == nil && data[4] == rankedVersion {
		err = readRanks(&r, b.events())
	}
	if err != nil {
		return header{}, nil, err
	}
	if err := r.Close(); err != nil {
		return header{}, nil, fmt.Errorf("%w: kind %d: %w", errDamaged, data[5], err)
	}
	return h, b, nil
}

func decodeBody(k kind, r *wire.Reader) (body, error) {
	switch k {
	case kindLead:
		return &leadRecord{partitions: r.Uvarint(), index: r.Uvarint(), first: r.U64(), last: r.U64(), node: r.String()}, nil
	case kindPublish:
		return readPublish(r), nil
	case kindSettle:
		return readSettle(r), nil
	case kindEffects:
		return &effectsRecord{invocation: r.String(), effects: readEffects(r)}, nil
	case kindMatched, kindMatchedLater:
		return readMatched(r, k), nil
	case kindJoint:
		return readJoint(r)
	case kindRedrive:
		return &redriveRecord{letters: readLetters(r)}, nil
	case kindDiscard:
		return &discardRecord{reason: r.String(), letters: readLetters(r)}, nil
	case kindDelivered:
		return &deliveredRecord{to: r.Uvarint(), seq: r.Uvarint()}, nil
	case kindControl:
		return readControl(r), nil
	case kindExpire:
		return readExpire(r), nil
	case kindLapse:
		return &lapseRecord{reason: r.String(), letters: readLetters(r)}, nil
	case kindTrim:
		return &trimRecord{before: r.Uvarint()}, nil
	case kindGaveUp:
		return readGaveUp(r), nil
	case kindBatch:
		return readBatch(r), nil
	case kindCall:
		return readCall(r), nil
	case kindAdmit:
		return readAdmit(r), nil
	case kindCron:
		return readCron(r), nil
	case kindRedriveAs, kindRedriveAbove:
		return readRedriveAs(r, k), nil
	}
	return nil, fmt.Errorf("record kind %d is unknown: a newer program wrote this log", k)
}

// noEvents is for the kinds that store none.
type noEvents struct{}

func (noEvents) events() []storedEvent { return nil }

// leadRecord begins an epoch.
type leadRecord struct {
	noEvents
	partitions, index uint64
	first, last       uint64 // range of key hashes, both inclusive
	node              string
}

func (*leadRecord) kind() kind { return kindLead }
func (l *leadRecord) append(b []byte) []byte {
	b = wire.AppendUvarint(b, l.partitions)
	b = wire.AppendUvarint(b, l.index)
	b = wire.AppendU64(b, l.first)
	b = wire.AppendU64(b, l.last)
	return wire.AppendBytes(b, l.node)
}

// storedEvent is an event with the triggers it matched when it was appended.
type storedEvent struct {
	namespace, topic string
	notBefore        int64
	triggers         []uint64
	ranks            []int8 // of the event for each trigger; nil = all 0
	event            []byte
}

func (e *storedEvent) append(b []byte) []byte {
	b = wire.AppendBytes(b, e.namespace)
	b = wire.AppendBytes(b, e.topic)
	b = wire.AppendU64(b, uint64(e.notBefore))
	b = wire.AppendUvarint(b, uint64(len(e.triggers)))
	for _, id := range e.triggers {
		b = wire.AppendUvarint(b, id)
	}
	return wire.AppendBytes(b, e.event)
}

func readStoredEvent(r *wire.Reader) storedEvent {
	e := storedEvent{namespace: r.String(), topic: r.String(), notBefore: int64(r.U64())}
	if n := r.Count(); n > 0 {
		e.triggers = make([]uint64, n)
		for i := range e.triggers {
			e.triggers[i] = r.Uvarint()
		}
	}
	e.event = r.Bytes()
	return e
}

func appendStoredEvents(b []byte, events []storedEvent) []byte {
	b = wire.AppendUvarint(b, uint64(len(events)))
	for i := range events {
		b = events[i].append(b)
	}
	return b
}

func readList[T any](r *wire.Reader, read func(*wire.Reader) T) []T {
	n := r.Count()
	if n == 0 {
		return nil
	}
	list := make([]T, 0, min(n, 1024))
	for range n {
		list = append(list, read(r))
		if r.Err() != nil {
			return nil
		}
	}
	return list
}

const (
	originOutside = 0
	originOutbox  = 1
)

// publishRecord stores events that came from outside or from another partition.
type publishRecord struct {
	origin    uint8
	from, seq uint64 // with originOutbox
	stored    []storedEvent
}

func (*publishRecord) kind() kind              { return kindPublish }
func (p *publishRecord) events() []storedEvent { return p.stored }
func (p *publishRecord) append(b []byte) []byte {
	b = append(b, p.origin)
	if p.origin == originOutbox {
		b = wire.AppendUvarint(b, p.from)
		b = wire.AppendUvarint(b, p.seq)
	}
	return appendStoredEvents(b, p.stored)
}

func readPublish(r *wire.Reader) *publishRecord {
	p := &publishRecord{origin: r.U8()}
	if p.origin == originOutbox {
		p.from, p.seq = r.Uvarint(), r.Uvarint()
	}
	p.stored = readList(r, readStoredEvent)
	return p
}

// next is what a settle decides for the event.
type next uint8

const (
	nextSettled    next = 0
	nextRetry      next = 1
	nextDeadLetter next = 2
)

// settleRecord is the outcome of one attempt.
type settleRecord struct {
	trigger, offset uint64
	generation      uint32
	attempt         Attempt
	next            next
	retryAt         int64
	effects         effects
}

func (*settleRecord) kind() kind              { return kindSettle }
func (s *settleRecord) events() []storedEvent { return s.effects.own }
func (s *settleRecord) brings() *effects      { return &s.effects }
func (s *settleRecord) append(b []byte) []byte {
	b = wire.AppendUvarint(b, s.trigger)
	b = wire.AppendUvarint(b, s.offset)
	b = wire.AppendUvarint(b, uint64(s.generation))
	b = s.attempt.append(b)
	b = append(b, byte(s.next))
	b = wire.AppendU64(b, uint64(s.retryAt))
	return s.effects.append(b)
}

func readSettle(r *wire.Reader) *settleRecord {
	return &settleRecord{
		trigger: r.Uvarint(), offset: r.Uvarint(), generation: uint32(r.Uvarint()),
		attempt: readAttempt(r), next: next(r.U8()), retryAt: int64(r.U64()), effects: readEffects(r),
	}
}

func (a *Attempt) append(b []byte) []byte {
	b = wire.AppendUvarint(b, uint64(a.Number))
	b = wire.AppendUvarint(b, uint64(a.Revision))
	b = wire.AppendU64(b, uint64(a.Start.UnixMilli()))
	b = wire.AppendUvarint(b, uint64(max(0, a.Duration.Microseconds())))
	b = append(b, byte(a.Verdict))
	b = wire.AppendBytes(b, a.Class)
	return wire.AppendBytes(b, a.Error)
}

func readAttempt(r *wire.Reader) Attempt {
	return Attempt{
		Number: int(r.Uvarint()), Revision: int(r.Uvarint()), Start: time.UnixMilli(int64(r.U64())).UTC(),
		Duration: time.Duration(r.Uvarint()) * time.Microsecond, Verdict: int32(r.U8()), Class: r.String(), Error: r.String(),
	}
}

// effects are what an invocation did: all of it happens, or nothing.
type effects struct {
	namespace, function, key string
	reads                    []StateRead
	writes                   []StateWrite
	own                      []storedEvent
	foreign                  []foreignEvent
	joints                   []joint // beside them in the record: see kindJoint
}

// foreignEvent is emitted into another partition, which does its own matching.
type foreignEvent struct {
	to               uint64
	namespace, topic string
	event            []byte
}

func (e *effects) append(b []byte) []byte {
	b = wire.AppendBytes(b, e.namespace)
	b = wire.AppendBytes(b, e.function)
	b = wire.AppendBytes(b, e.key)
	b = appendWrites(appendReads(b, e.reads), e.writes)
	b = appendStoredEvents(b, e.own)
	b = wire.AppendUvarint(b, uint64(len(e.foreign)))
	for _, f := range e.foreign {
		b = wire.AppendUvarint(b, f.to)
		b = wire.AppendBytes(b, f.namespace)
		b = wire.AppendBytes(b, f.topic)
		b = wire.AppendBytes(b, f.event)
	}
	return b
}

func appendReads(b []byte, reads []StateRead) []byte {
	b = wire.AppendUvarint(b, uint64(len(reads)))
	for _, s := range reads {
		b = wire.AppendUvarint(wire.AppendBytes(b, s.Name), s.Version)
	}
	return b
}

func readReads(r *wire.Reader) []StateRead {
	return readList(r, func(r *wire.Reader) StateRead { return StateRead{Name: r.String(), Version: r.Uvarint()} })
}

func appendWrites(b []byte, writes []StateWrite) []byte {
	b = wire.AppendUvarint(b, uint64(len(writes)))
	for _, s := range writes {
		b = wire.AppendBytes(b, s.Name)
		b = append(b, boolByte(s.Delete))
		b = wire.AppendBytes(b, s.Value)
	}
	return b
}

func readWrites(r *wire.Reader) []StateWrite {
	return readList(r, func(r *wire.Reader) StateWrite {
		return StateWrite{Name: r.String(), Delete: r.U8() == 1, Value: r.Bytes()}
	})
}

// room is about what they take beside the events for their own partition.
func (e *effects) room() int {
	n := 128 + len(e.key)
	for _, w := range e.writes {
		n += len(w.Name) + len(w.Value) + 16
	}
	for _, f := range e.foreign {
		n += len(f.namespace) + len(f.topic) + len(f.event) + 32
	}
	for i := range e.joints {
		n += 32 + len(e.joints[i].function)
		for _, w := range e.joints[i].writes {
			n += len(w.Name) + len(w.Value) + 16
		}
	}
	return n
}

func readEffects(r *wire.Reader) effects {
	return effects{
		namespace: r.String(), function: r.String(), key: r.String(),
		reads: readReads(r), writes: readWrites(r),
		own: readList(r, readStoredEvent),
		foreign: readList(r, func(r *wire.Reader) foreignEvent {
			return foreignEvent{to: r.Uvarint(), namespace: r.String(), topic: r.String(), event: r.Bytes()}
		}),
	}
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// effectsRecord is what a synchronous call did.
type effectsRecord struct {
	invocation string
	effects    effects
}

func (*effectsRecord) kind() kind              { return kindEffects }
func (e *effectsRecord) events() []storedEvent { return e.effects.own }
func (e *effectsRecord) brings() *effects      { return &e.effects }
func (e *effectsRecord) append(b []byte) []byte {
	return e.effects.append(wire.AppendBytes(b, e.invocation))
}

// letter names a dead letter of one generation.
type letter struct {
	trigger, offset uint64
	generation      uint32
}

func appendLetters(b []byte, letters []letter) []byte {
	b = wire.AppendUvarint(b, uint64(len(letters)))
	for _, l := range letters {
		b = wire.AppendUvarint(b, l.trigger)
		b = wire.AppendUvarint(b, l.offset)
		b = wire.AppendUvarint(b, uint64(l.generation))
	}
	return b
}

func readLetters(r *wire.Reader) []letter {
	return readList(r, func(r *wire.Reader) letter {
		return letter{trigger: r.Uvarint(), offset: r.Uvarint(), generation: uint32(r.Uvarint())}
	})
}

// redriveRecord makes dead letters pending again.
type redriveRecord struct {
	noEvents
	letters []letter
}

func (*redriveRecord) kind() kind               { return kindRedrive }
func (d *redriveRecord) append(b []byte) []byte { return appendLetters(b, d.letters) }

// discardRecord forgets dead letters.
type discardRecord struct {
	noEvents
	reason  string
	letters []letter
}

func (*discardRecord) kind() kind { return kindDiscard }
func (d *discardRecord) append(b []byte) []byte {
	return appendLetters(wire.AppendBytes(b, d.reason), d.letters)
}

// deliveredRecord says that another partition has applied the outbox up to a sequence.
type deliveredRecord struct {
	noEvents
	to, seq uint64
}

func (*deliveredRecord) kind() kind { return kindDelivered }
func (d *deliveredRecord) append(b []byte) []byte {
	return wire.AppendUvarint(wire.AppendUvarint(b, d.to), d.seq)
}

// controlRecord changes which triggers are in force.
type controlRecord struct {
	noEvents
	generation uint64
	put        [][]byte // Trigger as JSON
	remove     []uint64
}

func (*controlRecord) kind() kind { return kindControl }
func (c *controlRecord) append(b []byte) []byte {
	b = wire.AppendU64(b, c.generation)
	b = wire.AppendUvarint(b, uint64(len(c.put)))
	for _, t := range c.put {
		b = wire.AppendBytes(b, t)
	}
	b = wire.AppendUvarint(b, uint64(len(c.remove)))
	for _, id := range c.remove {
		b = wire.AppendUvarint(b, id)
	}
	return b
}

func readControl(r *wire.Reader) *controlRecord {
	return &controlRecord{
		generation: r.U64(),
		put:        readList(r, (*wire.Reader).Bytes),
		remove:     readList(r, (*wire.Reader).Uvarint),
	}
}

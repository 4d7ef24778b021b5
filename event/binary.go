package event

import (
	"fmt"
	"time"

	"github.com/evoke-run/evoke/wire"
)

// The binary form (docs/log.md, "Event"):
//
//	version u8 = 1
//	flags   u8   bit 0 has data, bit 1 has request, bit 2 has time
//	time    i64  little-endian unix nanoseconds, i32 zone offset in seconds; only with bit 2
//	id, source, type, subject, datacontenttype, dataschema   uvarint length + bytes each
//	extensions  uvarint count, then kind u8, name, value each
//	request     uvarint length + bytes; only with bit 1
//	data        the rest; only with bit 0
const binaryVersion = 1

const (
	hasData = 1 << iota
	hasRequest
	hasTime
)

// Size is the length of the binary form in bytes.
func (e *Event) Size() int {
	n := 2 + len(e.Data)
	if !e.Time.IsZero() {
		n += 12
	}
	for _, s := range [...]string{e.ID, e.Source, e.Type, e.Subject, e.DataContentType, e.DataSchema} {
		n += wire.SizeBytes(len(s))
	}
	n += wire.SizeUvarint(uint64(len(e.Extensions)))
	for _, x := range e.Extensions {
		n += 1 + wire.SizeBytes(len(x.Name)) + wire.SizeBytes(len(x.Value))
	}
	if e.Request != nil {
		n += wire.SizeBytes(len(e.Request))
	}
	return n
}

// AppendBinary appends the binary form to b.
func (e *Event) AppendBinary(b []byte) []byte {
	var flags byte
	if e.Data != nil {
		flags |= hasData
	}
	if e.Request != nil {
		flags |= hasRequest
	}
	if !e.Time.IsZero() {
		flags |= hasTime
	}
	b = append(b, binaryVersion, flags)
	if flags&hasTime != 0 {
		_, zone := e.Time.Zone()
		b = wire.AppendU64(b, uint64(e.Time.UnixNano()))
		b = wire.AppendU32(b, uint32(int32(zone)))
	}
	for _, s := range [...]string{e.ID, e.Source, e.Type, e.Subject, e.DataContentType, e.DataSchema} {
		b = wire.AppendBytes(b, s)
	}
	b = wire.AppendUvarint(b, uint64(len(e.Extensions)))
	for _, x := range e.Extensions {
		b = append(b, byte(x.Kind))
		b = wire.AppendBytes(b, x.Name)
		b = wire.AppendBytes(b, x.Value)
	}
	if flags&hasRequest != 0 {
		b = wire.AppendBytes(b, e.Request)
	}
	return append(b, e.Data...)
}

// Decode reads the binary form. The event's Data and Request share b's memory; its strings do not.
func Decode(b []byte) (Event, error) {
	r := wire.NewReader(b)
	if v := r.U8(); v != binaryVersion && r.Err() == nil {
		return Event{}, fmt.Errorf("event format version %d is unknown, this program reads %d", v, binaryVersion)
	}
	flags := r.U8()
	var e Event
	if flags&hasTime != 0 {
		nanos, zone := int64(r.U64()), int(int32(r.U32()))
		e.Time = time.Unix(0, nanos).UTC()
		if zone != 0 {
			e.Time = e.Time.In(time.FixedZone("", zone))
		}
	}
	r.Strings(&e.ID, &e.Source, &e.Type, &e.Subject, &e.DataContentType, &e.DataSchema)
	if n := r.Count(); n > 0 {
		e.Extensions = make([]Extension, n)
		for i := range e.Extensions {
			e.Extensions[i] = Extension{Kind: Kind(r.U8()), Name: r.String(), Value: r.String()}
		}
	}
	if flags&hasRequest != 0 {
		e.Request = r.Bytes()
	}
	if flags&hasData != 0 && r.Err() == nil {
		e.Data = r.Rest()
		return e, nil
	}
	if err := r.Close(); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	return e, nil
}

// Identity reads only the id and source of a binary form; both share b's memory.
func Identity(b []byte) (id, source []byte, err error) {
	r := wire.NewReader(b)
	if v := r.U8(); v != binaryVersion && r.Err() == nil {
		return nil, nil, fmt.Errorf("event format version %d is unknown, this program reads %d", v, binaryVersion)
	}
	if r.U8()&hasTime != 0 {
		r.U64()
		r.U32()
	}
	id, source = r.Bytes(), r.Bytes()
	if r.Err() != nil {
		return nil, nil, fmt.Errorf("decode event: %w", r.Err())
	}
	return id, source, nil
}

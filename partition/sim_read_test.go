package partition

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// This file reads records by docs/log.md section 3 alone, and shares no code with record.go.

// field names of a record as the model knows them; which are set depends on the kind.
type simRecord struct {
	kind       byte
	epoch, seq uint64
	time       int64

	origin        byte   // publish
	peer, peerSeq uint64 // publish from an outbox: sender; delivered: receiver
	events        []simEvent
	trigger       uint64 // settle
	offset        uint64
	generation    uint64 // settle, control
	attempt       simAttempt
	next          byte
	retryAt       int64
	invocation    string // effects
	effects       simEffects
	reason        string // discard, lapse
	letters       [][3]uint64
	definition    uint64 // matched
	from, upTo    uint64
	offsets       []uint64
	later         [][2]uint64  // matched later: offset, not before
	topics        []simExpired // expire
	before        uint64       // trim
	parks         bool         // gave up
	lane          uint64
	as            [][5]uint64 // redrive as: trigger, offset, generation, revision, edited
	batch         [][3]uint64 // offset, generation, attempt number
	key, request  string      // call
	reply         string
	due           int64 // cron
	alone         bool
	rate          string // admit
	now, interval int64
	burst         int64
	put           []string // control
	remove        []uint64
	partitions    uint64 // lead
	index         uint64
	firstH, lastH uint64
	node          string
}

type simEvent struct {
	namespace, topic string
	notBefore        int64
	triggers         []uint64
	ranks            map[uint64]int64 // by trigger; 0 is left out
	bytes            string
	id, source, kind string
	key, data        string
}

type simAttempt struct {
	number, revision uint64
	start            int64
	micros           uint64
	verdict          byte
	class, text      string
}

type simEffects struct {
	scope   [3]string // namespace, function, key
	reads   []simRead
	writes  []simWrite
	own     []simEvent
	foreign []simForeign
	joints  []simJoint
}

type simRead struct {
	name    string
	version uint64
}

type simWrite struct {
	name, value string
	del         bool
}

type simExpired struct {
	namespace, topic string
	before           uint64
}

type simForeign struct {
	to    uint64
	event simEvent
}

// simReader panics where the bytes end; the simulation reports that as it does any finding.
type simReader struct{ b []byte }

func (r *simReader) take(n uint64) []byte {
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *simReader) u8() byte    { return r.take(1)[0] }
func (r *simReader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *simReader) str() string { return string(r.take(r.uv())) }

func (r *simReader) uv() uint64 {
	v, n := binary.Uvarint(r.b)
	r.take(uint64(n))
	return v
}

func simList[T any](r *simReader, read func() T) (list []T) {
	for n := r.uv(); n > 0; n-- {
		list = append(list, read())
	}
	return list
}

func simDecode(data []byte) simRecord {
	r := &simReader{data}
	if sum := binary.LittleEndian.Uint32(r.take(4)); sum != crc32.Checksum(r.b, crc32.MakeTable(crc32.Castagnoli)) {
		panic("a stored record has a wrong checksum")
	}
	version := r.u8()
	if version != 1 && version != 2 {
		panic(fmt.Sprintf("record version %d", version))
	}
	rec := simRecord{kind: r.u8(), epoch: r.u64(), seq: r.u64(), time: int64(r.u64())}
	read, ok := simBodies[rec.kind]
	if !ok {
		panic(fmt.Sprintf("the simulation does not know records of kind %d: add it to simBodies and simRules", rec.kind))
	}
	read(r, &rec)
	if version == 2 {
		for _, at := range simList(r, func() [3]int64 { return [3]int64{int64(r.uv()), int64(r.uv()), int64(int8(r.u8()))} }) {
			e := &rec.events[at[0]]
			if e.ranks == nil {
				e.ranks = map[uint64]int64{}
			}
			e.ranks[e.triggers[at[1]]] = at[2]
		}
	}
	if len(r.b) > 0 {
		panic(fmt.Sprintf("kind %d has %d bytes too many", rec.kind, len(r.b)))
	}
	return rec
}

// simBodies says how each kind is read. A new kind is a line here and one in simRules.
var simBodies = map[byte]func(*simReader, *simRecord){
	1: func(r *simReader, rec *simRecord) {
		rec.partitions, rec.index, rec.firstH, rec.lastH, rec.node = r.uv(), r.uv(), r.u64(), r.u64(), r.str()
	},
	2: func(r *simReader, rec *simRecord) {
		if rec.origin = r.u8(); rec.origin == 1 {
			rec.peer, rec.peerSeq = r.uv(), r.uv()
		}
		rec.events = simList(r, r.stored)
	},
	3: func(r *simReader, rec *simRecord) {
		rec.trigger, rec.offset, rec.generation, rec.attempt = r.uv(), r.uv(), r.uv(), r.attempt()
		rec.next, rec.retryAt, rec.effects = r.u8(), int64(r.u64()), r.effects()
		rec.events = rec.effects.own
	},
	4: func(r *simReader, rec *simRecord) {
		rec.invocation, rec.effects = r.str(), r.effects()
		rec.events = rec.effects.own
	},
	5: func(r *simReader, rec *simRecord) {
		rec.trigger, rec.generation, rec.definition, rec.from, rec.upTo = r.uv(), r.uv(), r.uv(), r.uv(), r.uv()
		last := rec.from
		rec.offsets = simList(r, func() uint64 { last += r.uv(); return last })
	},
	6: func(r *simReader, rec *simRecord) { rec.letters = simList(r, r.letter) },
	7: func(r *simReader, rec *simRecord) { rec.reason, rec.letters = r.str(), simList(r, r.letter) },
	8: func(r *simReader, rec *simRecord) { rec.peer, rec.peerSeq = r.uv(), r.uv() },
	9: func(r *simReader, rec *simRecord) {
		rec.generation, rec.put, rec.remove = r.u64(), simList(r, r.str), simList(r, r.uv)
	},
	10: func(r *simReader, rec *simRecord) {
		rec.topics = simList(r, func() simExpired { return simExpired{r.str(), r.str(), r.uv()} })
	},
	11: func(r *simReader, rec *simRecord) { rec.reason, rec.letters = r.str(), simList(r, r.letter) },
	12: func(r *simReader, rec *simRecord) { rec.before = r.uv() },
	13: func(r *simReader, rec *simRecord) {
		rec.trigger, rec.offset, rec.generation, rec.attempt = r.uv(), r.uv(), r.uv(), r.attempt()
		rec.parks, rec.lane, rec.effects = r.u8() == 1, r.u64(), r.effects()
		rec.events = rec.effects.own
	},
	14: func(r *simReader, rec *simRecord) {
		rec.as = simList(r, func() [5]uint64 { return [5]uint64{r.uv(), r.uv(), r.uv(), r.uv(), uint64(r.u8())} })
		rec.events = simList(r, r.stored)
	},
	15: func(r *simReader, rec *simRecord) {
		rec.trigger = r.uv()
		last := uint64(0)
		rec.batch = simList(r, func() [3]uint64 { last += r.uv(); return [3]uint64{last, r.uv(), r.uv()} })
		rec.attempt, rec.effects = r.attempt(), r.effects()
		rec.events = rec.effects.own
	},
	16: func(r *simReader, rec *simRecord) {
		rec.invocation, rec.key, rec.request, rec.reply, rec.effects = r.str(), r.str(), string(r.take(16)), r.str(), r.effects()
		rec.events = rec.effects.own
	},
	20: func(r *simReader, rec *simRecord) {
		rec.trigger, rec.due, rec.alone, rec.events = r.uv(), int64(r.u64()), r.u8() == 1, simList(r, r.stored)
	},
	18: func(r *simReader, rec *simRecord) {
		rec.rate, rec.now, rec.interval, rec.burst = string(r.take(16)), int64(r.u64()), int64(r.uv()), int64(r.uv())
	},
}

func init() {
	simBodies[17] = simBodies[14] // the same fields
	simBodies[19] = func(r *simReader, rec *simRecord) {
		simBodies[5](r, rec)
		last := rec.from
		rec.later = simList(r, func() [2]uint64 { last += r.uv(); return [2]uint64{last, r.u64()} })
	}
}

func (r *simReader) letter() [3]uint64 { return [3]uint64{r.uv(), r.uv(), r.uv()} }

func (r *simReader) stored() simEvent {
	e := simEvent{namespace: r.str(), topic: r.str(), notBefore: int64(r.u64()), triggers: simList(r, r.uv)}
	return e.read(r.str())
}

func (r *simReader) attempt() simAttempt {
	return simAttempt{
		number: r.uv(), revision: r.uv(), start: int64(r.u64()), micros: r.uv(), verdict: r.u8(), class: r.str(), text: r.str(),
	}
}

func (r *simReader) reads() []simRead {
	return simList(r, func() simRead { return simRead{r.str(), r.uv()} })
}

func (r *simReader) writes() []simWrite {
	return simList(r, func() simWrite {
		w := simWrite{name: r.str(), del: r.u8() == 1}
		w.value = r.str()
		return w
	})
}

func (r *simReader) effects() simEffects {
	return simEffects{
		scope: [3]string{r.str(), r.str(), r.str()},
		reads: r.reads(), writes: r.writes(),
		own: simList(r, r.stored),
		foreign: simList(r, func() simForeign {
			f := simForeign{to: r.uv(), event: simEvent{namespace: r.str(), topic: r.str()}}
			f.event = f.event.read(r.str())
			return f
		}),
	}
}

// read fills in what the simulation looks at of an event's bytes. Its events have neither time nor request nor extensions.
func (e simEvent) read(bytes string) simEvent {
	r := &simReader{[]byte(bytes)}
	if version, flags := r.u8(), r.u8(); version != 1 || flags != 1 {
		panic(fmt.Sprintf("event of version %d with flags %d", version, flags))
	}
	e.bytes, e.id, e.source, e.kind, e.key = bytes, r.str(), r.str(), r.str(), r.str()
	contentType, schema, extensions := r.str(), r.str(), r.uv()
	if contentType+schema != "" || extensions != 0 {
		panic("an event has attributes that nobody gave it")
	}
	e.data = string(r.b)
	return e
}

package partition

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"reflect"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/wire"
)

// This file says where a machine, or its state on disk, is not as the model.

// simDiff says where a machine is not as the model; "" when it is.
func simDiff(m *machine, s *simState) string {
	got := []any{m.next, m.epoch, m.seq, m.generation, m.clock, m.floor, len(m.triggers)}
	want := []any{s.next, s.epoch, s.seq, s.generation, s.clock, s.floor, len(s.triggers)}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("next, epoch, sequence, generation, clock, floor, triggers are %v, want %v", got, want)
	}
	for i := range s.partitions {
		if m.received[i] != s.received[i] || m.sent[i] != s.sent[i] || m.arrived[i] != s.arrived[i] {
			return fmt.Sprintf("partition %d: received %d, sent %d, arrived %d, want %d, %d, %d",
				i, m.received[i], m.sent[i], m.arrived[i], s.received[i], s.sent[i], s.arrived[i])
		}
	}
	if got, want := simRemembered(m.dedup.entries, s), s.remembered(s.seen); !slices.Equal(got, want) {
		return fmt.Sprintf("remembers the events at offsets %v, want %v", got, want)
	}
	for id, want := range s.triggers {
		if diff := simDiffTrigger(m.triggers[id], want); diff != "" {
			return fmt.Sprintf("trigger %d: %s", id, diff)
		}
	}
	for id := range m.due {
		if t := s.triggers[id]; t == nil || t.due != m.due[id] {
			return fmt.Sprintf("trigger %d was last due at %d, the model has %+v", id, m.due[id], t)
		}
	}
	return cmp.Or(simDiffReplies(m, s), simDiffStore(m.store, s))
}

// simRemembered are the offsets of events that would make another one a duplicate. A state that was loaded also has some that the next publish forgets.
func simRemembered(entries []dedupEntry, s *simState) []uint64 {
	var list []simSeen
	for _, e := range entries {
		list = append(list, simSeen{offset: e.offset, time: e.time})
	}
	return s.remembered(list)
}

func simDiffTrigger(got *trigger, want *simTrigger) string {
	if got == nil {
		return "is missing"
	}
	if !reflect.DeepEqual(*got.Trigger, want.Trigger) || got.gone != want.gone {
		return fmt.Sprintf("is %+v gone=%t, want %+v gone=%t", *got.Trigger, got.gone, want.Trigger, want.gone)
	}
	if got.pending.count != len(want.pending) || got.dead != len(want.dead) {
		return fmt.Sprintf("has %d pending and %d dead letters, want %d and %d", got.pending.count, got.dead, len(want.pending), len(want.dead))
	}
	for offset, p := range want.pending {
		if !got.pending.has(offset) {
			return fmt.Sprintf("offset %d is not pending", offset)
		}
		g := got.at(offset)
		if uint64(g.generation) != p.generation || uint64(g.attempts) != p.attempts || g.first != p.first || g.next != p.next {
			return fmt.Sprintf("offset %d is at %+v, want %+v", offset, g, *p)
		}
	}
	for offset := range got.progress {
		if want.pending[offset] == nil {
			return fmt.Sprintf("offset %d has progress and is not pending", offset)
		}
	}
	return cmp.Or(simDiffPast(&got.position, &want.simPast), simDiffLanes(&got.parked, want.lanes), simDiffSpecial(got.special, want.special))
}

// simDiffStore looks at every entry of the state on disk.
func simDiffStore(st *store, s *simState) (diff string) {
	seen := map[byte]int{}
	err := scan(st.db, st.key(0)[:2], func(key, value []byte) error {
		seen[key[0]]++
		if key[0] == keyPending { // a bitmap counts by its bits
			seen[keyPending] += simBits(value) - 1
		}
		if d := simDiffEntry(key[0], key[1:], value, s); d != "" && diff == "" {
			diff = fmt.Sprintf("entry %c %x: %s", key[0], key[1:], d)
		}
		return nil
	})
	if err != nil {
		return err.Error()
	}
	dead, pending, progress, lanes, special, ranks, due := 0, 0, 0, 0, 0, 0, 0
	for _, t := range s.triggers {
		if t.due != 0 {
			due++
		}
		dead, pending, lanes, special = dead+len(t.dead), pending+len(t.pending), lanes+len(t.lanes), special+len(t.special)
		for _, p := range t.pending {
			if p.rank != 0 {
				ranks++
			}
			if !p.byRun && p.generation+p.attempts > 0 || p.next > 0 {
				progress++
			}
		}
	}
	for kind, want := range map[byte]int{
		keyTrigger: len(s.triggers), keyDeadLetter: dead, keyPending: pending, keyProgress: progress, keyParked: lanes, keySpecial: special,
		keyOutbox: len(s.outbox), keyState: len(s.state), keyIndex: len(s.index), keyHorizon: len(s.horizon),
		keyReply: len(s.replies), keyReplyOrder: len(s.replies), keyRate: len(s.rates), keyRank: ranks, keyDue: due,
	} {
		if diff == "" && seen[kind] != want {
			diff = fmt.Sprintf("%d entries %c, want %d", seen[kind], kind, want)
		}
	}
	return diff
}

func simDiffEntry(kind byte, key, value []byte, s *simState) string {
	first, last := uint64(0), uint64(0)
	if len(key) >= 8 {
		first, last = binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[len(key)-8:])
	}
	switch kind {
	case keyIndex:
		e, ok := s.events[last]
		r := wire.NewReader(value)
		at, size, later := int64(r.U64()), int(r.U32()), int64(0)
		if len(r.Rest()) > 0 {
			later = int64(r.U64())
		}
		if held := e.notBefore > e.time; held != (later > 0) || held && later != e.notBefore || r.Close() != nil || !ok || string(key[:len(key)-8]) != e.namespace+"\x00"+e.topic+"\x00" || at != e.time || size != len(e.bytes) || !s.index[last] {
			return fmt.Sprintf("the index has %s at %d, the model %+v", key, last, e)
		}
	case keyState:
		r := wire.NewReader(key)
		k := [4]string{r.String(), r.String(), r.String(), string(r.Rest())}
		content, version, err := splitState(value)
		if want := s.state[k]; err != nil || string(content) != want.value || version != want.version {
			return fmt.Sprintf("state %q is %s version %d, want %v", k, content, version, want)
		}
	case keyOutbox:
		if _, ok := s.outbox[[2]uint64{first, last}]; !ok {
			return fmt.Sprintf("the outbox to %d has number %d", first, last)
		}
	case keyProgress:
		_, past, err := readProgress(value)
		if p := s.triggers[first].pending[last]; err != nil || p == nil || !simSameAttempts(past, p.past) {
			return fmt.Sprintf("attempts of %d are %v, want %+v", last, past, p)
		}
	case keyDeadLetter:
		d, err := readDeadLetter(value)
		want, ok := s.triggers[first].dead[last]
		if err != nil || !ok || uint64(d.generation) != want.generation || d.time != want.time || !simSameAttempts(d.attempts, want.past) {
			return fmt.Sprintf("dead letter %d is %+v, want %+v", last, d, want)
		}
	case keyPosition:
		p, err := readPosition(value)
		if t := s.triggers[first]; err != nil || t == nil || t.gone {
			return fmt.Sprintf("trigger %d has position %+v, %v", first, p, err)
		}
		return simDiffPast(&p, &s.triggers[first].simPast)
	case keyAgain:
		if len(s.triggers[first].pending) < simBits(value) {
			return fmt.Sprintf("trigger %d was handed out %d events again and has %d pending", first, simBits(value), len(s.triggers[first].pending))
		}
	case keyRank:
		if p := s.triggers[first].pending[last]; p == nil || len(value) != 1 || int64(int8(value[0])) != p.rank {
			return fmt.Sprintf("offset %d of trigger %d has rank %v, want %+v", last, first, value, p)
		}
	case keyRate:
		want := s.rates[string(key)]
		if got := int64(binary.LittleEndian.Uint64(value)); got != want.time+want.level {
			return fmt.Sprintf("the rate is free from %d on, want %d", got, want.time+want.level)
		}
	case keyDue:
		if got, want := int64(binary.LittleEndian.Uint64(value)), s.triggers[first].due; got != want {
			return fmt.Sprintf("trigger %d was last due at %d, want %d", first, got, want)
		}
	case keyHorizon:
		namespace, topic, _ := strings.Cut(string(key), "\x00")
		if got, want := binary.LittleEndian.Uint64(value), s.horizon[[2]string{namespace, topic}]; got != want {
			return fmt.Sprintf("topic %s begins at %d, want %d", topic, got, want)
		}
	}
	return ""
}

func simSameAttempts(got []Attempt, want []simAttempt) bool {
	return slices.EqualFunc(got, want, func(g Attempt, w simAttempt) bool {
		return uint64(g.Number) == w.number && uint64(g.Revision) == w.revision && g.Start.UnixMilli() == w.start &&
			uint64(g.Duration.Microseconds()) == w.micros && byte(g.Verdict) == w.verdict && g.Class == w.class && g.Error == w.text
	})
}

func simBits(words []byte) (n int) {
	for _, b := range words {
		n += bits.OnesCount8(b)
	}
	return n
}

func simDiffPast(got *position, want *simPast) string {
	diff := uint64(got.generation) != want.highest || got.replay != want.replay || int(got.replayed) != want.replayed ||
		len(want.runs) > 0 && got.definition != want.definition ||
		!slices.EqualFunc(got.runs, want.runs, func(g pastRun, w simPastRun) bool {
			return w == simPastRun{uint64(g.generation), g.next, g.end, g.since, g.until}
		})
	if diff {
		return fmt.Sprintf("its past is %+v, want %+v", *got, *want)
	}
	return ""
}

func simDiffLanes(got *parked, want map[uint64]simLane) string {
	have := map[uint64]simLane{}
	for lane, l := range got.lanes {
		if got.heads[l.head] == lane {
			have[lane] = simLane(l)
		}
	}
	if len(got.heads) != len(got.lanes) || !maps.Equal(have, want) {
		return fmt.Sprintf("lanes that stand still are %v with heads %v, want %v", got.lanes, got.heads, want)
	}
	return ""
}

func simDiffSpecial(got map[uint64]special, want map[uint64]simSpecial) string {
	have := map[uint64]simSpecial{}
	for offset, w := range got {
		have[offset] = simSpecial{w.source, uint64(w.generation), uint64(w.revision)}
	}
	if !maps.Equal(have, want) {
		return fmt.Sprintf("wishes are %v, want %v", have, want)
	}
	return ""
}

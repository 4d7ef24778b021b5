package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// ledger is everything that can be counted after a load of inputs, each of which had to be counted once under its key and to emit one output that says so.
type ledger struct {
	acked   map[string]string // key of each acknowledged input, by its id
	inputs  []stored          // the input topics as they are, in any order
	outputs []counted         // the output topic as it is
	passed  []counted         // the topic to which the outputs are passed on in batches
	totals  map[string]int    // the function's state, by key

	pending, deadLetters int
}

// stored is an input as it lies on its topic. Inputs of one key are in one partition.
type stored struct {
	id, key   string
	partition int
	offset    uint64
}

// counted is the data of an output: the input's id and key, and its number within the key, from 1 on.
type counted struct {
	ID, Key string
	N       int
}

// faults are the promises that were broken, in order; none when all were kept.
func (l *ledger) faults() []string {
	var out []string
	fault := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	inputs, outputs, passed := map[string]int{}, map[string]int{}, map[string]int{}
	for _, in := range l.inputs {
		inputs[in.id]++
		if key, ok := l.acked[in.id]; !ok || key != in.key {
			fault("input %s with key %s is on the topic, but was not acknowledged so", in.id, in.key)
		}
	}
	for _, o := range l.outputs {
		outputs[o.ID]++
		if key, ok := l.acked[o.ID]; !ok || key != o.Key {
			fault("an output is of input %s with key %s, which was not acknowledged so", o.ID, o.Key)
		}
	}
	for _, o := range l.passed {
		passed[o.ID]++
		if !slices.Contains(l.outputs, o) {
			fault("%+v was passed on, but is no output", o)
		}
	}
	perKey := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(l.acked)) {
		perKey[l.acked[id]]++
		if n := inputs[id]; n != 1 {
			fault("acknowledged input %s is on the topic %d times", id, n)
		}
		if n := outputs[id]; n != 1 {
			fault("acknowledged input %s has %d outputs", id, n)
		}
		if n := passed[id]; n != 1 {
			fault("the output of acknowledged input %s was passed on %d times", id, n)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(perKey)) {
		if n := l.totals[key]; n != perKey[key] {
			fault("key %s has %d inputs, its state counted %d", key, perKey[key], n)
		}
	}
	if l.pending > 0 {
		fault("%d events are pending", l.pending)
	}
	if l.deadLetters > 0 {
		fault("%d dead letters", l.deadLetters)
	}
	return append(out, l.orderFaults()...)
}

// orderFaults finds inputs that were not counted in the order in which they were stored under their key.
func (l *ledger) orderFaults() []string {
	number := map[string]int{}
	for _, o := range l.outputs {
		number[o.ID] = o.N
	}
	byKey := map[string][]stored{}
	for _, in := range l.inputs {
		byKey[in.key] = append(byKey[in.key], in)
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		of := byKey[key]
		slices.SortFunc(of, func(a, b stored) int { return int(a.offset) - int(b.offset) })
		for i, in := range of {
			if in.partition != of[0].partition {
				out = append(out, fmt.Sprintf("key %s is in partitions %d and %d", key, of[0].partition, in.partition))
			}
			if n := number[in.id]; n != i+1 {
				out = append(out, fmt.Sprintf("input %s is number %d of key %s, but was counted as number %d", in.id, i+1, key, n))
			}
		}
	}
	return out
}

// The check of the crash tests is itself checked: whatever is taken from, added to or changed in a good ledger is found.
func TestLedgerFindsEveryFault(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(l *ledger)
		want  string // in one of the faults; "" for none
	}{
		"nothing":            {func(*ledger) {}, ""},
		"lost input":         {func(l *ledger) { l.inputs = l.inputs[1:] }, "acknowledged input a1 is on the topic 0 times"},
		"doubled input":      {func(l *ledger) { l.inputs = append(l.inputs, stored{"a1", "a", 3, 99}) }, "acknowledged input a1 is on the topic 2 times"},
		"foreign input":      {func(l *ledger) { l.inputs = append(l.inputs, stored{"x", "a", 3, 99}) }, "input x with key a is on the topic, but was not"},
		"lost output":        {func(l *ledger) { l.outputs = l.outputs[1:] }, "acknowledged input a1 has 0 outputs"},
		"doubled output":     {func(l *ledger) { l.outputs = append(l.outputs, l.outputs[2]) }, "acknowledged input b1 has 2 outputs"},
		"foreign output":     {func(l *ledger) { l.outputs = append(l.outputs, counted{"x", "a", 3}) }, "an output is of input x"},
		"lost in a batch":    {func(l *ledger) { l.passed = l.passed[1:] }, "the output of acknowledged input b1 was passed on 0 times"},
		"doubled in a batch": {func(l *ledger) { l.passed = append(l.passed, l.passed[1]) }, "the output of acknowledged input a1 was passed on 2 times"},
		"foreign in a batch": {func(l *ledger) { l.passed = append(l.passed, counted{"x", "a", 3}) }, "{ID:x Key:a N:3} was passed on, but is no output"},
		"lost write":         {func(l *ledger) { l.totals["a"] = 1 }, "key a has 2 inputs, its state counted 1"},
		"doubled write":      {func(l *ledger) { l.totals["b"] = 2 }, "key b has 1 inputs, its state counted 2"},
		"wrong order":        {func(l *ledger) { l.outputs[0].N, l.outputs[1].N = 2, 1 }, "input a1 is number 1 of key a, but was counted as number 2"},
		"lost and done again, so that the sum is right": {func(l *ledger) { l.outputs[1] = l.outputs[0] }, "acknowledged input a2 has 0 outputs"},
		"pending":     {func(l *ledger) { l.pending = 1 }, "1 events are pending"},
		"dead letter": {func(l *ledger) { l.deadLetters = 2 }, "2 dead letters"},
		"wrong place": {func(l *ledger) { l.inputs[1].partition = 4 }, "key a is in partitions 3 and 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &ledger{
				acked:   map[string]string{"a1": "a", "a2": "a", "b1": "b"},
				inputs:  []stored{{"a1", "a", 3, 7}, {"a2", "a", 3, 12}, {"b1", "b", 0, 9}},
				outputs: []counted{{"a1", "a", 1}, {"a2", "a", 2}, {"b1", "b", 1}},
				passed:  []counted{{"b1", "b", 1}, {"a1", "a", 1}, {"a2", "a", 2}},
				totals:  map[string]int{"a": 2, "b": 1},
			}
			tc.spoil(l)
			faults := strings.Join(l.faults(), "\n")
			if tc.want == "" && faults != "" || !strings.Contains(faults, tc.want) {
				t.Errorf("found %q, want %q", faults, tc.want)
			}
		})
	}
}

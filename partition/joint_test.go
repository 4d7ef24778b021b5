package partition

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// jointTable performs calls of function f under key k.
func jointTable(t *testing.T) (tt *testTable, perform func(Effects) Outcome) {
	t.Helper()
	tt = openTable(t, nil)
	return tt, func(e Effects) Outcome {
		t.Helper()
		ev := newEvent("c", "k")
		o, err := tt.Perform(t.Context(), Scope{Namespace: "default", Function: "f", Key: "k", Event: &ev}, "inv", e)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
}

func writes(names ...string) (list []StateWrite) {
	for _, n := range names {
		list = append(list, StateWrite{Name: n, Value: []byte("v")})
	}
	return list
}

func namesOf(entries []StateRead) string {
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

func TestNamesOfStateComeInPages(t *testing.T) {
	t.Parallel()
	tt, perform := jointTable(t)
	perform(Effects{Writes: writes("a", "b1", "b2", "b3", "c", "\xff", "\xff\xff")})
	ev := newEvent("c", "k2")
	if _, err := tt.Perform(t.Context(), Scope{"default", "f", "k2", &ev}, "i", Effects{Writes: writes("other key")}); err != nil {
		t.Fatal(err)
	}
	if _, err := tt.Perform(t.Context(), Scope{"default", "f2", "k", &ev}, "i", Effects{Writes: writes("other function")}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		prefix, after string
		n             int
		want          string
		more          bool
	}{
		{"", "", 10, "a b1 b2 b3 c \xff \xff\xff", false},
		{"", "", 2, "a b1", true},
		{"", "b1", 2, "b2 b3", true},
		{"", "c", 2, "\xff \xff\xff", false},
		{"b", "", 3, "b1 b2 b3", false},
		{"b", "", 2, "b1 b2", true},
		{"b", "b2", 2, "b3", false},
		{"b", "a", 2, "b1 b2", true},
		{"b", "c", 2, "", false},
		{"b", "b3", 2, "", false},
		{"\xff", "", 2, "\xff \xff\xff", false},
		{"\xff", "\xff", 2, "\xff\xff", false},
		{"x", "", 2, "", false},
	} {
		got, more, err := tt.StateNames("default", "f", "k", tc.prefix, tc.after, tc.n)
		if err != nil || namesOf(got) != tc.want || more != tc.more {
			t.Errorf("%q behind %q: %q, %v, %v, want %q", tc.prefix, tc.after, namesOf(got), more, err, tc.want)
		}
	}
}

// Who has listed names, and writes, is in conflict with whoever creates, changes or deletes an entry in that part of them.
func TestListsAreReads(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prefix, after, upTo string
		change              StateWrite
		want                Outcome
	}{
		"created":                {"b", "", "", StateWrite{Name: "b9"}, Conflict},
		"created before the end": {"b", "", "b3", StateWrite{Name: "b2x"}, Conflict},
		"created behind the end": {"b", "", "b3", StateWrite{Name: "b9"}, Applied},
		"created elsewhere":      {"b", "", "", StateWrite{Name: "c"}, Applied},
		"changed":                {"b", "", "", StateWrite{Name: "b2"}, Conflict},
		"changed before":         {"b", "b2", "", StateWrite{Name: "b2"}, Applied},
		"deleted":                {"", "a", "", StateWrite{Name: "b1", Delete: true}, Conflict},
		"deleted, not there":     {"", "", "", StateWrite{Name: "b7", Delete: true}, Applied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt, perform := jointTable(t)
			perform(Effects{Writes: writes("a", "b1", "b2", "b3")})
			seen, _, err := tt.StateNames("default", "f", "k", tc.prefix, tc.after, 10)
			if err != nil {
				t.Fatal(err)
			}
			seen = slices.DeleteFunc(seen, func(r StateRead) bool { return tc.upTo != "" && r.Name > tc.upTo })
			lists := []Joint{{Function: "f", Lists: []StateList{{tc.prefix, tc.after, tc.upTo, seen}}}}
			perform(Effects{Writes: []StateWrite{tc.change}})
			if got := perform(Effects{Writes: writes("mine"), Joints: lists}); got != tc.want {
				t.Errorf("outcome %d, want %d", got, tc.want)
			}
			_, version, _ := tt.State("default", "f", "k", "mine")
			if (version != 0) != (tc.want == Applied) {
				t.Error("it is written and in conflict, or neither")
			}
		})
	}
}

// What an invoked function writes becomes real with the caller's settle, under the same key, and its reads count for both.
func TestStateOfAnInvokedFunctionIsSettledWithItsCaller(t *testing.T) {
	t.Parallel()
	tt, perform := jointTable(t)
	invoked := func(version uint64, value string) Effects {
		return Effects{Joints: []Joint{{Function: "g", Reads: []StateRead{{"n", version}}, Writes: []StateWrite{{Name: "n", Value: []byte(value)}}}}}
	}
	if e := invoked(0, "x"); e.Empty() {
		t.Error("what an invoked function writes is nothing to store")
	}
	tt.triggers(1, onTopic(1, "in"))
	tt.publish("in", newEvent("1", "k"), newEvent("2", "k"))
	list := tt.takeN(1, 2)
	if o := tt.done(list[0], invoked(0, "one")); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	if o := tt.done(list[1], invoked(0, "two")); o != Conflict {
		t.Errorf("outcome %d of what was read before", o)
	}
	tt.reopen()
	value, version, err := tt.State("default", "g", "k", "n")
	if err != nil || string(value) != "one" {
		t.Fatalf("%q, %v", value, err)
	}
	if _, v, _ := tt.State("default", "f", "k", "n"); v != 0 {
		t.Error("the caller has it, too")
	}
	if o := perform(invoked(version, "three")); o != Applied {
		t.Errorf("outcome %d of a call", o)
	}
}

func TestJointRecordsThatAreDamaged(t *testing.T) {
	t.Parallel()
	j := effects{joints: []joint{{function: "g"}}}
	for name, change := range map[string]func([]byte){
		"a joint record in a joint record":             func(b []byte) { b[headerSize] = byte(kindJoint) },
		"of kind 12, which has no effects":             func(b []byte) { b[headerSize] = byte(kindTrim) },
		"a joint record with nothing beside its body":  func(b []byte) { b[len(b)-6] = 0 },
		fmt.Sprintf("record kind %d is unknown", 0xfe): func(b []byte) { b[headerSize] = 0xfe },
	} {
		data := encodeRecord(header{}, &effectsRecord{effects: j})
		change(data)
		if name == "a joint record with nothing beside its body" {
			data = data[:len(data)-5]
		}
		seal(data)
		if _, _, err := decodeRecord(data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

// docs/log.md, kind 21, byte by byte.
func TestJointRecordAsDocumented(t *testing.T) {
	t.Parallel()
	got := encodeRecord(header{}, &effectsRecord{invocation: "i", effects: effects{namespace: "n", function: "f", key: "k", joints: []joint{{
		function: "g", reads: []StateRead{{"r", 2}}, lists: []stateList{{"p", "a", "u", 1}}, writes: []StateWrite{{Name: "w", Value: []byte("v")}},
	}}}})
	want := "15" + "04" + "0169" + "016e" + "0166" + "016b" + "00000000" + "01" + "0167" + "01" + "017202" + "01" + "0170" + "0161" + "0175" + "0100000000000000" + "01" + "0177" + "00" + "0176"
	if text := hex.EncodeToString(got[5:6]) + hex.EncodeToString(got[headerSize:]); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

package partition

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/event"
)

func (tt *testTable) performOnce(s Scope, key, reply string, e Effects) Outcome {
	tt.t.Helper()
	o, err := tt.PerformOnce(tt.t.Context(), s, "i", Once{Key: key, Request: [16]byte{7}}, []byte(reply), e)
	if err != nil {
		tt.t.Fatal(err)
	}
	return o
}

func (tt *testTable) wantReply(s Scope, key, want string) {
	tt.t.Helper()
	got, ok, err := tt.KeptReply(s, key)
	if err != nil || ok != (want != "") || string(got.Reply) != want || ok && got.Request != [16]byte{7} {
		tt.t.Errorf("reply %q %v %t, %v; want %q", got.Reply, got.Request, ok, err, want)
	}
}

// The second call under a key does nothing, over a restart too; other functions, event keys and keys are other calls.
func TestACallHappensOnce(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "out"))
	for _, eventKey := range []string{"", "ada"} {
		s := Scope{Namespace: "default", Function: "f", Key: eventKey, Event: &event.Event{ID: "1", Source: "/s"}}
		emits := func(id string) Effects { return Effects{Emits: []Emit{{"out", newEvent(id+eventKey, eventKey)}}} }
		tt.wantReply(s, "a", "")
		if o := tt.performOnce(s, "a", "first", emits("1")); o != Applied {
			t.Fatalf("outcome %d", o)
		}
		s.Event = &event.Event{ID: "2", Source: "/other"} // a repeated request is another event
		if o := tt.performOnce(s, "a", "second", emits("2")); o != Answered {
			t.Errorf("again: outcome %d", o)
		}
		tt.reopen()
		tt.triggers(2, onTopic(1, "out"))
		tt.wantReply(s, "a", "first")
		if o := tt.performOnce(s, "a", "third", emits("3")); o != Answered {
			t.Errorf("after a restart: outcome %d", o)
		}
		other := s
		other.Function = "g"
		for i, o := range []Outcome{tt.performOnce(other, "a", "x", Effects{}), tt.performOnce(s, "b", "x", Effects{})} {
			if o != Applied {
				t.Errorf("another call, %d: outcome %d", i, o)
			}
		}
	}
	if got := ids(tt.takeN(1, 2)); !slices.Equal(got, []string{"1", "1ada"}) {
		t.Errorf("emitted %q", got)
	}
	tt.takeNone(1)
}

func TestACallThatMeetsAConflictKeepsNoReply(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	s := Scope{Namespace: "default", Function: "f", Key: "ada", Event: &event.Event{ID: "1", Source: "/s"}}
	old := Effects{Reads: []StateRead{{Name: "n", Version: 99}}, Writes: []StateWrite{{Name: "n", Value: []byte("1")}}}
	if o := tt.performOnce(s, "a", "no", old); o != Conflict {
		t.Fatalf("outcome %d", o)
	}
	tt.wantReply(s, "a", "")
	old.Reads[0].Version = 0
	if o := tt.performOnce(s, "a", "yes", old); o != Applied {
		t.Fatalf("outcome %d", o)
	}
	tt.wantReply(s, "a", "yes")
}

func TestAKeptReplyHasABound(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	s := Scope{Namespace: "default", Function: "f", Event: &event.Event{ID: "1", Source: "/s"}}
	tt.performOnce(s, "most", strings.Repeat("x", MaxKeptReply), Effects{})
	_, err := tt.PerformOnce(t.Context(), s, "i", Once{Key: "a"}, make([]byte, MaxKeptReply+1), Effects{})
	if !errors.Is(err, ErrTooLarge) || err.Error() != "too large: the reply has 65537 bytes, the limit of one that is kept is 65536" {
		t.Errorf("got %v", err)
	}
	tt.wantReply(s, "a", "")
}

// A reply goes after a day of record time, or when there are too many, and leaves nothing behind.
func TestRepliesAreForgotten(t *testing.T) {
	t.Parallel()
	m := openMachine(t)
	s := &script{}
	s.lead(1)
	call := func(key string) {
		s.add(&callRecord{once: Once{Key: key}, reply: []byte("r"), effects: effects{function: "f"}})
	}
	call("a")
	s.time += replyAge.Milliseconds() - 1
	call("a")
	call("b")
	s.time++
	call("a")
	results, state := run(t, m, s.records, one)
	for i, want := range []Outcome{Applied, Applied, Answered, Applied, Applied} {
		if results[i].outcome != want {
			t.Errorf("record %d: outcome %d, want %d", i, results[i].outcome, want)
		}
	}
	if n := countKeys(state, keyReply); n != 2 || countKeys(state, keyReplyOrder) != 2 || len(m.replies) != 2 {
		t.Errorf("%d replies, %d in order, %d in memory; want 2 of each", n, countKeys(state, keyReplyOrder), len(m.replies))
	}
	for len(m.replies) < replyLimit {
		m.replies = append(m.replies, replyEntry{time: m.clock})
	}
	more := &script{next: s.next, time: s.time}
	more.lead(2)
	more.add(&callRecord{once: Once{Key: "c"}, effects: effects{function: "f"}})
	_, state = run(t, m, more.records, one)
	if len(m.replies) != replyLimit || countKeys(state, keyReply) != 2 {
		t.Errorf("%d replies in memory and %d on disk, want %d and 2: the oldest one made room", len(m.replies), countKeys(state, keyReply), replyLimit)
	}
}

func countKeys(state map[string]string, kind byte) (n int) {
	for k := range state {
		if k[0] == kind {
			n++
		}
	}
	return n
}

// The bytes of the kind are frozen: docs/log.md.
func TestBytesOfACall(t *testing.T) {
	t.Parallel()
	c := &callRecord{invocation: "i", once: Once{Key: "k", Request: [16]byte{1, 15: 2}}, reply: []byte("r"), effects: effects{namespace: "n", function: "f"}}
	got := encodeRecord(header{}, c)
	want := "10" + "0169" + "016b" + "01000000000000000000000000000002" + "0172" + "016e" + "0166" + "0000000000"
	if text := hex.EncodeToString(got[5:6]) + hex.EncodeToString(got[headerSize:]); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

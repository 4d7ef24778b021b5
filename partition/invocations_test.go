package partition

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/sdk/abi"
)

func states(list []Invocation) string {
	var out []string
	for _, i := range list {
		text := i.Event.ID + " " + string(i.State)
		if i.Why != "" {
			text += "/" + i.Why
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestInvocationsSayWhereTheyStand(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	ordered := onTopic(1, "in")
	ordered.Order = "key"
	tt.triggers(1, ordered, onTopic(2, "other"))
	tt.publish("in", newEvent("a1", "a"), newEvent("a2", "a"), newEvent("b1", "b"), delayedEvent("c1", "c", time.Now().Add(time.Hour)))
	tt.publish("other", newEvent("o1", "a"))
	later := time.Now().Add(time.Minute)
	for _, d := range tt.takeN(1, 2) {
		if d.Event.ID == "b1" {
			tt.settle(d, attemptOf(d, abi.Failed, "bad luck"), Next{RetryAt: later}, Effects{})
		}
	}
	for _, tc := range []struct {
		q    InvocationQuery
		want string
	}{
		{InvocationQuery{}, "a1 running, b1 retrying, c1 delayed, a2 waiting/key, o1 waiting/turn"},
		{InvocationQuery{Trigger: 1}, "a1 running, b1 retrying, c1 delayed, a2 waiting/key"},
		{InvocationQuery{Function: "f2"}, "o1 waiting/turn"},
		{InvocationQuery{Namespace: "default", State: Retrying}, "b1 retrying"},
		{InvocationQuery{Namespace: "acme"}, ""},
		{InvocationQuery{State: Running}, "a1 running"},
		{InvocationQuery{Limit: 2}, "a1 running, b1 retrying"},
	} {
		got := states(tt.invocations(tc.q))
		if tc.want == "a1 running, b1 retrying, c1 delayed, a2 waiting/key, o1 waiting/turn" { // which partition's oldest one is first is chance
			got = strings.Replace(got, "o1 waiting/turn, a2 waiting/key", "a2 waiting/key, o1 waiting/turn", 1)
		}
		if got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.q, got, tc.want)
		}
	}
	b := tt.invocations(InvocationQuery{State: Retrying})[0]
	one, err := tt.Invocation(b.ID)
	if err != nil || len(one.Attempts) != 1 || one.Attempts[0].Error != "bad luck" || one.Finished != 1 || one.Due.UnixMilli() != later.UnixMilli() || one.Topic != "in" || one.Stored.IsZero() {
		t.Errorf("%+v, %v", one, err)
	}
}

func TestInvocationOfADeadLetterAndOfNothing(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"))
	tt.publish("in", newEvent("1", "k"))
	d := tt.takeN(1, 1)[0]
	tt.giveUp(d, "too bad")
	dead, err := tt.Invocation(d.ID)
	if err != nil || dead.State != Dead || len(dead.Attempts) != 1 || dead.Event.ID != "1" || dead.Stored.IsZero() {
		t.Errorf("%+v, %v", dead, err)
	}
	if _, err := tt.Redrive(t.Context(), []ID{d.ID}); err != nil {
		t.Fatal(err)
	}
	again, err := tt.Invocation(d.ID)
	if err != nil || again.State != Waiting || again.Name() != d.ID.String()+"-g1" || len(again.Attempts) != 1 || again.Finished != 0 {
		t.Errorf("%+v, %v", again, err)
	}
	tt.done(tt.takeN(1, 1)[0], Effects{})
	for _, id := range []ID{d.ID, {Partition: 99}, {Partition: 1, Offset: 1 << 40, Trigger: 1}, {Trigger: 77}} {
		if i, err := tt.Invocation(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %+v, %v", id, i, err)
		}
	}
}

// An edited event is shown as its trigger gets it, and as old as it was before.
func TestInvocationOfAnEditedEvent(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.triggers(1, onTopic(1, "in"), onTopic(2, "in"))
	tt.publish("in", newEvent("1", "k"))
	d := tt.takeN(1, 1)[0]
	tt.giveUp(d, "no")
	edited := newEvent("mended", "k")
	tt.redriveAs(Redriving{Letter: tt.letterID(d.ID), Edited: &edited}, LetterChanged)
	check := func(when string) {
		t.Helper()
		one, err := tt.Invocation(d.ID)
		if err != nil || one.Event.ID != "mended" || string(one.Event.Data) != string(edited.Data) || one.Topic != "in" || !one.Stored.Equal(d.Stored) {
			t.Errorf("%s: %+v, %v", when, one, err)
		}
	}
	check("waiting")
	for _, i := range tt.invocations(InvocationQuery{}) {
		if want := map[uint64]string{1: "mended", 2: "1"}[i.ID.Trigger]; i.Event.ID != want {
			t.Errorf("trigger %d is listed with %s, want %s", i.ID.Trigger, i.Event.ID, want)
		}
	}
	tt.reopen()
	tt.giveUp(tt.takeN(1, 1)[0], "no")
	check("dead")
}

// A canceled event does not run any more, whatever it waited for, and what was running of it has no effect.
func TestCancel(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	ordered := onTopic(1, "in")
	ordered.Order = "key"
	tt.triggers(1, ordered)
	tt.publish("in", delayedEvent("late", "a", time.Now().Add(time.Hour)), newEvent("next", "a"), newEvent("busy", "b"))
	busy := tt.takeN(1, 1)[0]
	cancel := func(id string) {
		t.Helper()
		for _, i := range tt.invocations(InvocationQuery{}) {
			if i.Event.ID != id {
				continue
			}
			a := Attempt{Number: i.Finished + 1, Start: time.Now(), Verdict: int32(abi.Failed), Class: "canceled", Error: "not needed"}
			wrong := a
			wrong.Number++
			if o, err := tt.Cancel(t.Context(), &i, wrong); err != nil || o != Stale {
				t.Errorf("cancel of another attempt: outcome %d, %v", o, err)
			}
			if o, err := tt.Cancel(t.Context(), &i, a); err != nil || o != Applied {
				t.Errorf("cancel: outcome %d, %v", o, err)
			}
			return
		}
		t.Errorf("%s is not there", id)
	}
	cancel("late")
	if got := fmt.Sprint(ids(tt.takeN(1, 1))); got != "[next]" { // the key goes on
		t.Errorf("then came %s", got)
	}
	cancel("busy")
	if o := tt.done(busy, Effects{Emits: []Emit{{Topic: "out", Event: newEvent("effect", "k")}}}); o != Stale {
		t.Errorf("the canceled one settles with outcome %d", o)
	}
	tt.reopen()
	if got := states(tt.invocations(InvocationQuery{})); got != "next waiting/turn" {
		t.Errorf("left is %s", got)
	}
	if len(tt.tail("out")) > 0 || tt.Stats(1).DeadLetters > 0 {
		t.Error("it had effects, or is a dead letter")
	}
}

func TestParseInvocation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		id         ID
		generation uint32
		fault      string
	}{
		"3-1042-17":       {ID{3, 1042, 17}, 0, ""},
		"3-1042-17-g2":    {ID{3, 1042, 17}, 2, ""},
		"3-1042-17-g":     {fault: "is not an id such as 3-1042-17-g2"},
		"3-1042-17-gx":    {fault: "is not an id such as 3-1042-17-g2"},
		"3-1042":          {fault: "is not an id such as 3-1042-17"},
		"":                {fault: "is not an id such as 3-1042-17"},
		"a3f0":            {fault: "is not an id such as 3-1042-17"},
		"3-1042-17-g9e99": {fault: "is not an id"},
	} {
		id, generation, err := ParseInvocation(text)
		if want.fault != "" {
			if err == nil || !strings.Contains(err.Error(), want.fault) {
				t.Errorf("%q: error %v, want %q", text, err, want.fault)
			}
			continue
		}
		if err != nil || id != want.id || generation != want.generation {
			t.Errorf("%q: %v, %d, %v", text, id, generation, err)
		}
		back := Invocation{ID: id, Generation: generation}
		if back.Name() != text {
			t.Errorf("%q is written %q", text, back.Name())
		}
	}
}

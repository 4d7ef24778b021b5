package partition

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/evoke-run/evoke/sdk/abi"
)

func TestWhatIsKnownOfRevisions(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	one, two := onTopic(1, "a"), onTopic(2, "b")
	one.Function, two.Function = "f", "g"
	tt.triggers(1, one, two)
	for i := range 6 {
		tt.publish("a", newEvent(fmt.Sprint("a", i), fmt.Sprint("k", i)))
	}
	tt.publish("b", newEvent("b", "k"))
	giveUp := func(d Delivery, revision int) {
		t.Helper()
		a := attemptOf(d, abi.Failed, "no")
		a.Revision = revision
		if got := tt.settle(d, a, Next{DeadLetter: true}, Effects{}); got != Applied {
			t.Fatalf("give up: %v", got)
		}
	}
	list := tt.takeN(1, 6)
	if got := tt.HandedOut("default", "f"); len(got) != 6 {
		t.Errorf("handed out: %v", got)
	}
	if got := tt.HandedOut("default", "g"); len(got) != 0 {
		t.Errorf("handed out of another function: %v", got)
	}
	for i, revision := range []int{7, 8, 8, 8} {
		giveUp(list[i], revision)
	}
	giveUp(tt.takeN(2, 1)[0], 8)
	want := map[Handed]struct{}{}
	for _, d := range list[4:] {
		want[Handed{d.ID, 0, 1}] = struct{}{}
	}
	if got := tt.HandedOut("default", "f"); !maps.Equal(got, want) {
		t.Errorf("handed out %v, want %v", got, want)
	}
	tt.Release(&list[4])
	delete(want, Handed{list[4].ID, 0, 1})
	if got := tt.HandedOut("default", "f"); !maps.Equal(got, want) {
		t.Errorf("handed out after a release %v, want %v", got, want)
	}
	by := func(revision, n int) (out []ID) {
		t.Helper()
		found, err := tt.GivenUpBy("default", "f", revision, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found {
			out = append(out, l.ID)
		}
		slices.SortFunc(out, ID.compare)
		return out
	}
	eight := []ID{list[1].ID, list[2].ID, list[3].ID}
	slices.SortFunc(eight, ID.compare)
	if got := by(8, 100); !slices.Equal(got, eight) {
		t.Errorf("given up by revision 8: %v, want %v", got, eight)
	}
	if got := by(8, 2); len(got) != 2 {
		t.Errorf("two at most: %v", got)
	}
	if got := by(9, 100); len(got) != 0 {
		t.Errorf("given up by revision 9: %v", got)
	}

	// What the desk wants is known also after a restart, while the event waits and when it is given up again.
	tt.redriveAs(Redriving{Letter: tt.letterID(list[1].ID), Revision: 3}, LetterChanged)
	tt.redriveAs(Redriving{Letter: tt.letterID(list[2].ID)}, LetterChanged)
	wanted := func(when string, want map[int]int) {
		t.Helper()
		if got := tt.WantedRevisions("default", "f"); !maps.Equal(got, want) {
			t.Errorf("%s: revisions %v are wanted, want %v", when, got, want)
		}
	}
	wanted("redriven", map[int]int{3: 1})
	tt.reopen()
	wanted("after a restart", map[int]int{3: 1})
	for _, d := range tt.takeN(1, 4) {
		if d.Revision == 3 {
			giveUp(d, 3)
			wanted("given up again", map[int]int{3: 1})
		}
	}
	tt.redriveAs(Redriving{Letter: tt.letterID(list[1].ID)}, LetterChanged)
	wanted("redriven to any", map[int]int{})
}

package eventlogtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/evoke-run/evoke/eventlog"
)

// What nodes that share a log need of it.

func testFollowers(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	all := []*follower{follow(t, log, 3, 1, nil), follow(t, log, 3, 1, nil), follow(t, log, 3, 1, nil)}
	other := follow(t, log, 4, 1, nil)
	want := names("r", 200)
	appendAll(log, 3, want...)
	appendAll(log, 4, "of another partition")
	first := all[0].wait(200)
	for i, f := range all {
		records := f.wait(200)
		expect(t, records, want...)
		for n := range records {
			if records[n].Offset != first[n].Offset {
				t.Fatalf("follower %d has record %d at offset %d, the first one at %d", i, n, records[n].Offset, first[n].Offset)
			}
		}
	}
	expect(t, other.wait(1), "of another partition")
}

// testJoin follows again and again while records become durable: none may be missing between those that were stored and those that come.
func testJoin(t *testing.T, open Open) {
	const total, joiners = 4000, 40
	log := open(t)
	defer mustClose(t, log)
	first := follow(t, log, 5, 1, nil)
	want := names("r", total)
	var appending sync.WaitGroup
	appending.Go(func() {
		for i, d := range want {
			log.Append(5, 1+uint32(i%3), []byte(d))
			if i%50 == 49 {
				first.wait(i - 100) // so that there are many groups, one always under way
			}
		}
	})
	type joiner struct {
		*follower
		skip int // how many of the records lie below where it began
	}
	var all []joiner
	for i := range joiners {
		known := first.wait((i + 1) * total / (2 * joiners)) // all join before the last record is there
		skip := len(known) / 2
		all = append(all, joiner{follow(t, log, 5, known[skip].Offset, nil), skip})
	}
	appending.Wait()
	for _, j := range all {
		expect(t, j.wait(total-j.skip), want[j.skip:]...)
	}
}

func testLeave(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	heard := 0 // not guarded: stop says when the follower can touch it no more, and the race detector listens
	leaving := follow(t, log, 2, 1, func(eventlog.Record) { heard++ })
	staying := follow(t, log, 2, 1, nil)
	var appending sync.WaitGroup
	appending.Go(func() { appendAll(log, 2, names("r", 500)...) })
	leaving.wait(20)
	leaving.stop()
	at := heard
	leaving.stop()
	appending.Wait()
	staying.wait(500)
	appendAll(log, 2, "after")
	staying.wait(501)
	if heard != at {
		t.Errorf("%d records came after stop", heard-at)
	}
	staying.stop()
	appendAll(log, 2, "nobody hears it")
	again := follow(t, log, 2, 1, nil)
	expect(t, again.wait(502), slices.Concat(names("r", 500), []string{"after", "nobody hears it"})...)
}

func testFollowTrimmed(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	leader := follow(t, log, 8, 1, nil)
	for i, d := range names("r", 60) {
		log.Append(8, 5, []byte(d))
		leader.wait(i + 1)
	}
	if err := log.Trim(8, leader.now()[40].Offset); err != nil {
		t.Fatalf("trim: %v", err)
	}
	expect(t, follow(t, log, 8, leader.now()[40].Offset, nil).now(), names("r", 60)[40:]...)
	var got []string
	stop, err := log.Follow(8, 1, func(records []eventlog.Record) {
		for _, r := range records {
			got = append(got, string(r.Data))
		}
	})
	switch {
	case err == nil: // it still keeps them
		stop()
		if !slices.Equal(got, names("r", 60)) {
			t.Errorf("a follower that was behind got %q", got)
		}
	case !errors.Is(err, eventlog.ErrTrimmed):
		t.Errorf("follow what was trimmed: %v, want %v", err, eventlog.ErrTrimmed)
	case len(got) > 0:
		t.Errorf("it was told that records are missing, and got %q", got)
	}
}

// testTurns is of nodes that append one after the other and at once, each following from where the one before was.
func testTurns(t *testing.T, open Open) {
	log := open(t)
	defer mustClose(t, log)
	watch := follow(t, log, 7, 1, nil)
	end, total := uint64(1), 0
	for turn := range 5 {
		node := follow(t, log, 7, end, nil)
		var appending sync.WaitGroup
		for _, who := range []string{"leader", "zombie"} {
			appending.Go(func() { appendAll(log, 7, names(fmt.Sprintf("%s-%d", who, turn), 100)...) })
		}
		appending.Wait()
		total += 200
		watch.wait(total)
		own := node.wait(200)
		for _, who := range []string{"leader", "zombie"} {
			var in []string
			for _, r := range own {
				if strings.HasPrefix(string(r.Data), who) {
					in = append(in, string(r.Data))
				}
			}
			if !slices.Equal(in, names(fmt.Sprintf("%s-%d", who, turn), 100)) {
				t.Fatalf("turn %d: the records of the %s come as %q", turn, who, in)
			}
		}
		node.stop()
		end = own[199].Offset + uint64(own[199].Span)
	}
}

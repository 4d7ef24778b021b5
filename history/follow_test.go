package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/evoke-run/evoke/api"
)

func TestFollowGetsWhatMatchesFromNowOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s.Append(entry("before"))
		synctest.Wait()
		var got, recent []string
		ctx, cancel := context.WithCancel(t.Context())
		var followers sync.WaitGroup
		followers.Go(func() {
			if err := s.Follow(ctx, Filter{Function: "charge"}, collect(&got)); err != nil {
				t.Errorf("Follow: %v", err)
			}
		})
		followers.Go(func() {
			if err := s.FollowFrom(ctx, Filter{Function: "charge"}, 10, collect(&recent)); err != nil {
				t.Errorf("FollowFrom: %v", err)
			}
		})
		synctest.Wait()
		other := entry("other")
		other.Function = "other"
		for _, e := range []api.LogEntry{entry("one"), other, entry("two")} {
			s.Append(e)
		}
		written()
		cancel()
		followers.Wait()
		if want := []string{"one", "two"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if want := []string{"before", "one", "two"}; !slices.Equal(recent, want) {
			t.Errorf("with recent ones: got %v, want %v", recent, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if len(s.followers) != 0 {
			t.Errorf("%d followers are left", len(s.followers))
		}
	})
}

func collect(into *[]string) func(api.LogEntry) error {
	return func(e api.LogEntry) error {
		*into = append(*into, e.Message)
		return nil
	}
}

func TestSlowFollowerIsToldWhatItMissed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		var got []api.LogEntry
		goOn := make(chan struct{})
		done := make(chan error, 1)
		go func() {
			done <- s.Follow(t.Context(), Filter{}, func(e api.LogEntry) error {
				got = append(got, e)
				<-goOn
				return nil
			})
		}()
		synctest.Wait()
		s.Append(entry("first"))
		synctest.Wait() // it is held up inside yield
		for i := range followEntries + 70 {
			s.Append(entry(fmt.Sprint(i)))
		}
		written()
		close(goOn)
		synctest.Wait()
		s.Append(entry("last"))
		written()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Follow: %v, want ErrClosed", err)
		}
		if n := len(got); n != followEntries+3 {
			t.Fatalf("%d entries, want %d", n, followEntries+3)
		}
		notice := got[len(got)-2]
		if notice.Level != "warn" || notice.Message != "70 entries are left out here: they came faster than they were read" || notice.Function != "charge" {
			t.Errorf("the notice is %+v", notice)
		}
		if m := got[len(got)-3].Message; m != fmt.Sprint(followEntries-1) {
			t.Errorf("before it comes %s", m)
		}
		if m := got[len(got)-1].Message; m != "last" {
			t.Errorf("after it comes %s", m)
		}
	})
}

func TestFollowerBufferIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	w := &follower{wake: make(chan struct{}, 1)}
	big := entry(strings.Repeat("x", 1<<20))
	w.push([]api.LogEntry{big, big, big, big, big, entry("small")})
	entries, _ := w.take()
	if n := len(entries); n != 4 || !strings.HasPrefix(entries[3].Message, "3 entries are left out") {
		t.Errorf("%d entries, the last says %.40s", n, entries[n-1].Message)
	}
}

func TestFollowReturnsYieldsError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Follow(t.Context(), Filter{}, func(api.LogEntry) error { return errDone }) }()
		synctest.Wait()
		s.Append(entry("x"))
		if err := <-done; !errors.Is(err, errDone) {
			t.Errorf("got %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if len(s.followers) != 0 {
			t.Errorf("%d followers are left", len(s.followers))
		}
	})
}

// TestAppendQueryFollowAtOnce checks under the race detector that nobody loses, repeats or reorders an entry.
func TestAppendQueryFollowAtOnce(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 500
	s := open(t, Options{Dir: t.TempDir(), MaxBytes: 16 << 20})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg, appending sync.WaitGroup
	for w := range writers {
		appending.Go(func() {
			for i := range each {
				e := entry(fmt.Sprint(i))
				e.Function = fmt.Sprint("f", w)
				s.Append(e)
			}
		})
	}
	for w := range writers {
		wg.Go(func() {
			var got []string
			err := s.FollowFrom(ctx, Filter{Function: fmt.Sprint("f", w)}, maxLimit, func(e api.LogEntry) error {
				if got = append(got, e.Message); len(got) == each {
					return errDone
				}
				return nil
			})
			if !errors.Is(err, errDone) || !slices.Equal(got, numbered(0, each)) {
				t.Errorf("followed %d entries, in order %v: %v", len(got), slices.IsSorted(got), err)
			}
		})
		wg.Go(func() {
			for n := 0; n < each; {
				var got []string
				if err := s.Query(Filter{Function: fmt.Sprint("f", w)}, maxLimit, collect(&got)); err != nil {
					t.Error(err)
					return
				}
				if !slices.Equal(got, numbered(0, len(got))) || len(got) < n {
					t.Errorf("read %d entries after %d", len(got), n)
					return
				}
				n = len(got)
			}
		})
	}
	appending.Wait()
	wg.Wait()
	if s.Dropped() != 0 {
		t.Errorf("%d dropped", s.Dropped())
	}
}

var errDone = errors.New("done")

func BenchmarkAppend(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	e := entry("a line of a usual length, as functions write them")
	b.ReportAllocs()
	for b.Loop() {
		s.Append(e)
	}
	b.ReportMetric(float64(s.Dropped())/float64(b.N), "dropped/op")
}

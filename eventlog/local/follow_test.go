package local

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/evoke-run/evoke/eventlog"
)

// What becomes durable while a follower reads what was stored reaches it, however often that happens.
func TestFollowMissesNothingThatComesMeanwhile(t *testing.T) {
	t.Parallel()
	for meanwhile := range replayRounds + 1 {
		l := mustOpen(t, Options{Dir: "log", Partitions: 1, FS: vfs.NewMem()})
		stored := make(chan struct{}, 100)
		stop, err := l.Follow(0, 1, func(list []eventlog.Record) {
			for range list {
				stored <- struct{}{}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		add := func() {
			want = append(want, fmt.Sprint(len(want)))
			l.Append(0, 1, []byte(want[len(want)-1]))
			<-stored
		}
		add()
		replaying := true
		joined := make(chan struct{}, 1) // gets something when the last record has come
		_, err = l.Follow(0, 1, func(list []eventlog.Record) {
			for _, r := range list {
				got = append(got, string(r.Data))
				if replaying && len(want) <= meanwhile {
					add()
				}
				if string(r.Data) == "last" {
					joined <- struct{}{}
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		replaying = false
		stop()
		l.Append(0, 1, []byte("last"))
		<-joined
		if want = append(want, "last"); !slices.Equal(got, want) {
			t.Errorf("with %d records meanwhile came %q, want %q", meanwhile, got, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

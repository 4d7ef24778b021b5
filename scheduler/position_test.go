package scheduler

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

func TestTriggersOfPartitions(t *testing.T) {
	t.Parallel()
	token := func(offsets ...uint64) string { return api.Token{Topic: "a", Offsets: offsets}.String() }
	for name, tc := range map[string]struct {
		in   api.Trigger
		want partition.Trigger
	}{
		"plain":    {api.Trigger{}, partition.Trigger{}},
		"paused":   {api.Trigger{PausedSince: time.Unix(1, 0)}, partition.Trigger{Paused: true}},
		"earliest": {api.Trigger{Start: "earliest"}, partition.Trigger{Start: &partition.Range{}}},
		"time":     {api.Trigger{Start: "1970-01-01T00:00:01.0001Z"}, partition.Trigger{Start: &partition.Range{Since: 1001}}},
		"token":    {api.Trigger{Start: token(3, 4)}, partition.Trigger{Start: &partition.Range{From: []uint64{3, 4}}}},
		"replay": {
			api.Trigger{Replay: &api.Replay{ID: 7, From: token(1), To: "1970-01-01T00:00:02Z"}},
			partition.Trigger{Replay: &partition.Replay{ID: 7, Range: partition.Range{From: []uint64{1}, Until: 2000}}},
		},
		"replay between tokens": {
			api.Trigger{Replay: &api.Replay{ID: 1, From: token(1), To: token(9)}},
			partition.Trigger{Replay: &partition.Replay{ID: 1, Range: partition.Range{From: []uint64{1}, To: []uint64{9}}}},
		},
	} {
		tc.in.Topic, tc.want.Topic = &api.TopicTrigger{Name: "a"}, "a"
		if got, err := TopicTrigger(&tc.in); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tc.want)
		}
	}
	for want, in := range map[string]api.Trigger{
		"start of trigger f:a": {Name: "f:a", Start: "soon"}, "replay of trigger f:a": {Name: "f:a", Replay: &api.Replay{From: "earliest", To: "x"}},
	} {
		in.Topic = &api.TopicTrigger{Name: "a"}
		if _, err := TopicTrigger(&in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Once a pause is in force, at most what ran already ends; what had only been taken waits.
func TestNothingStartsInAPause(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Running = 1 })
	b.deploy("f", wasmtest.Loops(), api.FunctionSpec{Timeout: api.Duration(50 * time.Millisecond), Retry: &api.Retry{Attempts: 1}, Triggers: onTopic("in")})
	const events = 12
	for i := range events {
		b.publish("in", newEvent(fmt.Sprint(i), "k"))
	}
	b.eventually("a first dead letter", func() bool { return len(b.letters()) > 0 })
	set := func(paused bool) {
		t.Helper()
		_, revision, err := b.registry.SetPaused(t.Context(), "default", "f", "", paused)
		if err == nil {
			err = b.scheduler.WaitInForce(t.Context(), revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	before := b.settling()
	before += len(b.letters())
	waitUntil(t, func() bool { return b.scheduler.processors.inProgress() == 0 })
	if after, left := len(b.letters()), b.stats("f:in").Pending; after > before+1 || after+left != events {
		t.Errorf("%d ended before the pause, %d after it, %d wait", before, after, left)
	}
	set(false)
	b.eventually("the rest", func() bool { return len(b.letters()) == events })
}

package main

import (
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestRetentionForPeople(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]api.TopicSpec{
		"":        {},
		"36h0m0s": {Retention: api.Duration(36 * time.Hour), Unsettled: "keep"},
		"1h0m0s; what is not settled by then becomes dead letters": {Retention: api.Duration(time.Hour), Unsettled: "deadletter"},
		"7 days; what is not settled by then becomes dead letters": {Unsettled: "deadletter"},
	} {
		if got := retentionText(s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
	if a, b := keepText(nil), keepText(&api.DeadLetterSpec{Keep: api.Duration(time.Minute)}); a != "" || b != "1m0s" {
		t.Errorf("keeps dead letters %q and %q", a, b)
	}
}

package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	failed := sandbox.Result{Verdict: abi.Failed, RetryAfter: -1}
	asks := func(d time.Duration) sandbox.Result { return sandbox.Result{Verdict: abi.Failed, RetryAfter: d} }
	plain := &api.Retry{Jitter: "none"}
	for _, tt := range []struct {
		name    string
		retry   *api.Retry
		attempt int
		age     time.Duration // since the first attempt
		result  sandbox.Result
		random  float64
		delay   time.Duration // −1 = dead letter, 0 = done
		why     string
	}{
		{name: "done", attempt: 1, result: sandbox.Result{Verdict: abi.Done}, delay: 0},
		{name: "rejected is not tried again", attempt: 1, result: sandbox.Result{Verdict: abi.Rejected, RetryAfter: -1}, delay: -1, why: "rejected"},
		{name: "first failure", retry: plain, attempt: 1, result: failed, delay: time.Second},
		{name: "doubles", retry: plain, attempt: 4, result: failed, delay: 8 * time.Second},
		{name: "is capped", retry: &api.Retry{Jitter: "none", Attempts: 100}, attempt: 50, result: failed, delay: 5 * time.Minute},
		{name: "full jitter", attempt: 3, result: failed, random: 0.25, delay: time.Second},
		{name: "jitter may be none at all", attempt: 3, result: failed, random: 0, delay: time.Nanosecond},
		{name: "last attempt", attempt: 8, result: failed, delay: -1, why: "all 8 attempts failed"},
		{name: "only attempt", retry: &api.Retry{Attempts: 1}, attempt: 1, result: failed, delay: -1, why: "all 1 attempts failed"},
		{name: "asked for", attempt: 1, result: asks(3 * time.Second), random: 0.9, delay: 3 * time.Second},
		{name: "asked for too much", attempt: 1, result: asks(time.Hour), delay: 15 * time.Minute},
		{name: "asked for on the last attempt", attempt: 8, result: asks(time.Second), delay: -1, why: "all 8"},
		{name: "too old", retry: plain, attempt: 2, age: 24 * time.Hour, result: failed, delay: -1, why: "the limit is 24h"},
		{name: "young enough", retry: plain, attempt: 2, age: 24*time.Hour - 2*time.Second, result: failed, delay: 2 * time.Second},
		{name: "own numbers", retry: &api.Retry{Initial: api.Duration(100 * time.Millisecond), Factor: 3, Max: api.Duration(time.Second), Jitter: "none"}, attempt: 3, result: failed, delay: 900 * time.Millisecond},
	} {
		next, why := newPolicy(tt.retry).decide(try{attempt: tt.attempt, first: now.Add(-tt.age), now: now, result: tt.result}, tt.random)
		switch {
		case tt.delay == -1 && !next.DeadLetter, tt.delay == 0 && (next.DeadLetter || !next.RetryAt.IsZero()):
			t.Errorf("%s: got %+v", tt.name, next)
		case tt.delay > 0:
			if got := next.RetryAt.Sub(now); got != tt.delay && (tt.delay > time.Nanosecond || got != 0) {
				t.Errorf("%s: again in %s, want %s", tt.name, got, tt.delay)
			}
		}
		if !strings.Contains(why, tt.why) || (why == "") != (tt.why == "") {
			t.Errorf("%s: why is %q, want %q", tt.name, why, tt.why)
		}
	}
}

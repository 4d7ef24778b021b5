package api_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   string
		want time.Duration
		err  string
	}{
		{in: "200ms", want: 200 * time.Millisecond},
		{in: "1h30m", want: 90 * time.Minute},
		{in: "14d", want: 14 * 24 * time.Hour},
		{in: "0s"},
		{in: "", err: `"" is not a duration; try 500ms, 30s, 5m, 24h or 14d`},
		{in: "5", err: `"5" is not a duration; try 500ms, 30s, 5m, 24h or 14d`},
		{in: "1.5d", err: `"1.5d" is not a duration; try 500ms, 30s, 5m, 24h or 14d`},
		{in: "99999d", err: `"99999d" is not a duration; try 500ms, 30s, 5m, 24h or 14d`},
		{in: "-1s", err: `"-1s" is below zero`},
	} {
		got, err := api.ParseDuration(tc.in)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
			t.Errorf("%q: got %v, %v", tc.in, got, err)
		}
	}
}

func TestDurationIsTextInJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(api.Retry{Initial: api.Duration(90 * time.Second)})
	if err != nil || string(b) != `{"initial":"1m30s"}` {
		t.Errorf("got %s, %v", b, err)
	}
	var r api.Retry
	if err := json.Unmarshal([]byte(`{"initial":"2d","max":"x"}`), &r); fmt.Sprint(err) != `"x" is not a duration; try 500ms, 30s, 5m, 24h or 14d` {
		t.Errorf("got %v", err)
	}
	if r.Initial != api.Duration(48*time.Hour) {
		t.Errorf("got %v", time.Duration(r.Initial))
	}
}

// FuzzParseDuration: what is read is never below zero, and is read the same again from its own form.
func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"1s", "14d", "-1s", "d", "1e9h", "9223372036854775807ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := api.ParseDuration(s)
		if err != nil {
			return
		}
		again, err := api.ParseDuration(d.String())
		if d < 0 || err != nil || again != d {
			t.Errorf("%q: got %v, again %v, %v", s, d, again, err)
		}
	})
}

package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestBacklogWithTinyNumbers(t *testing.T) {
	t.Parallel()
	needProc(t)
	s, said := quick(t)
	rows, err := runBacklog(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, "restart_10M_events", "backlog_10M_rss_mib")
	for _, r := range rows {
		if r.Runs != 1 || r.Against != "target" || r.Value == 0 && r.Case == "restart_10M_events" {
			t.Errorf("%+v", r)
		}
	}
	if !strings.Contains(said.String(), "backlog: 10 million events") {
		t.Errorf("said %q", said)
	}
}

func TestBacklogThatWasNotFilled(t *testing.T) {
	t.Parallel()
	needProc(t)
	s, _ := quick(t)
	if _, err := s.restart(t.Context(), self(t), t.TempDir()); err == nil || err.Error() != "nothing waits after the restart" {
		t.Error(err)
	}
}

func TestBacklogEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, _ := quick(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := s.growth(ctx, self(t), filepath.Join(t.TempDir(), "backlog")); !errors.Is(err, enough) {
		t.Error(err)
	}
}

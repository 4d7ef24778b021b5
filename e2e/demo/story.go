package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/evoke-run/evoke/api"
)

const (
	namespace    = "default"
	auditTrigger = "audit:github.events"
	workers      = 8 // webhooks in flight
)

// story is the main job, told step by step.
type story struct {
	o        options
	node     *node
	payloads []payload
	out      io.Writer
	rows     []string // of the table: name, events counted, events wanted
}

func (s *story) tell(ctx context.Context) error {
	half := len(s.payloads)/2 + len(s.broken()) // behind the broken ones
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"start the runtime on an empty directory", s.start},
		{"deploy receive, tally and audit", s.deploy("fn.yaml")},
		{"send the first webhooks", s.send(s.payloads[:half])},
		{"kill -9 while the triggers are busy", s.kill},
		{"start it again on the same directory", s.start},
		{"send the other webhooks", s.send(s.payloads[half:])},
		{"wait for the triggers", s.idle},
		{"look at the dead letters", s.deadLetters},
		{"deploy the repaired audit", s.deploy("fn-fixed.yaml")},
		{"redrive the dead letters", s.redrive},
		{"wait for the triggers", s.idle},
		{"count every event", s.count},
		{"stop the runtime", func(context.Context) (string, error) { return "", s.node.stop() }},
	} {
		start := time.Now()
		said, err := step.do(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(s.out, "%-42s %8s   %s\n", step.name, time.Since(start).Round(time.Millisecond), said)
	}
	return s.table()
}

func (s *story) broken() []payload {
	return slices.DeleteFunc(slices.Clone(s.payloads), func(p payload) bool { return !p.broken })
}

func (s *story) start(ctx context.Context) (string, error) {
	if err := s.node.start(ctx); err != nil {
		return "", err
	}
	return "gateway " + s.node.Gateway + ", management " + s.node.Admin, nil
}

func (s *story) deploy(manifest string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		_, err := s.node.run(ctx, "deploy", "-f", filepath.Join(s.o.example, manifest))
		return manifest, err
	}
}

func (s *story) send(payloads []payload) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		err := sendAll(ctx, "http://"+s.node.Gateway+"/fn/receive", payloads, workers)
		return fmt.Sprintf("%d answered 202, %d at a time", len(payloads), workers), err
	}
}

// kill comes when no webhook is in flight: one whose answer is lost may have taken effect or not, and GitHub would not send it again by itself.
func (s *story) kill(ctx context.Context) (string, error) {
	triggers, err := s.node.client.Triggers(ctx, namespace)
	if err != nil {
		return "", err
	}
	s.node.kill()
	n := sum(triggers)
	return fmt.Sprintf("%d deliveries pending, %d of them between attempts", n.Pending, n.Retrying), nil
}

func sum(triggers []api.Trigger) (n api.TriggerStats) {
	for _, t := range triggers {
		if t.Stats != nil {
			n.Pending += t.Stats.Pending
			n.Retrying += t.Stats.Retrying
			n.DeadLetters += t.Stats.DeadLetters
		}
	}
	return n
}

// idle waits until nothing is pending.
func (s *story) idle(ctx context.Context) (string, error) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		triggers, err := s.node.client.Triggers(ctx, namespace)
		if err != nil {
			return "", err
		}
		n := sum(triggers)
		if n.Pending == 0 {
			return fmt.Sprintf("idle, %d dead letters", n.DeadLetters), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%d deliveries are still pending: %w", n.Pending, ctx.Err())
		case <-ticker.C:
		}
	}
}

// deadLetters wants one for each payload that audit fails for, after three attempts.
func (s *story) deadLetters(ctx context.Context) (string, error) {
	list, err := s.node.run(ctx, "dlq", "ls", "--limit", strconv.Itoa(len(s.payloads)*3))
	if err != nil {
		return "", err
	}
	fmt.Fprintf(s.out, "\n$ fnctl dlq ls\n%s\n", list)
	letters, err := s.node.client.DeadLetters(ctx, namespace, "", len(s.payloads)*3)
	if err != nil {
		return "", err
	}
	var f faults
	var want, got []string
	for _, p := range s.broken() {
		want = append(want, p.delivery)
	}
	for _, l := range letters {
		got = append(got, l.EventID)
		if l.Trigger != auditTrigger || len(l.Attempts) != 3 {
			f.add("dead letter of event %s: trigger %s gave up after %d attempts, want %s and 3", l.EventID, l.Trigger, len(l.Attempts), auditTrigger)
		}
	}
	checkOnce(&f, "dead letters", want, got)
	return fmt.Sprintf("%d, each after 3 attempts", len(letters)), f.err()
}

func (s *story) redrive(ctx context.Context) (string, error) {
	_, err := s.node.run(ctx, "dlq", "redrive", "--all", "--trigger", auditTrigger)
	return "all of " + auditTrigger, err
}

func (s *story) topic(ctx context.Context, name string) ([]event, error) {
	// More than there must be, so that doubled ones are seen.
	lines, err := s.node.run(ctx, "topic", "tail", name, "-o", "jsonl", "--limit", strconv.Itoa(len(s.payloads)*3))
	if err != nil {
		return nil, err
	}
	return parseTail(lines)
}

func (s *story) count(ctx context.Context) (string, error) {
	var f faults
	for _, topic := range []struct {
		name  string
		check func(*faults, []payload, []event)
	}{{"github.events", checkEvents}, {"github.summaries", checkSummaries}, {"github.audit", checkAudit}} {
		events, err := s.topic(ctx, topic.name)
		if err != nil {
			return "", err
		}
		topic.check(&f, s.payloads, events)
		s.rows = append(s.rows, fmt.Sprintf("%s\t%d\t%d", topic.name, len(events), len(s.payloads)))
	}
	letters, err := s.node.client.DeadLetters(ctx, namespace, "", len(s.payloads))
	if err != nil {
		return "", err
	}
	s.rows = append(s.rows, fmt.Sprintf("dead letters left\t%d\t0", len(letters)))
	for _, l := range letters {
		f.add("dead letters: event %s of trigger %s is left", l.EventID, l.Trigger)
	}
	return "nothing missing, nothing doubled", f.err()
}

// table shows what was counted, and the tallies, which count has found to be the ones that must be.
func (s *story) table() error {
	w := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "\nTOPIC\tEVENTS\tWANTED\n%s\n\nREPOSITORY\tEVENTS\tTYPES\n", strings.Join(s.rows, "\n"))
	tallies := wantSummaries(s.payloads)
	repos := make([]string, 0, len(tallies))
	for repo := range tallies {
		repos = append(repos, repo)
	}
	slices.SortFunc(repos, func(a, b string) int { return tallies[b].Total - tallies[a].Total })
	for _, repo := range repos {
		fmt.Fprintf(w, "%s\t%d\t%d\n", repo, tallies[repo].Total, len(tallies[repo].ByType))
	}
	fmt.Fprintf(w, "\nOK: %d webhooks, each handled exactly once by three functions, over one kill -9\n", len(s.payloads))
	return w.Flush()
}

package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// jetstream is the yardstick of the rows that store events: NATS JetStream, embedded with its client in a process of its own. bench/peers/jetstream says what
// each mode does.
type jetstream struct{ *dialogue }

// jetstreamAnswer is a line of what bench/peers/jetstream prints.
type jetstreamAnswer struct {
	Events int           `json:"events"`
	Took   time.Duration `json:"took_ns"`
	CPU    time.Duration `json:"cpu_ns"`
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
}

// buildJetStream answers "" where it cannot be built.
func (s *session) buildJetStream(ctx context.Context) (string, error) {
	root, err := sources(ctx)
	if err != nil {
		return "", err
	}
	s.say("building JetStream; the first time takes minutes")
	return s.buildOptionalPeer(ctx, root, "jetstream", "the yardstick JetStream"), nil
}

// startJetStream lets it store below a directory; nil for a binary "".
func startJetStream(binary, dir string) (*jetstream, error) {
	if binary == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d, err := startDialogue("JetStream", binary, dir)
	if err != nil {
		return nil, err
	}
	return &jetstream{d}, nil
}

// run does something n times, or n at once, for at most length.
func (j *jetstream) run(mode string, n int, length time.Duration) (figures, error) {
	var a jetstreamAnswer
	if err := j.ask(&a, mode, n, length); err != nil {
		return figures{}, err
	}
	if a.Events < 1 || a.Took <= 0 {
		return figures{}, fmt.Errorf("JetStream did nothing of %q", mode)
	}
	s := sample{n: a.Events, elapsed: a.Took, cpu: a.CPU}
	return figures{perSecond: s.perSecond(), cpuEach: s.cpuEach(), p50: milliseconds(a.P50), p99: milliseconds(a.P99)}, nil
}

// close is for nil, too.
func (j *jetstream) close() error {
	if j == nil {
		return nil
	}
	return j.dialogue.close()
}

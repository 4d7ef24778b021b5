// Command jetstream does with NATS JetStream what `bench log` and `bench pipeline` do with Evoke, as their yardstick, which start it:
//
//	jetstream DIR
//
// The server is embedded and its client is connected inside the process, so nothing of the network is part of the figures. Each line of its input says what to
// do, how much of it and for how long, as in "always 64 1s"; each line of its output what came of it. Every line gets a new server on an empty directory
// below DIR.
//
//	always N LENGTH    N publishers that wait for their acknowledgement, with sync_interval always: what JetStream offers for "acknowledged is on disk"
//	async N LENGTH     one asynchronous publisher with N messages in flight, without fsync before the acknowledgement (JetStream's default)
//	pipeline N LENGTH  at least once, without fsync: N stored messages are consumed; an output is published and a state put for each, then it is acknowledged
//	dispatch N LENGTH  N stored messages are consumed and acknowledged, without fsync
//	replay N LENGTH    N stored messages are read in order by an ordered consumer
//
// The last three stop after LENGTH with what they have done.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "jetstream:", err)
		os.Exit(1)
	}
}

// answer is a line of the output. Latencies are of one publish, where a publisher waits for it.
type answer struct {
	Events int           `json:"events"`
	Took   time.Duration `json:"took_ns"`
	CPU    time.Duration `json:"cpu_ns"` // of server and client
	P50    time.Duration `json:"p50_ns,omitempty"`
	P99    time.Duration `json:"p99_ns,omitempty"`
}

// mode is what a line asks for.
type mode struct {
	always bool // sync_interval always
	filled bool // n messages are stored before
	do     func(b *bench, ctx context.Context, n int) (events int, latencies []time.Duration, err error)
}

var modes = map[string]mode{
	"always":   {always: true, do: (*bench).publish},
	"async":    {do: (*bench).publishAsync},
	"pipeline": {filled: true, do: (*bench).pipeline},
	"dispatch": {filled: true, do: (*bench).dispatch},
	"replay":   {filled: true, do: (*bench).replay},
}

// run answers until its input ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: jetstream DIR")
	}
	in, out := bufio.NewScanner(stdin), json.NewEncoder(stdout)
	for in.Scan() {
		var name, text string
		var n int
		if _, err := fmt.Sscan(in.Text(), &name, &n, &text); err != nil {
			return fmt.Errorf("read %q: %w", in.Text(), err)
		}
		length, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		m, ok := modes[name]
		if !ok || n < 1 {
			return fmt.Errorf("there is no mode %q of %d", name, n)
		}
		a, err := m.run(ctx, args[0], n, length)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return in.Err()
}

// fillLimit bounds what is done before the clock starts.
const fillLimit = 2 * time.Minute

func (m mode) run(ctx context.Context, dir string, n int, length time.Duration) (a answer, err error) {
	b, err := open(ctx, dir, m.always)
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if m.filled {
		filling, cancel := context.WithTimeout(ctx, fillLimit)
		defer cancel()
		if err := b.fill(filling, n); err != nil {
			return answer{}, fmt.Errorf("fill the stream: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	cpu, start := ownCPU(), time.Now()
	events, latencies, err := m.do(b, ctx, n)
	a = answer{Events: events, Took: time.Since(start), CPU: ownCPU() - cpu, P50: quantile(latencies, 0.5), P99: quantile(latencies, 0.99)}
	if err == nil && events == 0 {
		err = errors.New("nothing was done in the time given")
	}
	return a, err
}

// Command bench measures Evoke beside a yardstick on this machine:
//
//	go run ./bench NAME [-json] [-rounds N] [-dir DIR]
//
// Ours and the yardstick take turns, so that a neighbour or a slow disk hits both. A number is the median over the rounds, with its noise; a row that is
// too noisy to trust says so. Numbers are only comparable with others of the same run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == peerArg {
		os.Exit(servePeer(os.Stdout, os.Stderr))
	}
	if len(os.Args) == 3 && os.Args[1] == stallArg {
		os.Exit(serveStall(os.Args[2], os.Stdout, os.Stderr))
	}
	if len(os.Args) == 3 && os.Args[1] == backlogArg {
		os.Exit(serveBacklog(os.Args[2], os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// minRounds makes a median worth its name.
const minRounds = 5

// benchmark is one NAME.
type benchmark struct {
	name, about string
	limit       time.Duration // of minRounds rounds
	run         func(context.Context, *session) ([]row, error)
}

func benchmarks() []benchmark {
	return []benchmark{
		{"log", "durable ingest, replay, timers and the memory of waiting keys, in process, beside JetStream", 480 * time.Second, runLog},
		{"pipeline", "events through a handler, with output and state, exactly once, beside JetStream at least once", 600 * time.Second, runPipeline},
		{"backlog", "ten million events that wait: memory, and the time to the first event after a restart", 900 * time.Second, runBacklog},
		{"http", "start, memory, size and requests of the built runtime, and checks of keys and tokens, beside a bare echo server, Extism, workerd and the fsync loop", 180 * time.Second, runHTTP},
		{"scheduler", "first events, many at once, beside a flood, and a hundred thousand functions, in the built runtime; what scheduling costs", 1800 * time.Second, runScheduler},
		{"routing", "which of a hundred thousand triggers an event is for, beside asking them one by one", 600 * time.Second, runRouting},
		{"authoring", "functions in JavaScript: isolation, first events, memory, how they are stopped, and requests beside workerd; from saving a file to seeing it", 900 * time.Second, runAuthoring},
		{"sandbox", "isolation, limits, memory and latency of the sandbox, beside handlers never reset, the stock engine and Extism", 360 * time.Second, runSandbox},
	}
}

// session is what a benchmark runs in.
type session struct {
	dir    string        // its own, empty, removed in the end
	rounds int           // at least 1
	slice  time.Duration // how long one case is measured in one round
	idle   time.Duration // how long a process is left alone before its memory is read
	limit  time.Duration // of what measure bounds
	say    func(format string, args ...any)
	disk   []time.Duration // every fsync of the yardstick, for the report
}

// measure bounds the time of what is measured. What must be built first is not part of it.
func (s *session) measure(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("not done within %v: the machine or its disk is too slow or too busy", s.limit))
}

// run returns the exit code: 0, 1 for a failure, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print one JSON document")
	rounds := flags.Int("rounds", minRounds, "how often each case is measured; the median counts")
	dir := flags.String("dir", "", "directory on the disk to measure; default the system's temporary one")
	flags.Usage = func() { usage(stderr, flags) }
	if len(args) == 0 {
		flags.Usage()
		return 2
	}
	b, known := find(args[0])
	if known {
		args = args[1:]
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	switch {
	case !known:
		fmt.Fprintf(stderr, "bench: there is no benchmark %q\n", args[0])
		flags.Usage()
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "bench: %q is one argument too many\n", flags.Arg(0))
		return 2
	case *rounds < 1:
		fmt.Fprintf(stderr, "bench: -rounds %d must be at least 1\n", *rounds)
		return 2
	}
	s := &session{
		rounds: *rounds, slice: time.Second, idle: 2 * time.Second,
		say: func(format string, args ...any) { fmt.Fprintf(stderr, "bench: "+format+"\n", args...) },
	}
	if err := s.execute(ctx, b, *dir, printer(stdout, *asJSON)); err != nil {
		fmt.Fprintf(stderr, "bench %s: %v\n", b.name, err)
		return 1
	}
	return 0
}

func usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintln(w, "usage: go run ./bench NAME [-json] [-rounds N] [-dir DIR]")
	for _, b := range benchmarks() {
		fmt.Fprintf(w, "  %-9s %s\n", b.name, b.about)
	}
	flags.PrintDefaults()
}

func find(name string) (benchmark, bool) {
	for _, b := range benchmarks() {
		if b.name == name {
			return b, true
		}
	}
	return benchmark{}, false
}

// execute runs a benchmark in a directory of its own below parent and prints its report.
func (s *session) execute(ctx context.Context, b benchmark, parent string, print func(report) error) (err error) {
	if s.dir, err = os.MkdirTemp(parent, "evoke-bench-"); err != nil {
		return fmt.Errorf("make a directory to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	s.limit = b.limit * time.Duration(max(minRounds, s.rounds)) / minRounds
	rows, err := b.run(ctx, s)
	if err != nil {
		return err
	}
	m := describe(s.disk)
	s.warn(m, rows)
	return print(report{Name: b.name, Machine: m, Rows: rows})
}

// restless is how many times its p50 the p99 of fsync may be on a disk that has nothing else to do.
const restless = 10

// warn says on stderr what the rows say too, for who reads only one of them.
func (s *session) warn(m machine, rows []row) {
	for _, r := range rows {
		if r.Noisy {
			s.say("%s: noise %.0f%% is over %.0f%%: do not trust this row; see what else runs on this machine and repeat", r.Case, 100*r.Noise, 100*tooNoisy)
		}
	}
	if m.FsyncP99 > restless*m.FsyncP50 {
		s.say("the disk has other work: fsync takes %.2f ms, but 1 of 100 takes %.2f ms; rows that write to it say little", m.FsyncP50, m.FsyncP99)
	}
	if s.rounds < minRounds {
		s.say("%d rounds are too few for a median; take at least %d", s.rounds, minRounds)
	}
}

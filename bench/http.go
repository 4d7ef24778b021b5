package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/evoke-run/evoke/api"
)

// Targets of the runtime on an empty data directory.
const (
	readyTarget  = 300 // ms
	memoryTarget = 80  // MiB
	sizeTarget   = 60  // MiB
)

const (
	echoConnections    = 16
	publishConnections = 64
)

// runHTTP measures the program itself, as it is built for a release.
func runHTTP(ctx context.Context, s *session) ([]row, error) {
	b, err := s.build(ctx)
	if err != nil {
		return nil, err
	}
	return s.measureHTTP(ctx, b)
}

func (s *session) measureHTTP(ctx context.Context, b built) ([]row, error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	rows, err := s.startRows(ctx, b)
	if err != nil {
		return nil, err
	}
	more, err := s.requestRows(ctx, b)
	if err != nil {
		return nil, err
	}
	rows = append(rows, more...)
	more, err = s.inRounds(ctx, []roundCase{s.newCheckCase(b.checks)})
	return append(rows, more...), err
}

// built is what has to be built first. Its time is not measured.
type built struct {
	runtime string // path
	checks  string // path of the benchmarks of package server
	guest   []byte
	rivals  []rival
}

func (s *session) build(ctx context.Context) (built, error) {
	root, err := sources(ctx)
	if err != nil {
		return built{}, err
	}
	b, err := s.buildNode(ctx, root)
	if err != nil {
		return built{}, err
	}
	b.checks = filepath.Join(s.dir, "server.test")
	if err := buildTests(ctx, root, "server", b.checks); err != nil {
		return built{}, err
	}
	b.rivals = s.getRivals(ctx, root)
	return b, nil
}

// buildNode builds the runtime and the function.
func (s *session) buildNode(ctx context.Context, root string) (built, error) {
	s.say("building the runtime and a function; the first time takes minutes")
	b := built{runtime: filepath.Join(s.dir, "runtime")}
	if err := buildProgram(ctx, root, "runtime", b.runtime); err != nil {
		return built{}, err
	}
	guest := filepath.Join(s.dir, "echo.wasm")
	if err := buildGuest(ctx, filepath.Join(root, "bench", "testdata", "echo"), guest); err != nil {
		return built{}, err
	}
	var err error
	b.guest, err = os.ReadFile(guest)
	return b, err
}

// startRows: how long until it is ready, and what it takes when nothing happens.
func (s *session) startRows(ctx context.Context, b built) ([]row, error) {
	info, err := os.Stat(b.runtime)
	if err != nil {
		return nil, err
	}
	var ready, memory []float64
	for round := range s.rounds {
		s.say("start %d of %d", round+1, s.rounds)
		took, rss, err := s.startOnce(ctx, b, filepath.Join(s.dir, "start-"+strconv.Itoa(round)))
		if err != nil {
			return nil, err
		}
		ready, memory = append(ready, milliseconds(took)), append(memory, rss)
	}
	return []row{
		target("ready_ms", "ms", ready, readyTarget),
		target("idle_rss_mib", "MiB", memory, memoryTarget),
		target("binary_mib", "MiB", []float64{float64(info.Size()) / (1 << 20)}, sizeTarget),
	}, nil
}

func (s *session) startOnce(ctx context.Context, b built, dir string) (ready time.Duration, rss float64, err error) {
	p, ready, err := startRuntime(ctx, b.runtime, dir)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	select {
	case <-time.After(s.idle):
	case <-ctx.Done():
		return 0, 0, context.Cause(ctx)
	}
	rss, err = p.rss()
	return ready, rss, err
}

// requestRows: requests to a running node, beside those to a bare echo server.
func (s *session) requestRows(ctx context.Context, b built) (rows []row, err error) {
	node, _, err := startRuntime(ctx, b.runtime, filepath.Join(s.dir, "requests"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, node.stop()) }()
	if err := deployEcho(ctx, node.admin, b.guest); err != nil {
		return nil, fmt.Errorf("deploy the function: %w", err)
	}
	peer, err := startPeer()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, peer.kill()) }()
	if rows, err = s.requestRounds(ctx, node, peer); err != nil {
		return nil, err
	}
	more, err := s.echoRows(ctx, node, peer, b.rivals)
	return append(rows, more...), err
}

// echoRows are about many requests at once.
func (s *session) echoRows(ctx context.Context, node, peer *process, rivals []rival) (rows []row, err error) {
	e, err := s.newEchoes(node, peer, rivals)
	defer func() { err = errors.Join(err, e.kill()) }()
	if err != nil {
		return nil, err
	}
	p := s.newPublishes(node, peer)
	if err := errors.Join(e.warmUp(ctx), p.warmUp(ctx)); err != nil {
		return nil, err
	}
	return s.inRounds(ctx, []roundCase{e, p})
}

// requestRounds lets the three kinds of load and the fsync loop take turns.
func (s *session) requestRounds(ctx context.Context, node, peer *process) ([]row, error) {
	const bare, loop = "bare echo", "fsync loop"
	rate := series{name: "echo_1k", unit: "requests/s", against: bare}
	cpu := series{name: "echo_1k_cpu", unit: "µs/request", against: bare}
	p99 := series{name: "echo_1k_p99", unit: "ms", against: bare}
	publish := series{name: "publish_202", unit: "events/s", against: loop}
	publishCPU := series{name: "publish_202_cpu", unit: "µs/event"}
	publishP99 := series{name: "publish_202_p99", unit: "ms", against: loop}

	function := load{addr: node.gateway, connections: echoConnections, status: 200, request: poster("/fn/echo"), process: node}
	plain := load{addr: peer.gateway, connections: echoConnections, status: 200, request: poster("/echo"), process: peer}
	publishing := load{addr: node.gateway, connections: publishConnections, status: 202, request: publisher("/bench"), process: node}
	for _, l := range []*load{&function, &plain, &publishing} {
		if _, err := l.run(ctx, s.slice/5); err != nil { // warms up
			return nil, err
		}
	}
	for round := range s.rounds {
		s.say("round %d of %d", round+1, s.rounds)
		results, err := s.inTurn(ctx, &function, &plain, &publishing)
		if err != nil {
			return nil, err
		}
		f, p, pub, fsync := results[0], results[1], results[2], results[3]
		rate.add(f.perSecond(), p.perSecond())
		cpu.add(f.cpuEach(), p.cpuEach())
		p99.add(f.p(0.99), p.p(0.99))
		publish.add(pub.perSecond(), fsync.perSecond())
		publishCPU.ours = append(publishCPU.ours, pub.cpuEach())
		publishP99.add(pub.p(0.99), fsync.p(0.99))
	}
	return []row{rate.row(), cpu.row(), p99.row(), publish.row(), publishCPU.row(), publishP99.row()}, nil
}

// inTurn runs each load once, and the fsync loop in the end.
func (s *session) inTurn(ctx context.Context, loads ...*load) ([]sample, error) {
	var out []sample
	for _, l := range loads {
		one, err := l.run(ctx, s.slice)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	loop, err := s.fsyncLoop(ctx)
	return append(out, loop), err
}

// deployEcho deploys what the load needs: the function behind HTTP, and a topic that is open for events.
func deployEcho(ctx context.Context, admin string, guest []byte) error {
	client, err := api.NewClient(api.ClientOptions{Server: "http://" + admin, HTTP: oneShotClient()})
	if err != nil {
		return err
	}
	digest, err := upload(ctx, client, guest)
	if err != nil {
		return err
	}
	_, err = client.Deploy(ctx, "default", "bench", api.App{
		Functions: map[string]api.FunctionSpec{"echo": {Module: digest, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{}}}}},
		Topics:    map[string]api.TopicSpec{"bench": {Ingress: true}},
	})
	return err
}

// poster makes requests that post 1 KiB.
func poster(path string) func([]byte) []byte {
	request := appendRequest(nil, path, "", payload())
	return func(b []byte) []byte { return append(b, request...) }
}

// publisher makes requests that publish one event each. None has the id of another of the source, on whatever connection and in whatever round: a duplicate is cheap.
func publisher(source string) func([]byte) []byte {
	data := payload()
	var last atomic.Uint64
	return func(b []byte) []byte {
		n := last.Add(1)
		headers := fmt.Sprintf("ce-specversion: 1.0\r\nce-type: dev.evoke.bench\r\nce-source: %s\r\nce-id: %d\r\nce-subject: key-%d\r\n", source, n, n%keys)
		return appendRequest(b, "/topics/bench", headers, data)
	}
}

func appendRequest(b []byte, path, headers string, body []byte) []byte {
	b = fmt.Appendf(b, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%s\r\n", path, len(body), headers)
	return append(b, body...)
}

// payload is random, so that no compression helps.
func payload() []byte {
	b := make([]byte, payloadSize)
	_, _ = rand.Read(b) // never fails
	return b
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

const (
	manyFunctions = 50
	latencyTarget = 20 // ms
)

// serverRows are what guests do to a runtime as it is released.
func (s *session) serverRows(ctx context.Context, b sandboxBuilt) ([]row, error) {
	rows, err := s.latencyRows(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("latency of the server: %w", err)
	}
	more, err := s.manyRows(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("%d functions: %w", manyFunctions, err)
	}
	return append(rows, more...), nil
}

// latencyRows: how long requests to the management API take while guests spin.
func (s *session) latencyRows(ctx context.Context, b sandboxBuilt) (rows []row, err error) {
	node, _, err := startRuntime(ctx, b.runtime, filepath.Join(s.dir, "spinning"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, node.stop()) }()
	client, transport, err := node.client()
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	if err := deploy(ctx, client, "spin", wasmtest.Loops(), s.slice); err != nil {
		return nil, err
	}
	var spun, idle []time.Duration
	for round := range s.rounds {
		s.say("latency %d of %d", round+1, s.rounds)
		some, err := latencies(ctx, client, after(s.slice))
		if err != nil {
			return nil, err
		}
		idle = append(idle, some...)
		if some, err = node.besideGuests(ctx, client); err != nil {
			return nil, err
		}
		spun = append(spun, some...)
	}
	const alone = "no guests"
	rows = worstAndMedian("server_latency", spun, latencyTarget)
	rows[1] = beside(rows[1], alone, milliseconds(quantile(idle, 0.5)))
	p99 := row{Case: "server_latency_p99_ms", Unit: "ms", Value: milliseconds(quantile(spun, 0.99)), Runs: len(spun)}
	most := row{Case: "server_latency_alone_ms", Unit: "ms", Value: milliseconds(quantile(idle, 1)), Runs: len(idle)}
	return append(rows, beside(p99, alone, milliseconds(quantile(idle, 0.99))), most), nil
}

// besideGuests asks again and again until guests that spin have been killed at their deadline.
func (p *process) besideGuests(ctx context.Context, client *api.Client) ([]time.Duration, error) {
	spun := make(chan error, spinning)
	for range spinning {
		go func() { spun <- p.post(ctx, "spin", http.StatusGatewayTimeout) }()
	}
	end := make(chan error, 1)
	go func() { // all at once: they began together and have the same deadline
		var err error
		for range spinning {
			err = errors.Join(err, <-spun)
		}
		end <- err
	}()
	return latencies(ctx, client, end)
}

// latencies asks until end says so.
func latencies(ctx context.Context, client *api.Client, end <-chan error) (took []time.Duration, err error) {
	for {
		start := time.Now()
		if _, e := client.Functions(ctx, "default"); e != nil && err == nil {
			err = e
		}
		took = append(took, time.Since(start))
		select {
		case e := <-end:
			return took, errors.Join(err, e)
		default:
		}
	}
}

// after says that a time is over.
func after(d time.Duration) <-chan error {
	end := make(chan error, 1)
	time.AfterFunc(d, func() { end <- nil })
	return end
}

// manyRows: what many Go functions take that are hot, what is left when nobody calls them, and how long their first event takes then. They are one
// function under many digests, so that each is compiled and has a snapshot of its own.
func (s *session) manyRows(ctx context.Context, b sandboxBuilt) (rows []row, err error) {
	node, _, err := startRuntime(ctx, b.runtime, filepath.Join(s.dir, "many"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, node.stop()) }()
	client, transport, err := node.client()
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	if err := s.deployMany(ctx, client, b.guests.loop); err != nil {
		return nil, err
	}
	if _, err := node.callAll(ctx); err != nil {
		return nil, err
	}
	hot, err := node.rss()
	if err != nil {
		return nil, err
	}
	wait := droppedAfter * s.idle
	s.say("waiting %v for them to grow cold", wait)
	if err := sleep(ctx, wait); err != nil {
		return nil, err
	}
	idle, err := node.rss()
	if err != nil {
		return nil, err
	}
	first := series{name: "functions_50_go_first_ms", unit: "ms"}
	if first.ours, err = node.callAll(ctx); err != nil {
		return nil, err
	}
	return []row{
		{Case: "functions_50_go_hot_mib", Unit: "MiB", Value: hot, Runs: 1},
		{Case: "functions_50_go_idle_mib", Unit: "MiB", Value: idle, Runs: 1},
		first.row(),
	}, nil
}

func (s *session) deployMany(ctx context.Context, client *api.Client, wasm []byte) error {
	s.say("deploying %d Go functions, which takes minutes", manyFunctions)
	for n := range manyFunctions {
		if err := deploy(ctx, client, manyName(n), variant(wasm, n), 0); err != nil {
			return err
		}
		if n%10 == 9 {
			s.say("%d of %d", n+1, manyFunctions)
		}
	}
	return nil
}

// callAll calls each of many functions once and answers how long that took, in ms.
func (p *process) callAll(ctx context.Context) ([]float64, error) {
	var took []float64
	for n := range manyFunctions {
		start := time.Now()
		if err := p.post(ctx, manyName(n), http.StatusOK); err != nil {
			return nil, err
		}
		took = append(took, milliseconds(time.Since(start)))
	}
	return took, nil
}

func manyName(n int) string { return fmt.Sprintf("f%d", n) }

// client keeps its connection open. Close the transport's connections in the end.
func (p *process) client() (*api.Client, *http.Transport, error) {
	transport := &http.Transport{}
	c, err := api.NewClient(api.ClientOptions{Server: "http://" + p.admin, HTTP: &http.Client{Transport: transport}})
	return c, transport, err
}

// deploy makes a module a function behind HTTP, in an app of its own. Timeout 0 is the default.
func deploy(ctx context.Context, client *api.Client, name string, wasm []byte, timeout time.Duration) error {
	return deployAs(ctx, client, name, wasm, api.FunctionSpec{Timeout: api.Duration(timeout), Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{}}}})
}

// deployListener makes a module a function that gets the events of the topic of its name, in an app of its own.
func deployListener(ctx context.Context, client *api.Client, name string, wasm []byte) error {
	return deployAs(ctx, client, name, wasm, api.FunctionSpec{Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: name}}}})
}

func deployAs(ctx context.Context, client *api.Client, name string, wasm []byte, spec api.FunctionSpec) error {
	digest, err := upload(ctx, client, wasm)
	if err != nil {
		return fmt.Errorf("upload function %s: %w", name, err)
	}
	spec.Module = digest
	if _, err := client.Deploy(ctx, "default", name, api.App{Functions: map[string]api.FunctionSpec{name: spec}}); err != nil {
		return fmt.Errorf("deploy function %s: %w", name, err)
	}
	return nil
}

// upload answers the digest.
func upload(ctx context.Context, client *api.Client, wasm []byte) (string, error) {
	digest := digestOf(wasm)
	return digest, client.PutModule(ctx, digest, wasm)
}

func digestOf(module []byte) string {
	sum := sha256.Sum256(module)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// post calls a function with 1 KiB.
func (p *process) post(ctx context.Context, name string, want int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.gateway+"/fn/"+name, strings.NewReader(string(payload())))
	if err != nil {
		return err
	}
	res, err := oneShotClient().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)); res.StatusCode != want { // what arrived is all there is to show
		return fmt.Errorf("function %s answered %s, want %d: %s", name, res.Status, want, body)
	}
	return nil
}

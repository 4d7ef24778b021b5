package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/embedded"
	"github.com/evoke-run/evoke/history"
	"github.com/evoke-run/evoke/inflight"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/scheduler"
)

// wasmPipeline is the pipeline with a function in a fresh sandbox for every event, by the scheduler that a node has.
type wasmPipeline struct {
	session *session
	guest   []byte
	sandbox *sandbox.Runtime // one for all rounds: the function is compiled once
}

func (s *session) newWasmPipeline(ctx context.Context, guest []byte) (*wasmPipeline, error) {
	box, err := sandbox.New(ctx, sandbox.Options{
		CacheDir: filepath.Join(s.dir, "code"), ImageDir: filepath.Join(s.dir, "images"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	return &wasmPipeline{session: s, guest: guest, sandbox: box}, nil
}

func (p *wasmPipeline) close() error { return p.sandbox.Close(context.Background()) }

// run fills a topic and then lets the scheduler work it off.
func (p *wasmPipeline) run(ctx context.Context, dir string) (out sample, err error) {
	st, err := p.openStation(ctx, dir)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	trigger, err := st.deploy(ctx, p.guest)
	if err != nil {
		return sample{}, err
	}
	n := p.session.stored()
	st.payload = hex.AppendEncode(nil, st.payload[:payloadSize/2]) // the function puts it into JSON
	if err := st.fill(ctx, inTopic, n); err != nil {
		return sample{}, err
	}
	if waiting := st.table.Stats(trigger).Pending; waiting != n {
		return sample{}, fmt.Errorf("%d of %d events wait for the function", waiting, n)
	}
	before, start := ownCPU(), time.Now()
	ended := make(chan error, 1)
	scheduling, stop := context.WithCancel(ctx)
	go func() { ended <- st.scheduler.Run(scheduling) }()
	err = st.drained(ctx, trigger)
	out = sample{n: n, elapsed: time.Since(start), cpu: ownCPU() - before}
	stop()
	return out, errors.Join(err, <-ended)
}

// station is what a node has between its log and its server.
type station struct {
	*world
	registry  *registry.Registry
	scheduler *scheduler.Scheduler
	closers   []func() error // in order of start
}

func (p *wasmPipeline) openStation(ctx context.Context, dir string) (*station, error) {
	st := &station{}
	if err := st.start(ctx, dir, p.sandbox); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

func (st *station) start(ctx context.Context, dir string, box *sandbox.Runtime) error {
	etcd, err := embedded.Start(ctx, embedded.Options{Dir: filepath.Join(dir, "etcd")})
	if err != nil {
		return err
	}
	st.closers = append(st.closers, etcd.Close)
	if st.registry, err = registry.New(registry.Options{Client: etcd.Client(), ModuleDir: filepath.Join(dir, "modules")}); err != nil {
		return err
	}
	log, err := history.Open(history.Options{Dir: filepath.Join(dir, "history")})
	if err != nil {
		return err
	}
	st.closers = append(st.closers, log.Close)
	notes, err := inflight.Open(filepath.Join(dir, "inflight"))
	if err != nil {
		return err
	}
	st.closers = append(st.closers, notes.Close)
	if st.world, err = openTable(ctx, dir, nil); err != nil {
		return err
	}
	st.closers = append(st.closers, st.world.close)
	st.scheduler = scheduler.New(scheduler.Options{
		Table: st.table, Registry: st.registry, Sandbox: box, History: log, InFlight: notes, Ready: st.ready, Logger: slog.New(slog.DiscardHandler),
	})
	return nil
}

func (st *station) close() error {
	var err error
	for i := len(st.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, st.closers[i]())
	}
	return err
}

// deploy binds the function to the topic and puts it in force.
func (st *station) deploy(ctx context.Context, guest []byte) (trigger uint64, err error) {
	sum := sha256.Sum256(guest)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	if err := st.registry.PutModule(ctx, digest, bytes.NewReader(guest)); err != nil {
		return 0, err
	}
	app := api.App{
		Functions: map[string]api.FunctionSpec{"bench": {
			Module: digest, Allow: api.Allow{Emit: []string{outTopic}, State: true},
			Triggers: []api.TriggerSpec{{Topic: &api.TopicTrigger{Name: inTopic}}},
		}},
		Topics: map[string]api.TopicSpec{inTopic: {}, outTopic: {}},
	}
	if _, _, err := st.registry.Deploy(ctx, "default", "bench", app, map[string]string{"bench": "native"}); err != nil {
		return 0, err
	}
	return st.putInForce(ctx)
}

// putInForce follows the registry until the function's trigger is there.
func (st *station) putInForce(ctx context.Context) (trigger uint64, err error) {
	following, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	err = st.registry.Run(following, func(s *registry.Snapshot) {
		if t, ok := s.Trigger("default", "bench:"+inTopic); ok {
			trigger, failed = t.ID, st.scheduler.Apply(following, s)
			stop()
		}
	})
	return trigger, errors.Join(err, failed, context.Cause(ctx))
}

// drained returns when a trigger has nothing left; it looks every two milliseconds.
func (st *station) drained(ctx context.Context, trigger uint64) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		switch left := st.table.Stats(trigger); {
		case left.DeadLetters > 0 || left.Retrying > 0:
			return fmt.Errorf("the function failed %d events", left.DeadLetters+left.Retrying)
		case left.Pending == 0:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

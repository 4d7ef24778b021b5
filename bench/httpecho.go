package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

const (
	// echoesAtOnce is how many connections the rows of CPU time have.
	echoesAtOnce = 64
	// steady is the part of the highest rate at which latency is looked at.
	steady = 0.7
)

// echoes compares requests of 1 KiB through our function, written in Go with the SDK and in a fresh sandbox each, with a bare server, and with other runtimes,
// whose guests do the least that an echo can: they are in C and bring no runtime of their language along. CPU time is that of the server alone.
type echoes struct {
	session    *session
	ours, bare *load
	cpu, p99   series
	rivals     []*echoRival
}

type echoRival struct {
	load *load
	cpu  series
}

// newEchoes starts the rivals. Kill them in the end, also after an error.
func (s *session) newEchoes(node, peer *process, rivals []rival) (*echoes, error) {
	const name, bare = "http_echo_1k_cpu", "bare echo"
	unit := "µs/request"
	at := func(p *process, path string) *load {
		return &load{addr: p.gateway, connections: echoesAtOnce, status: 200, request: poster(path), process: p}
	}
	e := &echoes{
		session: s, ours: at(node, "/fn/echo"), bare: at(peer, "/echo"),
		cpu: series{name: name, unit: unit, against: bare}, p99: series{name: "http_p99_ms", unit: "ms", against: bare},
	}
	for _, r := range rivals {
		p, err := startServer(exec.Command(r.command[0], r.command[1:]...), r.address)
		if err != nil {
			return e, err
		}
		e.rivals = append(e.rivals, &echoRival{at(p, "/echo"), series{name: name + "_vs_" + r.name, unit: unit, against: r.name}})
	}
	return e, nil
}

func (e *echoes) kill() error {
	var err error
	for _, r := range e.rivals {
		err = errors.Join(err, r.load.process.kill())
	}
	return err
}

func (e *echoes) rows() []row {
	rows := []row{e.cpu.row()}
	for _, r := range e.rivals {
		rows = append(rows, r.cpu.row())
	}
	return append(rows, e.p99.row())
}

func (e *echoes) warmUp(ctx context.Context) error {
	loads := []*load{e.ours, e.bare}
	for _, r := range e.rivals {
		loads = append(loads, r.load)
	}
	for _, l := range loads {
		if _, err := l.run(ctx, e.session.slice/5); err != nil {
			return err
		}
	}
	return nil
}

// round lets everybody do what they can, and then looks at the latency of ours and of the bare server when each gets a part of what it has done: the machine has
// room then, and what is late is not only behind others.
func (e *echoes) round(ctx context.Context) error {
	length := e.session.slice
	ours, err := e.ours.run(ctx, length)
	if err != nil {
		return err
	}
	bare, err := e.bare.run(ctx, length)
	if err != nil {
		return err
	}
	e.cpu.add(ours.cpuEach(), bare.cpuEach())
	for _, r := range e.rivals {
		theirs, err := r.load.run(ctx, length)
		if err != nil {
			return fmt.Errorf("%s: %w", r.cpu.name, err)
		}
		r.cpu.add(ours.cpuEach(), theirs.cpuEach())
	}
	paced, err := e.ours.runAt(ctx, steady*ours.perSecond(), length)
	if err != nil {
		return err
	}
	theirs, err := e.bare.runAt(ctx, steady*bare.perSecond(), length)
	e.p99.add(paced.p(0.99), theirs.p(0.99))
	return err
}

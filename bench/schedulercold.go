package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/evoke-run/evoke/api"
)

// coldStarts measures the first event of a function in a runtime that has just started: machine code and snapshot are in files, nothing of them is in memory, and
// nobody has asked the gateway for anything before. It is a call, from its connection to its reply.
type coldStarts struct {
	runtime, dir string
	functions    []*coldFunction
}

type coldFunction struct {
	name   string
	target float64 // ms
	took   []float64
}

func (s *session) newColdStarts(ctx context.Context, b schedulerBuilt) (*coldStarts, error) {
	c := &coldStarts{
		runtime: b.runtime, dir: filepath.Join(s.dir, "cold"),
		functions: []*coldFunction{{name: "go", target: 60}, {name: "c", target: 5}},
	}
	return c, withRuntime(ctx, c.runtime, c.dir, func(_ *process, client *api.Client) error {
		return errors.Join(deploy(ctx, client, "go", b.echo, 0), deploy(ctx, client, "c", b.c, 0))
	})
}

func (c *coldStarts) rows() (rows []row) {
	for _, f := range c.functions {
		rows = append(rows, target("cold_first_event_ms_"+f.name, "ms", f.took, f.target))
	}
	return rows
}

// round starts the runtime anew for each function.
func (c *coldStarts) round(ctx context.Context) error {
	for _, f := range c.functions {
		err := withRuntime(ctx, c.runtime, c.dir, func(node *process, _ *api.Client) error {
			start := time.Now()
			if err := node.post(ctx, f.name, http.StatusOK); err != nil {
				return err
			}
			f.took = append(f.took, milliseconds(time.Since(start)))
			return nil
		})
		if err != nil {
			return fmt.Errorf("first event of function %s: %w", f.name, err)
		}
	}
	return nil
}

// withRuntime runs a runtime on a data directory while do uses it.
func withRuntime(ctx context.Context, binary, dir string, do func(*process, *api.Client) error) (err error) {
	node, _, err := startRuntime(ctx, binary, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.stop()) }()
	client, transport, err := node.client()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	return do(node, client)
}

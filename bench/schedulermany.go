package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/evoke-run/evoke/api"
)

const (
	functionsTarget = 10 // KiB each
	visibleTarget   = 50 // ms
	// perDeploy is how many functions an app has here: about as many as the registry takes in one transaction.
	perDeploy = 2000
	// late is how many functions are deployed one by one, before all the others and after.
	late = 10
)

// crowd deploys a hundred thousand functions of one module, each with an address, and leaves them alone. What does one take that nobody calls, and how long until
// one more is in force? That is a deploy of an app of its own, with a module that is compiled: what is left is to check it, to store it, and to tell all partitions.
type crowd struct {
	session  *session
	node     *process
	client   *api.Client
	module   string // digest
	deployed int    // one by one
}

// crowdRows has one run, which takes long.
func (s *session) crowdRows(ctx context.Context, b schedulerBuilt) (rows []row, err error) {
	err = withRuntime(ctx, b.runtime, filepath.Join(s.dir, "crowd"), func(node *process, client *api.Client) error {
		c := &crowd{session: s, node: node, client: client}
		if c.module, err = upload(ctx, client, b.c); err != nil {
			return err
		}
		rows, err = c.rows(ctx)
		return err
	})
	return rows, err
}

func (c *crowd) rows(ctx context.Context) ([]row, error) {
	n := max(2, int(100_000*c.session.slice.Seconds()))
	first := min(perDeploy, n/2)
	if err := c.deploy(ctx, 0, first); err != nil {
		return nil, err
	}
	few, err := c.visible(ctx)
	if err != nil {
		return nil, err
	}
	before, err := c.coldRSS(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.deploy(ctx, first, n); err != nil {
		return nil, err
	}
	after, err := c.coldRSS(ctx)
	if err != nil {
		return nil, err
	}
	many, err := c.visible(ctx)
	return []row{
		target("functions_100k_kib", "KiB/function", []float64{max(0, after-before) * 1024 / float64(n-first)}, functionsTarget),
		target("deploy_visible_ms", "ms", few, visibleTarget),
		target("functions_100k_deploy_visible_ms", "ms", many, visibleTarget),
	}, err
}

// deploy brings the functions from one number up to another.
func (c *crowd) deploy(ctx context.Context, from, to int) error {
	for start := from; start < to; start += perDeploy {
		app := api.App{Functions: map[string]api.FunctionSpec{}}
		for n := start; n < min(start+perDeploy, to); n++ {
			app.Functions[fmt.Sprintf("f%06d", n)] = c.spec()
		}
		begin := time.Now()
		if _, err := c.client.Deploy(ctx, "default", fmt.Sprintf("app%06d", start), app); err != nil {
			return fmt.Errorf("deploy functions from %d on: %w", start, err)
		}
		c.session.say("%d functions, the last %d in %.1f s", start+len(app.Functions), len(app.Functions), time.Since(begin).Seconds())
	}
	return nil
}

func (c *crowd) spec() api.FunctionSpec {
	return api.FunctionSpec{Module: c.module, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{}}}}
}

// visible deploys some functions one by one and calls each, which must be there.
func (c *crowd) visible(ctx context.Context) (took []float64, err error) {
	for range late {
		c.deployed++
		name := fmt.Sprintf("late%d", c.deployed)
		begin := time.Now()
		if _, err := c.client.Deploy(ctx, "default", name, api.App{Functions: map[string]api.FunctionSpec{name: c.spec()}}); err != nil {
			return nil, fmt.Errorf("deploy function %s: %w", name, err)
		}
		took = append(took, milliseconds(time.Since(begin)))
		if err := c.node.post(ctx, name, http.StatusOK); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// coldRSS is the memory in MiB when nothing has been called for long.
func (c *crowd) coldRSS(ctx context.Context) (float64, error) {
	wait := droppedAfter * c.session.idle
	c.session.say("waiting %v for the functions to grow cold", wait)
	if err := sleep(ctx, wait); err != nil {
		return 0, err
	}
	return c.node.rss()
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/evoke-run/evoke/api"
)

// node is the runtime as a process, and fnctl to talk to it.
type node struct {
	runtime, fnctl string
	dataDir        string
	log            string // the runtime writes here

	cmd    *exec.Cmd
	exited chan error // gets the end of cmd
	addresses
	client *api.Client
}

// addresses is the file addresses.json that the runtime writes when it is ready: host:port each.
type addresses struct {
	Gateway string `json:"gateway"`
	Admin   string `json:"admin"`
}

func newNode(o options, dir string) (*node, error) {
	n := &node{dataDir: filepath.Join(dir, "data"), log: filepath.Join(dir, "runtime.log")}
	for _, p := range []struct {
		path *string
		name string
	}{{&n.runtime, o.runtime}, {&n.fnctl, o.fnctl}} {
		path, err := exec.LookPath(p.name)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return nil, fmt.Errorf("program %s: %w; `make build` makes it", p.name, err)
		}
		*p.path = path
	}
	return n, nil
}

// start starts the runtime and returns when it is ready.
func (n *node) start(ctx context.Context) error {
	file := filepath.Join(n.dataDir, "addresses.json")
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the runtime has its own descriptor
	cmd := exec.Command(n.runtime, "--data-dir", n.dataDir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the runtime: %w", err)
	}
	n.cmd, n.exited = cmd, make(chan error, 1)
	go func() { n.exited <- cmd.Wait() }()
	return n.ready(ctx, file)
}

func (n *node) ready(ctx context.Context, file string) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-n.exited:
			n.cmd = nil
			return fmt.Errorf("the runtime ended before it was ready: %v\n%s", err, n.lastLines())
		case <-ticker.C:
		}
		b, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(b, &n.addresses) != nil || n.Admin == "" || n.Gateway == "" {
			continue // not there, or not all of it
		}
		n.client, err = api.NewClient(api.ClientOptions{Server: "http://" + n.Admin})
		return err
	}
}

// kill ends the runtime the hard way, SIGKILL, and waits for its end.
func (n *node) kill() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill() // fails only when it has ended already
	<-n.exited
	n.cmd = nil
}

// stop asks the runtime to end, as an operator would.
func (n *node) stop() error {
	if err := n.cmd.Process.Signal(os.Interrupt); err != nil {
		return fmt.Errorf("stop the runtime: %w", err)
	}
	limit := time.NewTimer(15 * time.Second)
	defer limit.Stop()
	select {
	case err := <-n.exited:
		n.cmd = nil
		if err != nil {
			return fmt.Errorf("the runtime ended badly: %w\n%s", err, n.lastLines())
		}
		return nil
	case <-limit.C:
		return fmt.Errorf("the runtime did not end within 15 s\n%s", n.lastLines())
	}
}

func (n *node) lastLines() []byte {
	b, err := os.ReadFile(n.log)
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, bytes.LastIndexByte(b[:max(0, len(b)-2000)], '\n')+1):]
}

// run runs fnctl and returns what it wrote to stdout.
func (n *node) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, n.fnctl, args...)
	cmd.Env = append(os.Environ(), "FNCTL_SERVER=http://"+n.Admin)
	// Interrupted, it ends the compiler it may have started, too.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("fnctl %s: %w\n%s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

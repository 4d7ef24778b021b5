package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program under test.
type process struct {
	cmd            *exec.Cmd
	ended          chan error // gets one error
	gateway, admin string     // host:port; gateway alone for the yardstick
}

func start(cmd *exec.Cmd) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	go func() { p.ended <- cmd.Wait() }()
	return p, nil
}

// startPeer starts the yardstick that this program is.
func startPeer() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startServer(exec.Command(self, peerArg), plainAddress)
}

// startServer starts a yardstick that says where it listens in the first line that it prints.
func startServer(cmd *exec.Cmd, address func(line string) (string, error)) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	p, err := start(cmd)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("start the yardstick: %w", err)
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		p.gateway, err = address(strings.TrimSpace(line))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the yardstick %s: %w", cmd.Path, err), p.kill())
	}
	return p, nil
}

func plainAddress(line string) (string, error) { return line, nil }

// startRuntime starts a runtime on a data directory and waits until it says that it is ready.
func startRuntime(ctx context.Context, binary, dir string) (p *process, ready time.Duration, err error) {
	var log strings.Builder
	cmd := exec.Command(binary, "--data-dir", dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	cmd.Stderr = &log
	begin := time.Now()
	if p, err = start(cmd); err != nil {
		return nil, 0, fmt.Errorf("start the runtime: %w", err)
	}
	if err = p.waitReady(ctx, filepath.Join(dir, "addresses.json")); err != nil {
		err = errors.Join(fmt.Errorf("start the runtime: %w", err), p.kill())
		return nil, 0, fmt.Errorf("%w\n%s", err, log.String())
	}
	return p, time.Since(begin), nil
}

// waitReady looks every millisecond: the file with the addresses says where to ask.
func (p *process) waitReady(ctx context.Context, addresses string) error {
	client := oneShotClient()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if p.isReady(ctx, client, addresses) {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-p.ended:
			p.ended <- err // kill reads it too
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *process) isReady(ctx context.Context, client *http.Client, addresses string) bool {
	raw, err := os.ReadFile(addresses)
	if err != nil {
		return false
	}
	var at struct{ Gateway, Admin string }
	if json.Unmarshal(raw, &at) != nil {
		return false
	}
	p.gateway, p.admin = at.Gateway, at.Admin
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.Admin+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

// oneShotClient keeps no connection open to a process that will be stopped.
func oneShotClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// stop asks the process to end and waits for it.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(fmt.Errorf("stop %s: %w", p.cmd.Path, err), p.kill())
	}
	select {
	case err := <-p.ended:
		return err
	case <-time.After(10 * time.Second):
		return errors.Join(fmt.Errorf("%s did not stop within 10s of SIGTERM", p.cmd.Path), p.kill())
	}
}

// kill is for what has no state, and for what does not stop.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended // says that it was killed
	return nil
}

// clockTick is the unit of CPU time in /proc, 1/USER_HZ; it is 100 Hz wherever Go runs on Linux.
const clockTick = 10 * time.Millisecond

// cpu is the time in user and kernel mode that the process has used.
func (p *process) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time (it takes Linux's /proc): %w", err)
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // what is before is the name, in which there may be anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("read CPU time: %q", raw)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// rss is the memory of the process that is in RAM, in MiB.
func (p *process) rss() (float64, error) {
	kib, err := statusKiB(p.cmd.Process.Pid, "VmRSS")
	return kib / 1024, err
}

// statusKiB reads a size from what Linux says of a process.
func statusKiB(pid int, name string) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory (it takes Linux's /proc): %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
		}
	}
	return 0, fmt.Errorf("read memory: no %s in the status of process %d", name, pid)
}

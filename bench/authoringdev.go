package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Targets of what a person waits for in fnctl dev, in milliseconds.
const (
	scriptSaveTarget = 300
	goSaveTarget     = 3000
)

// devProject is a project as fnctl new makes it, in which fnctl dev runs. A file is saved, and asked for over HTTP until the answer is a new one.
type devProject struct {
	process *process
	url     string // of the function
	main    string // path of the file that is saved
	source  []byte // what fnctl new wrote
	greets  string // the part of the source that ends up in the answer
	saved   int
	row     string
	limit   float64
	took    []float64 // milliseconds
}

// devProjects are one of each language.
type devProjects struct {
	transport *http.Transport
	projects  []*devProject
}

// newDevProjects starts fnctl dev in them. Close them in the end, also after an error.
func (s *session) newDevProjects(ctx context.Context, b authoringBuilt) (*devProjects, error) {
	all := &devProjects{transport: &http.Transport{}}
	for _, p := range []*devProject{
		{row: "ts_save_to_visible_ms", limit: scriptSaveTarget, main: "main.ts", greets: "text: `hello"},
		{row: "go_save_to_visible_ms", limit: goSaveTarget, main: "main.go", greets: `"text": "hello`},
	} {
		if err := s.startDev(ctx, b.fnctl, p); err != nil {
			return all, fmt.Errorf("fnctl dev for %s: %w", p.row, err)
		}
		all.projects = append(all.projects, p)
		if _, err := p.save(ctx, all.transport); err != nil { // the first build fills caches
			return all, err
		}
	}
	return all, nil
}

func (s *session) startDev(ctx context.Context, fnctl string, p *devProject) error {
	language := strings.TrimPrefix(filepath.Ext(p.main), ".")
	parent := filepath.Join(s.dir, "dev-"+language)
	if err := os.Mkdir(parent, 0o755); err != nil {
		return err
	}
	made := exec.CommandContext(ctx, fnctl, "new", "hello", "-l", language, "-t", "http")
	made.Dir = parent
	if out, err := made.CombinedOutput(); err != nil {
		return fmt.Errorf("fnctl new: %w\n%s", err, out)
	}
	dir := filepath.Join(parent, "hello")
	p.main = filepath.Join(dir, p.main)
	var err error
	if p.source, err = os.ReadFile(p.main); err != nil {
		return err
	}
	if bytes.Count(p.source, []byte(p.greets)) != 1 {
		return fmt.Errorf("%s does not say %s once", p.main, p.greets)
	}
	var said strings.Builder
	cmd := exec.Command(fnctl, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, io.Discard, &said
	if p.process, err = start(cmd); err != nil {
		return err
	}
	if err := p.process.waitReady(ctx, filepath.Join(dir, ".evoke", "addresses.json")); err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, said.String()), p.process.kill())
	}
	p.url = "http://" + p.process.gateway + "/fn/hello"
	return nil
}

// save changes the greeting, as editors do, and waits until it is the answer.
func (p *devProject) save(ctx context.Context, transport *http.Transport) (time.Duration, error) {
	p.saved++
	text := bytes.Replace(p.source, []byte(p.greets), fmt.Appendf(nil, "%s-%d", p.greets, p.saved), 1)
	if err := os.WriteFile(p.main+".new", text, 0o644); err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := os.Rename(p.main+".new", p.main); err != nil {
		return 0, err
	}
	want := fmt.Sprintf("hello-%d Ada", p.saved)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := greeted(ctx, transport, p.url)
		if err == nil && strings.Contains(answer, want) {
			return time.Since(begin), nil
		}
		select {
		case <-tick.C:
		case ended := <-p.process.ended:
			p.process.ended <- ended // kill reads it too
			return 0, fmt.Errorf("fnctl dev ended: %w", ended)
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: the last answer was %q %v, not %q", context.Cause(ctx), answer, err, want)
		}
	}
}

func greeted(ctx context.Context, transport *http.Transport, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"name":"Ada"}`))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return string(text), errors.Join(err, res.Body.Close())
}

func (d *devProjects) round(ctx context.Context) error {
	for _, p := range d.projects {
		took, err := p.save(ctx, d.transport)
		if err != nil {
			return err
		}
		p.took = append(p.took, milliseconds(took))
	}
	return nil
}

func (d *devProjects) rows() (rows []row) {
	for _, p := range d.projects {
		rows = append(rows, target(p.row, "ms", p.took, p.limit))
	}
	return rows
}

func (d *devProjects) close() (err error) {
	d.transport.CloseIdleConnections()
	for _, p := range d.projects {
		err = errors.Join(err, p.process.stop())
	}
	return err
}

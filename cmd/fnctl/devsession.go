package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/gobuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/watch"
	"github.com/evoke-run/evoke/manifest"
)

// devSession is one run of fnctl dev. Its parts run until the first of them ends: the runtime, the watcher, the log, the keys, and rounds, which builds and deploys.
type devSession struct {
	c        *cli
	dir      string   // of the manifest, real
	file     string   // the manifest, as it was named
	manifest []string // the names by which changes of it are told
	runtime  devRuntime
	watcher  *watch.Watcher
	screen   devScreen
	stop     func() // ends it
	terminal keyTerminal

	ready chan struct{} // closed when the runtime is ready for the first time
	ended chan struct{} // closed when the runtime has ended
	work  chan struct{} // has a token when there is something for rounds

	// Of rounds alone:
	sources  *sources
	inForce  *api.App          // what was deployed; nil = nothing yet
	name     string            // of the app that was
	uploaded map[string]bool   // digests of modules that the runtime has
	faults   map[string]string // those that were told last, by function; "" = of the deploy

	mu      sync.Mutex
	url     string        // of the gateway; "" until the runtime is ready
	change  *watch.Change // what rounds has not looked at yet
	current []manifest.Function
	closed  bool

	besides sync.WaitGroup
}

// errDevEnd is the wish of the user, and no fault.
var errDevEnd = errors.New("ended by the user")

func (d *devSession) run(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	d.stop = func() { end(errDevEnd) }
	defer d.stop()
	var err error
	if d.watcher, err = watch.New(d.dir); err != nil {
		return &adviceError{err, "a smaller directory for fn.yaml, or a higher limit of the system"}
	}
	defer d.watcher.Close() // nothing is left to be told
	defer d.terminal.leave()
	d.runtime.ready, d.runtime.warn = d.runtimeReady, func(text string) { d.screen.note("runtime: %s", text) }
	d.runtime.down = func(note string) { d.screen.tell(devLine{Kind: devFault, Error: note + "; it is started again"}) }
	var parts sync.WaitGroup
	part := func(run func(context.Context) error) {
		parts.Go(func() {
			defer d.restoreOnPanic()
			if err := run(ctx); err != nil {
				end(err)
			}
		})
	}
	part(func(ctx context.Context) error {
		defer close(d.ended)
		return d.runtime.Run(ctx)
	})
	part(func(ctx context.Context) error { return d.watcher.Run(ctx, d.changed) })
	part(d.rounds)
	part(d.tail)
	part(d.heedSignals)
	d.startKeys(ctx)
	<-ctx.Done()
	parts.Wait()
	d.close()
	if cause := context.Cause(ctx); !errors.Is(cause, errDevEnd) && !errors.Is(cause, context.Canceled) {
		return cause
	}
	d.screen.note("ended")
	return nil
}

// close waits for what runs beside.
func (d *devSession) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.besides.Wait()
}

// beside runs what a key has asked for, and is not waited for by the next one.
func (d *devSession) beside(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.besides.Go(func() {
		defer d.restoreOnPanic()
		do()
	})
}

// restoreOnPanic is deferred by every goroutine: a panic in any of them ends the process, and the terminal has to be as it was.
func (d *devSession) restoreOnPanic() {
	if p := recover(); p != nil {
		d.terminal.leave()
		panic(p)
	}
}

// heedSignals ends the session at the first signal, and kills the runtime at the second.
func (d *devSession) heedSignals(context.Context) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, hangup, continued)
	defer signal.Stop(signals)
	for asked := 0; ; {
		select {
		case s := <-signals:
			if s == continued {
				d.terminal.enter() // who was stopped finds the terminal as the shell had it
				continue
			}
			asked++
			d.stop()
			if asked == 2 {
				close(d.runtime.kill)
			}
		case <-d.ended:
			return nil
		}
	}
}

// startKeys reads keys when there is a terminal for them. What reads cannot be interrupted, and ends with the process.
func (d *devSession) startKeys(ctx context.Context) {
	f, isFile := d.c.in.(*os.File)
	if !isFile || d.c.format == jsonLines {
		return
	}
	d.terminal.file = f
	if !d.terminal.enter() {
		return
	}
	go func() {
		defer d.restoreOnPanic()
		(&devKeys{dev: d}).read(ctx, f)
	}()
}

// runtimeReady is told by the runtime.
func (d *devSession) runtimeReady(gateway, admin string) {
	gateway, admin = "http://"+gateway, "http://"+admin
	d.mu.Lock()
	first := d.url == ""
	d.url = gateway
	d.mu.Unlock()
	if first {
		d.screen.command = d.c.otherCommands(admin)
		d.c.server, d.c.token, d.c.ca = admin, "", "" // all that need it wait for ready
		close(d.ready)
	}
	d.screen.tell(devLine{Kind: devReady, Gateway: gateway, Admin: admin})
	if !first {
		d.wake(watch.Change{}) // a deploy may have failed meanwhile
	}
}

// awaitReady is false when the session ends before.
func (d *devSession) awaitReady(ctx context.Context) bool {
	select {
	case <-d.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// client is for what the runtime is asked by keys.
func (d *devSession) client() (*api.Client, error) {
	select {
	case <-d.ready:
		return d.c.client()
	default:
		return nil, errors.New("the runtime is not ready yet")
	}
}

func (d *devSession) sender() (*sender, error) {
	client, err := d.client()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return &sender{client: client, gateway: d.url, ns: d.c.namespace, now: d.c.now}, nil
}

// functions are those of the newest manifest that is right.
func (d *devSession) functions() []manifest.Function {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current
}

// fault tells an error; the session goes on.
func (d *devSession) fault(err error) {
	d.screen.tell(devLine{Kind: devFault, Error: err.Error(), Try: d.try(err)})
}

// try is the advice of other commands, as far as it is right for one that goes on.
func (d *devSession) try(err error) string {
	var compile *gobuild.CompileError
	var faults manifest.Faults
	var unreachable *api.UnreachableError
	if errors.As(err, &compile) && compile.Missing() == "" || errors.As(err, &faults) || errors.As(err, &unreachable) {
		return ""
	}
	var problem *api.Problem
	if errors.As(err, &problem) && len(problem.Faults) > 0 {
		if set := setSecrets(problem, d.screen.command); set != "" {
			return set + ", and save a file again"
		}
		return "correct it in fn.yaml" // and it is deployed again by itself
	}
	return d.c.advice(d.c.devCommand(), err)
}

// changed is told by the watcher.
func (d *devSession) changed(c watch.Change) {
	if c.Files == nil {
		c.Files = []string{anyFile}
	}
	d.wake(c)
}

// wake gives rounds something to look at, beside what it has not looked at yet.
func (d *devSession) wake(c watch.Change) {
	d.mu.Lock()
	if d.change == nil {
		d.change = &c
	} else {
		if d.change.Since.IsZero() {
			d.change.Since = c.Since
		}
		d.change.Files = append(d.change.Files, c.Files...)
	}
	d.mu.Unlock()
	select {
	case d.work <- struct{}{}:
	default: // it has been woken already
	}
}

// rounds builds and deploys the app, and again what changes.
func (d *devSession) rounds(ctx context.Context) error {
	d.readManifest()
	d.round(ctx, watch.Change{})
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.work:
			d.mu.Lock()
			c := d.change
			d.change = nil
			d.mu.Unlock()
			if c != nil {
				d.take(ctx, *c)
			}
		}
	}
}

// take finds out what a change is about. One without files is that the runtime is there again.
func (d *devSession) take(ctx context.Context, c watch.Change) {
	if d.aboutManifest(c.Files) {
		d.readManifest()
	}
	d.sources.touch(c.Files)
	d.round(ctx, c)
}

func (d *devSession) aboutManifest(files []string) bool {
	return slices.ContainsFunc(files, func(f string) bool { return f == anyFile || slices.Contains(d.manifest, f) })
}

func (d *devSession) readManifest() {
	m, err := readApp(d.file)
	if err != nil {
		d.fault(fmt.Errorf("%w\n%s", err, d.goesOn("the app")))
		return
	}
	d.sources.use(m)
	d.mu.Lock()
	d.current = m.Functions
	d.mu.Unlock()
}

// goesOn says what an error leaves as it was.
func (d *devSession) goesOn(what string) string {
	if d.inForce == nil {
		return what + " is not deployed yet; it is when this is corrected"
	}
	return what + " goes on as it was"
}

// round builds what is stale and deploys when that is another app than the one in force.
func (d *devSession) round(ctx context.Context, c watch.Change) {
	if d.sources.manifest == nil {
		return
	}
	began := time.Now()
	units := d.sources.build(ctx)
	line := devLine{Saved: c.Since, Files: c.Files, BuildMS: inMS(time.Since(began))}
	if ctx.Err() != nil {
		return
	}
	for _, u := range units {
		d.tellBuild(u)
		if u.err == nil {
			line.Built = append(line.Built, u.function.Name)
		}
	}
	defer d.look(ctx, units)
	app, modules := d.sources.app()
	if len(app.Functions) == 0 && d.inForce == nil || !d.awaitReady(ctx) {
		return
	}
	if d.inForce != nil && d.name == d.sources.manifest.App && sameApp(*d.inForce, app) {
		if len(line.Built) > 0 {
			line.Kind = devSame
			d.screen.tell(line)
		}
		return
	}
	d.deploy(ctx, app, modules, line)
}

// news is false for what was told last about the same thing. Files that have nothing to do with it are saved, too, and while there is a fault each is a reason to look again.
func (d *devSession) news(about, text string) bool {
	if d.faults[about] == text {
		return false
	}
	if d.faults == nil {
		d.faults = map[string]string{}
	}
	d.faults[about] = text
	return true
}

func (d *devSession) tellBuild(u *unit) {
	if u.err != nil {
		what := d.goesOn("the function")
		if u.module == nil {
			what = "the function is not deployed until this is corrected"
		}
		text := fmt.Sprintf("function %s: %s\n%s", u.function.Name, faultText(u.err), what)
		if d.news(u.function.Name, text) || u.saved {
			d.screen.tell(devLine{Kind: devFault, Error: text, Try: d.try(u.err)})
		}
	} else {
		delete(d.faults, u.function.Name)
	}
	u.saved = false
	for _, note := range u.notes {
		if u.err == nil {
			d.screen.note("note: function %s: %s", u.function.Name, note)
		}
	}
}

// look has the watcher look where the sources are now.
func (d *devSession) look(ctx context.Context, units []*unit) {
	d.sources.learn(ctx, units)
	if err := d.watcher.Also(d.sources.files()); err != nil {
		d.fault(err)
	}
}

// deploy puts an app in force, by the way of fnctl deploy.
func (d *devSession) deploy(ctx context.Context, app api.App, modules map[string][]byte, line devLine) {
	client, err := d.client()
	if err != nil {
		d.fault(err)
		return
	}
	missing := maps.Clone(modules) // putInForce takes out what it uploads
	maps.DeleteFunc(missing, func(digest string, _ []byte) bool { return d.uploaded[digest] })
	began := time.Now()
	silent := &progress{w: io.Discard}
	name := d.sources.manifest.App
	if d.name != name {
		app.Formerly = d.name // "" at first
	}
	deployed, err := d.c.putInForce(ctx, client, silent, name, app, missing)
	if err != nil {
		d.uploaded = nil // whatever it lacked
		if text := fmt.Sprintf("%v\n%s", err, d.goesOn("the app")); ctx.Err() == nil && (d.news("", text) || len(line.Built) > 0 || d.aboutManifest(line.Files)) {
			d.screen.tell(devLine{Kind: devFault, Error: text, Try: d.try(err)})
		}
		return
	}
	delete(d.faults, "")
	first, before := d.inForce == nil, app.Formerly
	app.Formerly = ""
	d.inForce, d.name, d.uploaded = &app, name, map[string]bool{}
	for digest := range modules {
		d.uploaded[digest] = true
	}
	line.Kind, line.Functions, line.Removed, line.Visible = devDeployed, deployed.Functions, deployed.Removed, time.Now()
	line.DeployMS = inMS(line.Visible.Sub(began))
	if !line.Saved.IsZero() {
		line.VisibleMS = inMS(line.Visible.Sub(line.Saved))
	}
	d.screen.tell(line)
	if before != "" {
		d.screen.note("app %s is called %s now; its functions go on, with what waits for them", before, name)
	}
	for _, f := range deployed.Functions {
		for _, note := range f.Notes {
			d.screen.note("note: function %s: %s", f.Name, note)
		}
	}
	if first { // it may have come late, after a fault was corrected
		d.screen.note("watching %s%s", d.dir, d.keysText())
	}
}

func (d *devSession) keysText() string {
	if d.terminal.on() {
		return "; e sends a test event, d shows dead letters, h helps, q ends"
	}
	return ""
}

// tail shows what functions log, also after a restart of the runtime.
func (d *devSession) tail(ctx context.Context) error {
	since := d.c.now()
	if !d.awaitReady(ctx) {
		return nil
	}
	client, err := d.client()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		for e, err := range client.Logs(ctx, d.c.namespace, api.LogOptions{Follow: true, Since: since}) {
			if err != nil {
				break // the runtime has ended, and comes again
			}
			since = e.Time.Add(1)
			d.screen.tell(devLine{Kind: devLog, Log: &e})
			if e.Next == "dead-letter" {
				d.screen.tell(devLine{Kind: devLetter, Text: fmt.Sprintf("fnctl dlq peek %s%s", e.Invocation, d.screen.command)})
			}
		}
		select {
		case <-time.After(crashDelay):
		case <-ctx.Done():
		}
	}
	return nil
}

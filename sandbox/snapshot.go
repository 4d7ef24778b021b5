package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/evoke-run/evoke/sandbox/linear"
	"github.com/evoke-run/evoke/sdk/abi"
)

// snapshot is the state of an initialised instance: what every event begins with. A command's is its state before it starts.
type snapshot struct {
	image      *linear.Image
	globals    []uint64      // values of Module.globals
	generators []int         // addresses of random generators to be refreshed before each event
	mono       time.Duration // the guest's monotonic clock when it was made
	ahead      time.Duration // what the guest's monotonic clock was ahead of ours when it was made
	script     *scriptState  // of a script
	drew       bool          // initialisation asked for random bytes
	cold       string        // why a script is not as warm as it was meant to be, for users
}

// close frees the image when no instance uses it any more. There may be no snapshot.
func (s *snapshot) close() error {
	if s == nil {
		return nil
	}
	return s.image.Close()
}

// initialise makes a snapshot. It returns the result to give to an event instead when the guest fails.
func (p *program) initialise(ctx context.Context, h Host) (*snapshot, *Result) {
	wall, mono := time.Now().UnixNano(), p.runtime.uptime()
	w := newWorld(p.seed, 0, wall, mono)
	s, res := p.snapshotIn(ctx, w, h)
	if s == nil || !w.drew || p.script != nil { // the engine has one generator, which is found by other means
		return s, res
	}
	// A second time with other random bytes: what differs came from them.
	if other, _ := p.snapshotIn(ctx, newWorld(p.seed, 1, wall, mono), discardHost{}); other != nil {
		s.generators = findGenerators(s.image.Bytes(), other.image.Bytes())
		if err := other.image.Close(); err != nil {
			p.runtime.logger.Error("free an image", slog.Any("err", err))
		}
	}
	return s, nil
}

func (p *program) snapshotIn(ctx context.Context, w *world, h Host) (*snapshot, *Result) {
	started := time.Now()
	i, res := p.booted(ctx, w, h, started)
	if res != nil {
		return nil, res
	}
	cold := ""
	if p.script != nil && p.settings.Warm != nil {
		var usable bool
		if cold, usable = i.warmUp(); !usable {
			p.discard(i)
			if i, res = p.booted(ctx, w, discardHost{}, started); res != nil {
				return nil, res
			}
		}
	}
	defer p.discard(i)
	var err error
	s := &snapshot{script: i.script, cold: cold, mono: w.mono + w.passed, drew: w.drew}
	s.ahead = max(0, s.mono-p.runtime.uptime())
	memory := i.memory.Bytes()
	if s.image, err = p.runtime.system.NewImage(len(memory), linear.Part{Bytes: memory}); err != nil {
		return nil, p.instanceFailure(&hostError{err})
	}
	for _, g := range i.globals {
		s.globals = append(s.globals, g.Get())
	}
	return s, nil
}

// booted is a new instance that has initialised itself, or the result to give to an event instead.
func (p *program) booted(ctx context.Context, w *world, h Host, started time.Time) (*instance, *Result) {
	i, err := p.newInstance(nil)
	if err != nil {
		return nil, p.instanceFailure(err)
	}
	i.begin(ctx, delivery{host: h, started: started})
	i.inv.world = w
	if err := i.boot(); err != nil {
		res := i.inv.result(err)
		i.inv.log.flush()
		p.discard(i)
		return nil, &res
	}
	i.inv.log.flush()
	return i, nil
}

// boot brings a new instance to where an event can begin. A command's start function belongs to its run.
func (i *instance) boot() error {
	i.inv.during = duringStart
	memory := i.memory.Bytes()
	for n, d := range i.program.data {
		if uint64(d.Offset)+uint64(len(d.Bytes)) > uint64(len(memory)) {
			return &trapError{fmt.Sprintf("data[%d]: out of bounds memory access", n)}
		}
		copy(memory[d.Offset:], d.Bytes)
	}
	if i.program.kind == KindCommand {
		return nil
	}
	if err := i.start(); err != nil {
		return err
	}
	if i.program.exports[abi.ExportInitialize] {
		if _, err := i.inv.callExport(abi.ExportInitialize); err != nil {
			return err
		}
	}
	if i.program.script != nil {
		return i.bootScript()
	}
	if i.program.exports[abi.ExportInit] {
		code, err := i.inv.callExport(abi.ExportInit)
		if err != nil {
			return err
		}
		if code != 0 {
			return &initError{code, i.inv.log.failed}
		}
	}
	i.inv.calls = calls{} // handles do not outlive it; none runs: all that may be called is config.get
	return nil
}

// start runs what was the start function before the module was rewritten.
func (i *instance) start() error {
	if i.program.start == "" {
		return nil
	}
	i.inv.during = duringStart
	return i.function(i.program.start).CallWithStack(&i.inv, nil)
}

// discardHost is the host of a run that nobody watches.
type discardHost struct{}

func (discardHost) AllowEmit(string) bool { return false }
func (discardHost) Call(context.Context, string, []byte) (int32, []byte) {
	return abi.StatusDenied, nil
}
func (discardHost) Begin(string, []byte) func(context.Context, func(int) bool) (int32, []byte) {
	return nil
}
func (discardHost) Attempt(int) int                                 { return 0 }
func (discardHost) Log(slog.Level, string)                          {}
func (discardHost) Yield(context.Context, int64)                    {}
func (discardHost) Outside(_ context.Context, _ int64, wait func()) { wait() }

// recorder keeps what a guest logs while it is loaded, for the first event: there is no attempt yet whose log it could be.
type recorder struct {
	discardHost
	lines []recordedLine
}

type recordedLine struct {
	level   slog.Level
	message string
}

func (r *recorder) Log(level slog.Level, message string) {
	r.lines = append(r.lines, recordedLine{level, message})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox"
)

// scriptEvents are events in a sandbox that is fresh for each, and in one that is never reset. Nothing frees what an event has left in the engine of scripts but a
// reset, so only a benchmark of package sandbox can do without.
type scriptEvents struct {
	session *session
	program string
	us      []series
}

// handlers are what package sandbox's benchmark calls its handlers, and the rows.
var handlers = [...]struct{ benchmark, name string }{
	{"json", "ts_isolated_json_us"}, {"async", "ts_isolated_async_us"}, {"one", "ts_isolated_one_us"},
}

func (s *session) newScriptEvents(program string) *scriptEvents {
	e := &scriptEvents{session: s, program: program}
	for _, h := range handlers {
		e.us = append(e.us, series{name: h.name, unit: "µs/event", against: neverReset})
	}
	return e
}

func (e *scriptEvents) round(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, e.program, "-test.run=^$", "-test.bench=^BenchmarkScript$/^(json|async|one)$/^(isolated|never-reset)$", "-test.benchtime="+(e.session.slice/3).String())
	cmd.Dir = e.session.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmarks of package sandbox: %w\n%s", err, out)
	}
	for i, h := range handlers {
		ours, ok1 := metricOf(out, "BenchmarkScript/"+h.benchmark+"/isolated", "cpu-ns/op")
		theirs, ok2 := metricOf(out, "BenchmarkScript/"+h.benchmark+"/never-reset", "cpu-ns/op")
		if !ok1 || !ok2 {
			return fmt.Errorf("the benchmarks of package sandbox do not tell the cpu-ns/op of %s:\n%s", h.benchmark, out)
		}
		e.us[i].add(ours/1000, theirs/1000)
	}
	return nil
}

func (e *scriptEvents) rows() (rows []row) {
	for i := range e.us {
		rows = append(rows, e.us[i].row())
	}
	return rows
}

// workerdIsolate is what a new isolate of workerd takes until its first answer in milliseconds. It was measured once, for the target, and is not measured again
// here.
const workerdIsolate = 4.3

// coldScripts are the first events of functions that are known and of which nothing is in memory. The engine is, as other functions use it.
type coldScripts struct {
	session *session
	scripts [][]byte
	ms      series
}

// coldInRound is how many functions are called for the first time in a round.
const coldInRound = 20

func (s *session) newColdScripts(ctx context.Context, script []byte) (_ *coldScripts, err error) {
	c := &coldScripts{session: s, ms: series{name: "ts_cold_first_event_ms", unit: "ms", against: "workerd's new isolate, measured once (4.3 ms)", theirs: []float64{workerdIsolate}}}
	box, err := s.newScriptBox(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, box.Close(context.Background())) }()
	for n := range coldInRound + 1 {
		c.scripts = append(c.scripts, differentScript(script, n))
		if _, err := box.Load(ctx, c.scripts[n], sandbox.Settings{Function: "cold" + strconv.Itoa(n)}); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// round opens the functions in a new sandbox. The first event brings the engine into memory and is not counted.
func (c *coldScripts) round(ctx context.Context) (err error) {
	box, err := c.session.newScriptBox(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close(context.Background())) }()
	var took []float64
	for n, script := range c.scripts {
		m, err := box.Open(ctx, sandbox.Source{Digest: digestOf(script), Read: func() ([]byte, error) { return nil, errors.New("a known function is read again") }}, sandbox.Settings{Function: "cold" + strconv.Itoa(n)})
		if err != nil {
			return err
		}
		begin := time.Now()
		if res := m.Invoke(ctx, orderEvent(), silent{}); len(res.Data) == 0 {
			return notDone(ctx, res)
		}
		if n > 0 {
			took = append(took, milliseconds(time.Since(begin)))
		}
	}
	c.ms.ours = append(c.ms.ours, median(took))
	return nil
}

func (c *coldScripts) rows() []row { return []row{c.ms.row()} }

func orderEvent() *event.Event {
	return &event.Event{ID: "1", Source: "/bench", Type: "dev.evoke.bench", DataContentType: "application/json", Data: []byte(scriptData)}
}

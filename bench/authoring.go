package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest/hostile"
)

// scriptData is an order of 330 bytes.
const scriptData = `{"id":"order-2026-000123","customer":{"name":"Ada Lovelace","email":"ada@example.com","tier":"gold"},"items":[{"sku":"A-1001","quantity":2,"price":1999},` +
	`{"sku":"B-2002","quantity":1,"price":4950},{"sku":"C-3003","quantity":5,"price":250}],"currency":"EUR","note":"Please deliver in the morning, before ten","paid":true,"total":10198}`

// runAuthoring measures functions in JavaScript.
func runAuthoring(ctx context.Context, s *session) ([]row, error) {
	b, err := s.buildAuthoring(ctx)
	if err != nil {
		return nil, err
	}
	return s.measureAuthoring(ctx, b)
}

// authoringBuilt is what has to be built first. Its time is not measured.
type authoringBuilt struct {
	runtime string   // path of the program
	fnctl   string   // path of the program, beside runtime, which it starts
	tests   string   // path of the benchmarks of package sandbox
	script  []byte   // testdata/script/order.js
	workerd []string // its command; nil where it cannot be installed
}

func (s *session) buildAuthoring(ctx context.Context) (authoringBuilt, error) {
	root, err := sources(ctx)
	if err != nil {
		return authoringBuilt{}, err
	}
	s.say("building the runtime; the first time takes minutes")
	b := authoringBuilt{runtime: filepath.Join(s.dir, "runtime"), fnctl: filepath.Join(s.dir, "fnctl"), tests: filepath.Join(s.dir, "sandbox.test")}
	if err := errors.Join(buildProgram(ctx, root, "runtime", b.runtime), buildProgram(ctx, root, "fnctl", b.fnctl), buildTests(ctx, root, "sandbox", b.tests)); err != nil {
		return authoringBuilt{}, err
	}
	if b.script, err = os.ReadFile(filepath.Join(root, "bench", "testdata", "script", "order.js")); err != nil {
		return authoringBuilt{}, err
	}
	if workerd, err := s.installWorkerd(ctx); err != nil {
		s.say("the row ts_http_cpu has no yardstick: workerd cannot be installed here: %v", err)
	} else {
		b.workerd = []string{workerd, "serve", filepath.Join(root, "bench", "peers", "workerd", "orders.capnp"), "--control-fd=1"}
	}
	return b, nil
}

func (s *session) measureAuthoring(ctx context.Context, b authoringBuilt) ([]row, error) {
	ctx, cancel := s.measure(ctx)
	defer cancel()
	if _, err := s.fsyncLoop(ctx); err != nil {
		return nil, err
	}
	var rows []row
	for _, measure := range []func(context.Context, authoringBuilt) ([]row, error){s.scriptRows, s.savedRows, s.deployedScriptRows} {
		more, err := measure(ctx, b)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// savedRows are what a person waits for in fnctl dev. Nothing else runs then.
func (s *session) savedRows(ctx context.Context, b authoringBuilt) (rows []row, err error) {
	dev, err := s.newDevProjects(ctx, b)
	defer func() { err = errors.Join(err, dev.close()) }()
	if err != nil {
		return nil, err
	}
	return s.inRounds(ctx, []roundCase{dev})
}

// scriptRows are those of functions in JavaScript that run.
func (s *session) scriptRows(ctx context.Context, b authoringBuilt) (rows []row, err error) {
	http, err := s.newScriptRequests(ctx, b)
	defer func() { err = errors.Join(err, http.close()) }()
	if err != nil {
		return nil, err
	}
	box, err := s.newScriptBox(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, box.Close(context.Background())) }()
	kills, err := s.scriptKills(ctx, box)
	if err != nil {
		return nil, err
	}
	cold, err := s.newColdScripts(ctx, b.script)
	if err != nil {
		return nil, err
	}
	return s.inRounds(ctx, []roundCase{s.newScriptEvents(b.tests), http, cold, kills})
}

func (s *session) newScriptBox(ctx context.Context) (*sandbox.Runtime, error) {
	return sandbox.New(ctx, sandbox.Options{CacheDir: filepath.Join(s.dir, "code"), ImageDir: filepath.Join(s.dir, "images"), Logger: slog.New(slog.DiscardHandler)})
}

// scriptRequests are requests of JSON to a function of ours, each in a fresh sandbox, and to the same handler in workerd, where one warm isolate answers all.
type scriptRequests struct {
	session      *session
	node         *process
	ours, theirs *load // theirs is nil where there is no workerd
	cpu          series
}

// newScriptRequests starts both sides. Close them in the end, also after an error.
func (s *session) newScriptRequests(ctx context.Context, b authoringBuilt) (*scriptRequests, error) {
	r := &scriptRequests{session: s, cpu: series{name: "ts_http_cpu", unit: "µs/request"}}
	var err error
	if r.node, _, err = startRuntime(ctx, b.runtime, filepath.Join(s.dir, "scripts")); err != nil {
		return r, err
	}
	client, transport, err := r.node.client()
	if err != nil {
		return r, err
	}
	defer transport.CloseIdleConnections()
	if err := deploy(ctx, client, "order", b.script, 0); err != nil {
		return r, err
	}
	r.ours = &load{addr: r.node.gateway, connections: echoesAtOnce, status: 200, request: jsonPoster("/fn/order"), process: r.node}
	if b.workerd != nil {
		p, err := startServer(exec.Command(b.workerd[0], b.workerd[1:]...), workerdAddress)
		if err != nil {
			return r, err
		}
		r.cpu.against = "workerd"
		r.theirs = &load{addr: p.gateway, connections: echoesAtOnce, status: 200, request: jsonPoster("/"), process: p}
	}
	err = r.round(ctx) // warms up
	r.cpu.ours, r.cpu.theirs = nil, nil
	return r, err
}

func (r *scriptRequests) round(ctx context.Context) error {
	ours, err := r.ours.run(ctx, r.session.slice)
	if err != nil {
		return fmt.Errorf("requests to a function in JavaScript: %w", err)
	}
	r.cpu.ours = append(r.cpu.ours, ours.cpuEach())
	if r.theirs == nil {
		return nil
	}
	theirs, err := r.theirs.run(ctx, r.session.slice)
	r.cpu.theirs = append(r.cpu.theirs, theirs.cpuEach())
	return err
}

func (r *scriptRequests) rows() []row { return []row{r.cpu.row()} }

func (r *scriptRequests) close() (err error) {
	if r.theirs != nil {
		err = r.theirs.process.kill()
	}
	if r.node != nil {
		err = errors.Join(err, r.node.stop())
	}
	return err
}

// jsonPoster makes requests that post the order.
func jsonPoster(path string) func([]byte) []byte {
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(scriptData), scriptData)
	return func(b []byte) []byte { return append(b, request...) }
}

// scriptKills are hostile scripts that end at their deadline only. The row is the worst of all.
type scriptKills struct{ kills []*kill }

func (s *session) scriptKills(ctx context.Context, box *sandbox.Runtime) (*scriptKills, error) {
	all := &scriptKills{}
	for _, h := range hostile.Scripts() {
		if !h.Endless() {
			continue
		}
		m, err := box.Load(ctx, []byte("export default async function handle(event, context) {\n"+h.Body+"\n}"), sandbox.Settings{Function: "bench"})
		if err != nil {
			return nil, fmt.Errorf("load hostile script %q: %w", h.Name, err)
		}
		all.kills = append(all.kills, &kill{name: h.Name, run: func(ctx context.Context) error {
			if res := m.Invoke(ctx, benchEvent(nil), silent{}); res.Class != sandbox.ClassDeadline {
				return notDone(ctx, res)
			}
			return nil
		}})
	}
	return all, nil
}

func (k *scriptKills) round(ctx context.Context) error {
	for _, one := range k.kills {
		if err := one.once(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (k *scriptKills) rows() []row {
	var late []time.Duration
	for _, one := range k.kills {
		late = append(late, one.late...)
	}
	return worstAndMedian("ts_kill_lateness", late, killTarget)
}

// deployedScripts is how many different functions are deployed for ts_deployed_function_kib.
const deployedScripts = 1000

// deployedTarget is in KiB each.
const deployedTarget = 16

// deployedScriptRows is what a function takes that nobody has called for long, when each has a script of its own. It has one run, which takes long.
func (s *session) deployedScriptRows(ctx context.Context, b authoringBuilt) (rows []row, err error) {
	err = withRuntime(ctx, b.runtime, filepath.Join(s.dir, "deployed"), func(node *process, client *api.Client) error {
		c := &crowd{session: s, node: node, client: client}
		first := max(2, deployedScripts/10)
		if err := deployScripts(ctx, client, b.script, 0, first); err != nil {
			return err
		}
		before, err := c.coldRSS(ctx)
		if err != nil {
			return err
		}
		n := max(2, int(deployedScripts*s.slice.Seconds()))
		if err := deployScripts(ctx, client, b.script, first, first+n); err != nil {
			return err
		}
		after, err := c.coldRSS(ctx)
		rows = []row{target("ts_deployed_function_kib", "KiB/function", []float64{max(0, after-before) * 1024 / float64(n)}, deployedTarget)}
		return err
	})
	return rows, err
}

// deployScripts deploys functions from one number up to another, a hundred at a time.
func deployScripts(ctx context.Context, client *api.Client, script []byte, from, to int) error {
	const each = 100
	for start := from; start < to; start += each {
		app := api.App{Functions: map[string]api.FunctionSpec{}}
		for n := start; n < min(start+each, to); n++ {
			digest, err := upload(ctx, client, differentScript(script, n))
			if err != nil {
				return err
			}
			app.Functions["f"+strconv.Itoa(n)] = api.FunctionSpec{Module: digest, Triggers: []api.TriggerSpec{{HTTP: &api.HTTPTrigger{}}}}
		}
		if _, err := client.Deploy(ctx, "default", "scripts"+strconv.Itoa(start), app); err != nil {
			return fmt.Errorf("deploy scripts from %d on: %w", start, err)
		}
	}
	return nil
}

// differentScript is the script with a constant of its own.
func differentScript(script []byte, n int) []byte {
	return fmt.Appendf(nil, "%s\nexport const number = %d;\n", script, n)
}

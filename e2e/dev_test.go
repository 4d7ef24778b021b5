package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// devLine is what these tests read of fnctl dev -o jsonl.
type devLine struct {
	Kind, Gateway, Admin, Error, Try, Text string
	Functions                              []api.DeployedFunction
	Removed, Built, Files                  []string
	VisibleMS                              float64
	Log                                    *api.LogEntry
}

// devApp is a project with an fnctl dev that runs on it.
type devApp struct {
	dir     string
	cmd     *exec.Cmd
	lines   *stream[devLine]
	gateway string
}

const twoScripts = `version: 1
app: shop
functions:
  hello: { source: ./hello.js, on: [ { http: {} } ] }
  count: { source: ./count.ts, on: [ { topic: { name: things } } ], retry: { attempts: 1 } }
topics: { things: { ingress: true } }
`

var scriptFiles = map[string]string{
	"project/fn.yaml": twoScripts, "project/hello.js": "import { greeting } from '../outside/greeting.js';\nexport default () => greeting;\n", "outside/greeting.js": "export const greeting = 'hello';\n",
	"project/count.ts": "export default (event: any) => { if (event.data.bad) throw new Error('bad thing'); console.log('counted ' + event.data.n); };\n",
}

// writeProject makes files and answers the directory "project" among them, in which a runtime has no engine to compile.
func writeProject(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := makeDataDir(filepath.Join(dir, "project", ".evoke")); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		saveFile(t, filepath.Join(dir, name), text)
	}
	return filepath.Join(dir, "project")
}

func saveFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil { // as editors do
		t.Fatal(err)
	}
}

func devCommand(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(programs.usual, "fnctl"), append([]string{"dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)...)
	cmd.Dir, cmd.Env = dir, cleanEnv("EVOKE_ETCD=http://127.0.0.1:1", "FNCTL_SERVER=http://127.0.0.1:1") // neither is for it
	return cmd
}

// startDev waits until the app is deployed.
func startDev(t *testing.T, files map[string]string) *devApp {
	t.Helper()
	a := &devApp{dir: writeProject(t, files)}
	a.cmd = devCommand(a.dir, "-o", "jsonl")
	a.lines = follow[devLine](t, a.cmd)
	a.gateway = a.lines.until(t, "ready runtime", func(l devLine) bool { return l.Kind == "ready" }).Gateway
	a.lines.until(t, "deploy", func(l devLine) bool { return l.Kind == "deployed" })
	return a
}

func (a *devApp) save(t *testing.T, name, text string) {
	t.Helper()
	saveFile(t, filepath.Join(a.dir, name), text)
}

// deployed waits for a deploy, and answers the functions that it changed, "hello 2 updated".
func (a *devApp) deployed(t *testing.T) (line devLine, changed string) {
	t.Helper()
	line = a.lines.until(t, "deploy", func(l devLine) bool { return l.Kind == "deployed" || l.Kind == "error" })
	if line.Kind == "error" {
		t.Fatalf("no deploy, but %s", line.Error)
	}
	var out []string
	for _, f := range line.Functions {
		if f.Change != "unchanged" {
			out = append(out, fmt.Sprintf("%s %d %s", f.Name, f.Revision, f.Change))
		}
	}
	return line, strings.Join(out, ", ")
}

func (a *devApp) fault(t *testing.T) string {
	t.Helper()
	l := a.lines.until(t, "error", func(l devLine) bool { return l.Kind == "error" })
	return l.Error + "\nTry: " + l.Try
}

// ask is what a function of the app answers.
func (a *devApp) ask(t *testing.T, path string) string {
	t.Helper()
	res, err := http.Get(a.gateway + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// runtimePID is the process of a runtime, by its data directory.
func runtimePID(t *testing.T, dataDir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dataDir, "LOCK"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// released waits until no runtime has a data directory any more: its lock goes with the process, also of one that nobody has waited for.
func released(t *testing.T, dataDir string) {
	t.Helper()
	lock, err := os.Open(filepath.Join(dataDir, "LOCK"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() // and with it the lock
	eventually(t, "end of the runtime", func() error { return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) })
}

func TestDevBringsWhatIsSavedIntoForce(t *testing.T) {
	t.Parallel()
	a := startDev(t, scriptFiles)
	if got := a.ask(t, "/fn/hello"); got != "hello" {
		t.Fatalf("the app answers %q", got)
	}

	a.save(t, "../outside/greeting.js", "export const greeting = 'hi';\n")
	line, changed := a.deployed(t)
	if got := a.ask(t, "/fn/hello"); got != "hi" || changed != "hello 2 updated" || !slices.Equal(line.Built, []string{"hello"}) || line.VisibleMS <= 0 || len(line.Files) == 0 {
		t.Errorf("after an import outside was saved: %q, %s, %+v", got, changed, line)
	}

	a.save(t, "hello.js", "export default () => {\n  return 1 +;\n};\n")
	contains(t, a.fault(t), "function hello: ", "Unexpected \";\"", "hello.js:2:12:", "return 1 +;", "^", "the function goes on as it was")
	if got := a.ask(t, "/fn/hello"); got != "hi" {
		t.Errorf("with a fault in the source it answers %q", got)
	}
	a.save(t, "hello.js", "import { more } from './more';\nexport default () => 'hey' + more;\n")
	contains(t, a.fault(t), `Could not resolve "./more"`)
	a.save(t, "more.ts", "export const more: string = '!';\n") // which nothing has been made of yet
	a.deployed(t)
	if got := a.ask(t, "/fn/hello"); got != "hey!" {
		t.Errorf("when the fault is corrected it answers %q", got)
	}

	a.save(t, "fn.yaml", strings.Replace(twoScripts, "hello: {", "hello: { colour: red,", 1))
	contains(t, a.fault(t), "fn.yaml:4:12: functions.hello.colour is not a known key", "the app goes on as it was")
	a.save(t, "fn.yaml", strings.Replace(twoScripts, "count: {", "third: { source: ./hello.js, on: [ { http: {} } ] }\n  count: { timeout: 3s,", 1))
	if _, changed := a.deployed(t); changed != "count 2 updated, third 1 created" {
		t.Errorf("a new function and a new setting: %s", changed)
	}
	a.save(t, "fn.yaml", strings.Replace(twoScripts, "hello: {", "other: {", 1))
	if line, changed := a.deployed(t); changed != "count 3 updated, other 1 created" || !slices.Equal(line.Removed, []string{"hello", "third"}) {
		t.Errorf("a function with another name: %s, %v", changed, line.Removed)
	}

	// The name of the app alone: nothing is made anew, and what there is is of the app with the new name.
	a.save(t, "fn.yaml", strings.NewReplacer("hello: {", "other: {", "app: shop", "app: market").Replace(twoScripts))
	if line, changed := a.deployed(t); changed != "" || len(line.Removed) > 0 || len(line.Functions) != 2 {
		t.Errorf("an app with another name: %s, %+v", changed, line)
	}
	if l := a.lines.until(t, "note", func(l devLine) bool { return l.Kind == "note" && strings.Contains(l.Text, "market") }); l.Text != "app shop is called market now; its functions go on, with what waits for them" {
		t.Errorf("it says %s", l.Text)
	}
	if got := a.ask(t, "/fn/other"); got != "hey!" {
		t.Errorf("with another name it answers %q", got)
	}

	a.save(t, "fn.yaml", strings.Replace(twoScripts, "hello: {", "other: { secrets: [nowhere],", 1))
	contains(t, a.fault(t), "nowhere", "the app goes on as it was", "fnctl secret set nowhere")

	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	a.lines.until(t, "end", func(l devLine) bool { return l.Text == "ended" })
	released(t, filepath.Join(a.dir, ".evoke"))
	if text, err := os.ReadFile(filepath.Join(a.dir, ".evoke", ".gitignore")); err != nil || string(text) != "*\n" {
		t.Errorf(".gitignore of .evoke: %q, %v", text, err)
	}
}

// Events that come while functions are replaced are all done, and once. One that is given up on is told with the command that shows it.
func TestDevLosesNoEvent(t *testing.T) {
	t.Parallel()
	a := startDev(t, scriptFiles)
	const events = 60
	for n := range events {
		if n%20 == 10 {
			a.save(t, "count.ts", strings.Replace(scriptFiles["project/count.ts"], "counted", fmt.Sprintf("counted%d", n), 1))
		}
		a.publish(t, fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/test","type":"thing","data":{"n":%d}}`, n, n))
	}
	a.publish(t, `{"specversion":"1.0","id":"bad","source":"/test","type":"thing","data":{"bad":true}}`)
	done, letter := map[string]int{}, ""
	a.lines.until(t, "outcome of all events", func(l devLine) bool {
		if l.Kind == "log" && l.Log.Attempt != nil && l.Log.Attempt.Verdict == "done" {
			done[l.Log.EventID]++
		}
		if l.Kind == "dead-letter" {
			letter = l.Text
		}
		return len(done) == events && letter != ""
	})
	for id, times := range done {
		if times != 1 {
			t.Errorf("event %s was done %d times", id, times)
		}
	}
	show := strings.Fields(letter) // fnctl dlq peek ID --server URL
	out, err := runProgram(t, filepath.Join(programs.usual, "fnctl"), show[1:]...)
	if err != nil {
		t.Fatalf("%s: %v", letter, err)
	}
	contains(t, out, "bad thing", "count.ts:1:")
}

func (a *devApp) publish(t *testing.T, event string) {
	t.Helper()
	res, err := http.Post(a.gateway+"/topics/things", "application/cloudevents+json", strings.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("publish: %s", res.Status)
	}
}

// A runtime that crashes comes again where it was, and one whose fnctl is killed ends by itself.
func TestDevAndItsRuntimeDieAlone(t *testing.T) {
	t.Parallel()
	a := startDev(t, scriptFiles)
	dataDir := filepath.Join(a.dir, ".evoke")
	first := runtimePID(t, dataDir)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	contains(t, a.fault(t), "the runtime has ended by itself (signal: killed); it is started again")
	if again := a.lines.until(t, "ready runtime", func(l devLine) bool { return l.Kind == "ready" }); again.Gateway != a.gateway {
		t.Errorf("it comes again at %s, and was at %s", again.Gateway, a.gateway)
	}
	if got := a.ask(t, "/fn/hello"); got != "hello" {
		t.Errorf("after a crash it answers %q", got)
	}
	a.save(t, "../outside/greeting.js", "export const greeting = 'hi';\n")
	a.deployed(t)
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	released(t, dataDir)
}

func TestDevTroubles(t *testing.T) {
	t.Parallel()
	a := startDev(t, scriptFiles)
	for name, tc := range map[string]struct {
		dir  string
		args []string
		want []string
	}{
		"a second one in the project": {a.dir, nil, []string{"error: the runtime does not start: data directory " + a.dir + "/.evoke is in use by the process with id ", "Try: the fnctl dev that runs for this project already; another one beside it: fnctl dev --temp"}},
		"a port that is taken": {writeProject(t, scriptFiles), []string{"--listen", strings.TrimPrefix(a.gateway, "http://")},
			[]string{"error: the runtime does not start: listen for the gateway: ", "address already in use", "Try: end who listens there, or choose other addresses: fnctl dev --listen 127.0.0.1:0"}},
		"a setting that there is not": {writeProject(t, scriptFiles), []string{"--temp", "--", "--lisen", "x"}, []string{"error: the runtime does not start: flag provided but not defined: -lisen"}},
	} {
		cmd := devCommand(tc.dir, tc.args...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		contains(t, string(out), tc.want...)
	}
}

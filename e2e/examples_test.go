package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// example is an app of examples/ that people start from.
type example struct {
	*app
	// host answers what its functions ask of others; nil when they ask nobody.
	host *otherHost
	// round tells the runs of check apart: it is part of every key.
	round string
}

// examples are held to what their READMEs promise, beyond what the commands there show.
var examples = []struct {
	name  string
	check func(*example, *testing.T)
}{
	{"webhook-to-topic", (*example).checkWebhook},
	{"orders", (*example).checkOrders},
	{"iot", (*example).checkReadings},
	{"report", (*example).checkReports},
	{"payment", (*example).checkPayments},
	{"api", (*example).checkTasks},
}

// One runtime for each: first its README is followed, and then the functions of both languages are held to what it promises.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, one := range examples {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			dir := filepath.Join(u.shell.dir, "examples", one.name)
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "examples", one.name))); err != nil {
				t.Fatal(err)
			}
			u.follow(t, filepath.Join("..", "examples", one.name, "README.md"), nil)
			e := &example{app: &app{rt: &process{gateway: "http://" + u.gateway, admin: "http://" + u.admin}, ns: "default", dir: dir}, host: newOtherHost(t)}
			e.hold(t, "go", "fn.yaml", one.check)
			e.hold(t, "ts", "fn-ts.yaml", one.check)
		})
	}
}

func (e *example) hold(t *testing.T, language, file string, check func(*example, *testing.T)) {
	t.Helper()
	e.round = language
	e.deployHere(t, file)
	if check(e, t); t.Failed() {
		t.Fatalf("that was %s", file)
	}
}

// The README is followed with fn.yaml; what the file for TypeScript says must be the same but for the sources.
func TestExamplesAreTheSameInBothLanguages(t *testing.T) {
	t.Parallel()
	for _, one := range examples {
		var files [2]string
		for i, file := range []string{"fn.yaml", "fn-ts.yaml"} {
			text, err := os.ReadFile(filepath.Join("..", "examples", one.name, file))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if !strings.HasPrefix(line, "    source: ") {
					files[i] += line
				}
			}
		}
		if files[0] != files[1] {
			t.Errorf("fn.yaml and fn-ts.yaml of %s differ in more than sources", one.name)
		}
	}
}

// deployHere deploys a manifest of the example, with the test's host in the place of the real ones.
func (e *example) deployHere(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	here := string(text)
	for _, host := range []string{"payments.example.com", "reports.example.com"} {
		here = strings.NewReplacer("https://"+host, e.host.url, "["+host+"]", `["`+e.host.url+`"]`).Replace(here)
	}
	e.write(t, "fn-here.yaml", []byte(here))
	e.must(t, "deploy", "-f", "fn-here.yaml")
}

// key is a key of this round.
func (e *example) key(name string) string { return e.round + "-" + name }

// told is an event that a function has emitted.
type told struct {
	Type, Subject string
	Data          json.RawMessage
}

// topic has the events of this round that a topic has, by subject, once enough of them are there.
func (e *example) topic(t *testing.T, topic string, enough int) map[string][]told {
	t.Helper()
	var out map[string][]told
	eventually(t, "events of "+topic, func() error {
		r := e.fnctl(t, "topic", "tail", topic, "-o", "jsonl", "--limit", "10000")
		if r.code != 0 {
			return errors.New(r.stderr) // a topic is there with its first event
		}
		out = map[string][]told{}
		n := 0
		for line := range strings.Lines(r.stdout) {
			var one struct{ Event told }
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				return errors.Join(errGone, err)
			}
			if strings.HasPrefix(one.Event.Subject, e.round+"-") {
				n++
				out[one.Event.Subject] = append(out[one.Event.Subject], one.Event)
			}
		}
		if n < enough {
			return fmt.Errorf("%d of %d: %v", n, enough, out)
		}
		return nil
	})
	return out
}

// is holds the data of events against JSON, one after the other; of each only the members that are wanted.
func is(t *testing.T, what string, got []told, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: there are %d events, want %d: %s", what, len(got), len(want), got)
		return
	}
	for i, text := range want {
		var wanted, has map[string]any
		if err := errors.Join(json.Unmarshal([]byte(text), &wanted), json.Unmarshal(got[i].Data, &has)); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for name, v := range wanted {
			if fmt.Sprint(has[name]) != fmt.Sprint(v) {
				t.Errorf("%s: event %d has %s = %v, want %v: %s", what, i+1, name, has[name], v, got[i].Data)
			}
		}
	}
}

func (e told) String() string { return e.Type + " " + e.Subject + " " + string(e.Data) }

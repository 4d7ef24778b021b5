package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

var (
	chargeTriggers = []api.Trigger{
		{ID: 7, Namespace: "default", Name: "charge:orders.created", Function: "charge", Kind: "topic",
			Topic: &api.TopicTrigger{Name: "orders.created", Filter: "type = 'a'", Order: "key"}, Stats: &api.TriggerStats{Pending: 3, Retrying: 1, DeadLetters: 2}},
		{ID: 8, Namespace: "default", Name: "charge:inbox", Function: "charge", Kind: "inbox"},
	}
	charge = api.Function{
		Namespace: "default", Name: "charge", App: "shop", Kind: "native", Revision: 4, Triggers: chargeTriggers,
		Spec: api.FunctionSpec{
			Module: "sha256:0123456789abcdef", Timeout: api.Duration(5 * time.Second), Memory: 64 << 20, Env: map[string]string{"B": "2", "A": "1"},
			Allow: api.Allow{Emit: []string{"orders.charged"}, State: true, Invoke: []string{"price"}}, Retry: &api.Retry{Attempts: 5, Factor: 1.5},
		},
		Created: now.Add(-72 * time.Hour), Updated: now.Add(-5 * time.Minute),
	}
	letter = api.DeadLetter{
		ID: "3-17", Trigger: "charge:orders.created", Function: "charge", Topic: "orders.created", Revision: 4, Class: "error", Error: "card\nrefused",
		Time: now.Add(-3 * time.Hour), EventID: "o-1", EventType: "com.shop.order", Key: "42",
		Attempts: []api.Attempt{{Attempt: 1, Revision: 4, Duration: api.Duration(1500 * time.Microsecond), Verdict: "failed", Class: "error", Error: "card refused"}},
		Event:    json.RawMessage(`{"id":"o-1"}`),
	}
	bill = api.Bill{
		Wall: 1234 * time.Microsecond, Guest: 412_300, Fuel: 97_041, PeakMemory: 2_490_368, BytesIn: 1024, BytesOut: 1126, HostCalls: 7,
	}
)

func answers() map[string]any {
	return map[string]any{
		"GET /version":                                        api.Version{Version: "v1.2.3", Go: "go1.26", ABI: "evoke_v1", Gateway: "127.0.0.1:8080"},
		"GET /ns/default/functions":                           []api.Function{charge},
		"GET /ns/default/functions/charge":                    charge,
		"DELETE /ns/default/functions/charge":                 stub{204, ""},
		"DELETE /ns/default/topics/a":                         stub{204, ""},
		"GET /ns/default/triggers":                            chargeTriggers,
		"GET /ns/default/triggers/charge:orders.created":      chargeTriggers[0],
		"GET /ns/default/topics":                              []api.Topic{{Name: "orders.created", Spec: api.TopicSpec{Ingress: true}, Created: now.Add(-49 * time.Hour)}},
		"GET /ns/default/topics/orders.created":               api.Topic{Namespace: "default", Name: "orders.created", Spec: api.TopicSpec{Ingress: true}},
		"GET /ns/default/deadletters":                         []api.DeadLetter{letter},
		"GET /ns/default/deadletters?limit=1&trigger=t":       []api.DeadLetter{},
		"GET /ns/default/deadletters/3-17":                    letter,
		"POST /ns/default/deadletters/redrive":                api.DeadLetterResult{Changed: 1, Letters: []api.DeadLetterOutcome{{ID: "3-17", Outcome: api.LetterChanged}}},
		"POST /ns/default/deadletters/discard":                api.DeadLetterResult{Changed: 2},
		"POST /ns/default/functions/charge/invoke":            api.InvokeReply{Invocation: "i-1", Verdict: "done", Data: []byte(`{"ok":true}`), Revision: 4, Attempt: 1, Duration: api.Duration(1500 * time.Microsecond), Attributes: json.RawMessage(`{"status":201}`), Bill: bill},
		"POST /ns/default/topics/orders.created/events":       api.Published{Events: []api.PublishedEvent{{ID: "o-1", Partition: 3, Offset: 9}, {ID: "o-2", Duplicate: true}}},
		"GET /ns/default/logs?function=charge&invocation=i-1": stub{200, `{"level":"warn","function":"charge","invocation":"i-1","message":"slow"}` + "\n"},
		"GET /ns/default/logs?function=charge&level=warn&limit=5&since=2026-01-31T11%3A50%3A00Z": stub{200,
			`{"level":"error","function":"charge","revision":4,"invocation":"i-1","trigger":"t","attempt":{"attempt":2,"verdict":"failed","class":"trap","error":"unreachable","duration":"2ms"},"next":"dead-letter"}` + "\n"},
		"GET /ns/default/logs?invocation=i-2": api.LogEntry{
			Level: "info", Function: "charge", Revision: 4, Invocation: "i-2", Trigger: "t",
			Attempt: &api.Attempt{Attempt: 1, Verdict: "done", Duration: api.Duration(2 * time.Millisecond), Bill: bill},
		},
		"GET /ns/default/topics/orders.created/events?limit=2": stub{200,
			`{"topic":"orders.created","partition":3,"offset":9,"event":{"id":"o-1","type":"com.shop.order","subject":"s","partitionkey":"42","data":{"a": 1}}}` + "\n" +
				`{"topic":"orders.created","partition":3,"offset":10,"event":{"id":"o-2","type":"com.shop.order","data_base64":"AAECAwQF"}}` + "\n"},
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ args, out, stderr string }{
		{"ls", `FUNCTION   APP    REVISION   TRIGGERS                UPDATED
charge     shop   4          charge:orders.created   5m
`, ""},
		{"get functions -o wide", `FUNCTION   APP    REVISION   TRIGGERS                UPDATED   KIND     TIMEOUT   MEMORY   MODULE
charge     shop   4          charge:orders.created   5m        native   5s        64 MiB   sha256:0123456789ab
`, ""},
		{"ls trigger", `TRIGGER                 KIND    FUNCTION   STATE    PENDING   RETRYING   DEAD
charge:orders.created   topic   charge     active   3         1          2
charge:inbox            inbox   charge     active   -         -          -
`, ""},
		{"topic ls", `TOPIC            INGRESS   AGE
orders.created   yes       2d
`, ""},
		{"ls topics -o name", "orders.created\n", ""},
		{"dlq ls", `ID     TRIGGER                 EVENT   TYPE             ATTEMPTS   AGE   ERROR
3-17   charge:orders.created   o-1     com.shop.order   1          3h    card refused
`, ""},
		{"dlq ls --trigger t --limit 1", "", "no dead letters\n"},
		{"dlq ls -o name", "3-17\n", ""},
		{"describe trigger charge:orders.created", `Trigger:       charge:orders.created
Namespace:     default
Kind:          topic
Function:      charge
Topic:         orders.created
Filter:        type = 'a'
Order:         key
ID:            7
Pending:       3
Retrying:      1
Dead letters:  2
`, "Try: fnctl dlq ls --trigger charge:orders.created\n"},
		{"describe topic orders.created", `Topic:      orders.created
Namespace:  default
Ingress:    yes, POST /topics/orders.created of the gateway; auth: none
`, ""},
		{"rm function charge", "", "removed function charge (revision 4) from namespace default\nremoved its triggers charge:orders.created\n"},
		{"rm topic a", "", "removed topic a from namespace default\n"},
		{"dlq redrive 3-17", "", "redrove 1 dead letter\n"},
		{"dlq redrive 3-17 3-18", "", "redrove 1 dead letter\n"},
		{"dlq redrive --all --trigger t -o json", "{\n  \"changed\": 1,\n  \"letters\": [\n    {\n      \"id\": \"3-17\",\n      \"outcome\": \"changed\"\n    }\n  ]\n}\n", "redrive: all dead letters of trigger t in namespace default\nredrove 1 dead letter\n"},
		{"dlq discard 3-17 3-18 --reason old", "", "discarded 2 dead letters\n"},
		{"logs charge --since 10m --level warn --limit 5", " error charge [i-1] attempt 2 failed in 2ms (trap): unreachable, given up: see fnctl dlq ls\n", ""},
		{"logs charge --since 10m --level warn --limit 5 -o wide", " error charge r4 t [i-1] attempt 2 failed in 2ms (trap): unreachable, given up: see fnctl dlq ls\n", ""},
		{"topic tail orders.created --limit 2", " 3/9 com.shop.order id=o-1 subject=s key=42 {\"a\": 1}\n 3/10 com.shop.order id=o-2 (6 B of bytes)\n", ""},
		{"invoke charge", `{"ok":true}`, "done · charge revision 4 · 1.5ms · invocation i-1\n"},
		{"invoke charge -v", `{"ok":true}`, "attributes: {\"status\":201}\n warn  charge [i-1] slow\ndone · charge revision 4 · 1.5ms · invocation i-1\n" + `Attempt:      1
Wall:         1.2 ms
Guest:        412.3 µs
Fuel:         97k
Peak memory:  2.4 MiB
Bytes in:     1 KiB
Bytes out:    1.1 KiB
Host calls:   7
`},
		{"logs --invocation i-2 -o wide", " info  charge r4 t [i-2] attempt 1 done in 2ms · guest 412.3 µs, fuel 97k, peak memory 2.4 MiB, bytes in 1 KiB, bytes out 1.1 KiB, host calls 7\n", ""},
		{"logs --invocation i-2", " info  charge [i-2] attempt 1 done in 2ms\n", ""},
		{"invoke charge --async", "i-1\n", "accepted for charge; follow it with: fnctl logs charge --invocation i-1\n"},
		{"emit orders.created --type t", `ID    TOPIC            PARTITION   OFFSET   STORED
o-1   orders.created   3           9        now
o-2   orders.created   0           0        before (duplicate)
`, ""},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			newFake(t, answers()).fnctl(strings.Fields(tc.args)...).want(t, exitOK, tc.out, tc.stderr)
		})
	}
}

func TestDescribeFunctionAndPeek(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers())
	got := f.fnctl("describe", "charge")
	for _, want := range []string{
		"Revision:        4\n", "Retry:           attempts 5, factor 1.5\n", "Env:             A, B\n", "May emit to:     orders.charged\n", "May invoke:      price\n",
		"Instances:       fresh for every event\n",
		"Concurrency:     as many as the node has room for\n", "\n\nTRIGGER ",
	} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("got\n%s\nwant it to hold %q", got.out, want)
		}
	}
	got = f.fnctl("dlq", "peek", "3-17")
	for _, want := range []string{"Key:       42\n", "Function:  charge revision 4\n", "1         4          -         1.5ms   failed    error   card refused\n", "\"id\": \"o-1\"\n"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("got\n%s\nwant it to hold %q", got.out, want)
		}
	}
}

// The machine forms are the API's own types, so that a program can read them back.
func TestMachineFormsReadBack(t *testing.T) {
	t.Parallel()
	f := newFake(t, answers())
	var functions []api.Function
	if err := json.Unmarshal([]byte(f.fnctl("ls", "-o", "json").out), &functions); err != nil || len(functions) != 1 || functions[0].Spec.Timeout != charge.Spec.Timeout {
		t.Errorf("got %v, %v", functions, err)
	}
	lines := strings.Split(strings.TrimSpace(f.fnctl("ls", "trigger", "-o", "jsonl").out), "\n")
	if len(lines) != 2 || !json.Valid([]byte(lines[0])) || !json.Valid([]byte(lines[1])) {
		t.Errorf("got %q", lines)
	}
	f.fnctl("describe", "topic", "orders.created", "-o", "yaml").want(t, 0,
		"namespace: default\nname: orders.created\nspec:\n  ingress: true\ncreated: \"0001-01-01T00:00:00Z\"\n", "")
	f.fnctl("invoke", "charge", "-o", "json").want(t, 0, `{
  "invocation": "i-1",
  "verdict": "done",
  "data": "eyJvayI6dHJ1ZX0=",
  "attributes": {
    "status": 201
  },
  "revision": 4,
  "attempt": 1,
  "duration": "1.5ms",
  "bill": {
    "wallNs": 1234000,
    "guestNs": 412300,
    "fuel": 97041,
    "peakMemoryBytes": 2490368,
    "bytesIn": 1024,
    "bytesOut": 1126,
    "hostCalls": 7
  }
}
`, "done · charge revision 4 · 1.5ms · invocation i-1\n")
	f.fnctl("dlq", "ls", "--trigger", "t", "--limit", "1", "-o", "json").want(t, 0, "[]\n", "")
}

func TestEventsThatAreSent(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"order.json": `{"total": 12}`, "bytes": "\xff\x00"})
	for _, tc := range []struct {
		args, stdin, want string
	}{
		{"invoke charge", "", `{"event":{"specversion":"1.0"}}`},
		{"invoke charge -d {} --async", "", `{"event":{"data":{},"datacontenttype":"application/json","specversion":"1.0"},"async":true}`},
		{"invoke charge -d hello", "", `{"event":{"data":"hello","datacontenttype":"text/plain; charset=utf-8","specversion":"1.0"}}`},
		{"invoke charge -d - --type t --key k --subject s --id i", "[1]", `{"event":{"data":[1],"datacontenttype":"application/json","id":"i","partitionkey":"k","specversion":"1.0","subject":"s","type":"t"}}`},
		{"invoke charge -d @" + dir + "/bytes", "", `{"event":{"data_base64":"/wA=","datacontenttype":"application/octet-stream","specversion":"1.0"}}`},
		{"invoke charge -d {} --content-type text/plain", "", `{"event":{"data":"{}","datacontenttype":"text/plain","specversion":"1.0"}}`},
		{
			"emit orders.created --type t --id i --source /me --ext tenant=acme --ext n=7 --ext b=true --ext z=07 -d @" + dir + "/order.json", "",
			`{"b":true,"data":{"total":12},"datacontenttype":"application/json","id":"i","n":7,"source":"/me","specversion":"1.0","tenant":"acme","time":"2026-01-31T12:00:00Z","type":"t","z":"07"}`,
		},
		{"emit orders.created --content-type application/cloudevents-batch+json -d -", `[{"id":"1"}]`, `[{"id":"1"}]`},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, answers())
			got := f.fnctlIn(t.Context(), tc.stdin, strings.Fields(tc.args)...)
			if _, body, _ := strings.Cut(f.requests(), " /ns/"); got.code != 0 || !strings.HasSuffix(body, " "+tc.want) {
				t.Errorf("exit code %d: %s; sent\n%s\nwant\n%s", got.code, got.stderr, body, tc.want)
			}
		})
	}
}

func TestVersionWithAndWithoutServer(t *testing.T) {
	t.Parallel()
	got := newFake(t, answers()).fnctl("version", "-o", "json")
	var v versions
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || v.Server == nil || v.Server.Version != "v1.2.3" || v.Client.Go == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	got = execute(t.Context(), t, "", nil, "version", "--server", "http://127.0.0.1:1")
	if got.code != 0 || !strings.HasPrefix(got.out, "Client:  ") || strings.Contains(got.out, "Server") || !strings.HasPrefix(got.stderr, "no server: reach the server at") {
		t.Errorf("got %+v", got)
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	t.Parallel()
	c := &cli{out: io.Discard, err: io.Discard}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			if child.Hidden {
				continue
			}
			args := strings.Fields(child.CommandPath())[1:]
			got := execute(t.Context(), t, "", nil, append(args, "--help")...)
			if got.code != 0 || child.Example == "" || !strings.Contains(got.out, child.Example) || !strings.Contains(got.out, "Usage:\n") {
				t.Errorf("%s --help: exit code %d\n%s", child.CommandPath(), got.code, got.out)
			}
			visit(child)
		}
	}
	visit(c.root())
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := execute(t.Context(), t, "", nil, "completion", shell); got.code != 0 || !strings.Contains(got.out, "fnctl") {
			t.Errorf("completion %s: exit code %d", shell, got.code)
		}
	}
}

func TestProgressOnATerminalAndElsewhere(t *testing.T) {
	t.Parallel()
	for terminal, want := range map[bool]string{
		true:  "\r\x1b[Kbuilding f…\r\x1b[Kbuilt f\n\r\x1b[Kdeploying…\r\x1b[K",
		false: "built f\n",
	} {
		var b strings.Builder
		p := &progress{w: &b, terminal: terminal}
		p.doing("building %s", "f")
		p.done("built %s", "f")
		p.doing("deploying")
		p.end()
		if b.String() != want {
			t.Errorf("terminal %v: got %q, want %q", terminal, b.String(), want)
		}
	}
}

// run is the program as main calls it, with the real environment.
func TestRun(t *testing.T) {
	f := newFake(t, map[string]any{"GET /ns/default/topics": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "[]") })})
	t.Setenv("FNCTL_SERVER", f.url)
	var out, stderr strings.Builder
	if code := run(t.Context(), []string{"topic", "ls", "-o", "json"}, strings.NewReader(""), &out, &stderr); code != 0 || out.String() != "[]\n" || stderr.String() != "" {
		t.Errorf("exit code %d, %q, %q", code, out.String(), stderr.String())
	}
}

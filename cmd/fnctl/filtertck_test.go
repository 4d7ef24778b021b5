package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// tckFile is a file of the conformance kit for CESQL that the CloudEvents project has beside its Go SDK.
type tckFile struct {
	Name  string `yaml:"name"`
	Tests []struct {
		Name       string         `yaml:"name"`
		Expression string         `yaml:"expression"`
		Result     any            `yaml:"result"`
		Error      string         `yaml:"error"`
		Event      map[string]any `yaml:"event"`
		Overrides  map[string]any `yaml:"eventOverrides"`
	} `yaml:"tests"`
}

// tckEvent is what cases without an event of their own are about: one that has all attributes.
var tckEvent = map[string]any{
	"specversion": "1.0", "type": "com.example.FullEvent", "source": "http://example.com/source", "id": "full-event", "time": "2020-03-21T12:34:56.78Z",
	"dataschema": "http://example.com/schema", "subject": "topic", "datacontenttype": "text/json", "data": "hello",
	"exbool": true, "exint": 42, "exstring": "exstring", "exbinary": "AAECAw==", "exurl": "http://example.com/source", "extime": "2020-03-21T12:34:56.78Z",
}

// TestCESQLConformance runs the kit through fnctl filter test and fnctl filter eval: every value and every kind of error is what it says.
func TestCESQLConformance(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/cloudevents/sdk-go/sql/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "test", "tck", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file tckFile
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, tc := range file.Tests {
			cases++
			event := maps.Clone(tckEvent)
			if tc.Event != nil {
				event = tc.Event
			}
			maps.Copy(event, tc.Overrides)
			stdin, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			want, err := json.Marshal(tc.Result)
			if err != nil {
				t.Fatal(err)
			}
			for _, command := range [][]string{{"filter", "test", "-", "--filter", tc.Expression, "-o", "json"}, {"filter", "eval", "-o", "json", "--", tc.Expression, "-"}} {
				ran := execute(t.Context(), t, string(stdin), nil, command...)
				var got struct {
					Matched   bool            `json:"matched"`
					Value     json.RawMessage `json:"value"`
					ErrorKind string          `json:"errorKind"`
				}
				if err := json.Unmarshal([]byte(ran.out), &got); err != nil {
					t.Fatalf("%s, %s: %v in %+v", file.Name, tc.Name, err, ran)
				}
				if got.Value == nil {
					got.Value = json.RawMessage("null")
				}
				// What cannot be parsed has no value, although one case of the kit has one for it: its own runner does not look at that.
				if tc.Error == "parse" {
					want = []byte("null")
				}
				if got.ErrorKind != tc.Error || string(got.Value) != string(want) {
					t.Errorf("%s, %s: %s on %s is %s, error %q; want %s, error %q", file.Name, tc.Name, tc.Expression, stdin, got.Value, got.ErrorKind, want, tc.Error)
				}
				if matches := tc.Error == "" && tc.Result == true; command[1] == "test" && (got.Matched != matches || matches != (ran.code == exitOK)) {
					t.Errorf("%s, %s: %s on %s: %+v", file.Name, tc.Name, tc.Expression, stdin, ran)
				}
			}
		}
	}
	if cases != 275 {
		t.Errorf("the kit has %d cases, not 275: it is not the one of this version of the SDK, or was not read", cases)
	}
}

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/manifest"
)

// The names of what belongs to an event, NAME.json.
const (
	eventsDir   = "events"
	eventEnd    = ".json"
	goldenEnd   = ".golden.json"
	stubsEnd    = ".stubs.json"
	commonStubs = "stubs.json"
)

// testCase is one event and what is expected of it.
type testCase struct {
	name   string // "order"
	file   string
	golden string // file
	trial  api.TrialCase

	// set by judge:
	result  api.TrialResult
	faults  []string // what is wrong, each of some lines
	updated bool
}

// findTests finds the events of functions, and leaves out functions without. All that is wrong with them is reported at once.
func findTests(dir string, alone bool, functions []manifest.Function) ([]suite, error) {
	common, err := eventFiles(filepath.Join(dir, eventsDir))
	if err != nil {
		return nil, err
	}
	if len(common) > 0 && !alone {
		return nil, usagef("mkdir "+filepath.Join(dir, eventsDir, "FUNCTION")+", and move it there", "%s: the app has several functions, and nothing says which one the event is for", common[0])
	}
	var out []suite
	var errs []error
	for _, f := range functions {
		files, err := eventFiles(filepath.Join(dir, eventsDir, f.Name))
		if err != nil {
			return nil, err
		}
		s := suite{function: f}
		for _, file := range slices.Concat(common, files) {
			t, err := readCase(file, f)
			s.cases = append(s.cases, t)
			if err != nil && !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) { // a fault of the common stubs is one of each event
				errs = append(errs, err)
			}
		}
		if len(s.cases) > 0 {
			out = append(out, s)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, usagef(`echo '{"type": "com.example.thing", "data": {}}' > `+filepath.Join(dir, eventsDir, "first.json"), "there are no events to test with in %s", filepath.Join(dir, eventsDir))
	}
	return out, nil
}

// strays says which files and directories look like tests and are none, as after a function or an event was given another name.
func strays(dir string, functions []manifest.Function) (out []string) {
	known := func(name string) bool {
		return slices.ContainsFunc(functions, func(f manifest.Function) bool { return f.Name == name })
	}
	top := filepath.Join(dir, eventsDir)
	entries, _ := os.ReadDir(top) // findTests has complained
	dirs := []string{top}
	for _, e := range entries {
		path := filepath.Join(top, e.Name())
		switch files, _ := eventFiles(path); {
		case !e.IsDir():
		case known(e.Name()):
			dirs = append(dirs, path)
		case len(files) > 0:
			out = append(out, fmt.Sprintf("%s is not tested: there is no function %s", path, e.Name()))
		}
	}
	for _, d := range dirs {
		entries, _ := os.ReadDir(d)
		for _, e := range entries {
			for _, end := range []string{goldenEnd, stubsEnd} {
				base, is := strings.CutSuffix(e.Name(), end)
				if is && !slices.ContainsFunc(entries, func(other fs.DirEntry) bool { return other.Name() == base+eventEnd }) {
					out = append(out, fmt.Sprintf("%s is of no use: there is no %s beside it", filepath.Join(d, e.Name()), base+eventEnd))
				}
			}
		}
	}
	return out
}

// eventFiles are the events in a directory, which need not be there.
func eventFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for events: %w", err)
	}
	var out []string
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() && strings.HasSuffix(name, eventEnd) && !strings.HasSuffix(name, goldenEnd) && !strings.HasSuffix(name, stubsEnd) && name != commonStubs {
			out = append(out, filepath.Join(dir, name))
		}
	}
	return out, nil
}

func readCase(file string, f manifest.Function) (*testCase, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	base := strings.TrimSuffix(file, eventEnd)
	t := &testCase{name: filepath.Base(base), file: file, golden: base + goldenEnd}
	if err := t.readEvents(text, f); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, stubs := range []string{base + stubsEnd, filepath.Join(filepath.Dir(file), commonStubs)} {
		text, err := os.ReadFile(stubs)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			t.trial.Stubs, err = readStubs(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", stubs, err)
		}
		break
	}
	return t, nil
}

// readEvents reads an event, or a list of them, which is a batch.
func (t *testCase) readEvents(text []byte, f manifest.Function) (err error) {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) != nil || list == nil {
		t.trial.Event, t.trial.Request, err = readTestEvent(t.name, text)
		return err
	}
	largest := largestBatch(f)
	switch {
	case largest == 0:
		return fmt.Errorf("it is a list, so a batch, and function %s has no trigger with a batch", f.Name)
	case len(list) < 2 || len(list) > largest:
		return fmt.Errorf("it has %s, and a batch of function %s has 2 to %d", plural(len(list), "event"), f.Name, largest)
	}
	for i, one := range list {
		ev, request, err := readTestEvent(fmt.Sprintf("%s-%d", t.name, i+1), one)
		switch {
		case err != nil:
			return fmt.Errorf("event %d of the batch: %w", i+1, err)
		case request != nil:
			return fmt.Errorf("event %d of the batch: requests of HTTP do not come in batches; leave out evokehttp", i+1)
		case i == 0:
			t.trial.Event = ev
		default:
			t.trial.More = append(t.trial.More, ev)
		}
	}
	return nil
}

// largestBatch is how many events come to a function at once; 0 = one.
func largestBatch(f manifest.Function) (n int) {
	for _, t := range f.Spec.Triggers {
		if t.Topic != nil && t.Topic.Batch != nil {
			n = max(n, t.Topic.Batch.Size)
		}
	}
	return n
}

// strictly reads JSON into v, all of it, and refuses members that v does not have.
func strictly(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is something behind the end of the JSON value")
	}
	return nil
}

func readStubs(text []byte) (s api.TrialStubs, err error) {
	if err := strictly(text, &s); err != nil {
		return s, fmt.Errorf("%w; stubs are { \"state\": {…}, \"secrets\": {…}, \"http\": […], \"invoke\": {…} }", err)
	}
	for i, r := range s.HTTP {
		switch {
		case r.URL == "":
			return s, fmt.Errorf("http[%d] has no url", i)
		case r.Status != 0 && (r.Status < 100 || r.Status > 599):
			return s, fmt.Errorf("http[%d]: %d is no status of HTTP", i, r.Status)
		}
	}
	for name, r := range s.Invoke {
		if err := oneOf("invoke."+name+".verdict", cmp.Or(r.Verdict, "done"), "done", "failed", "rejected"); err != nil {
			return s, err
		}
	}
	return s, nil
}

// readWarmUp reads the event of a file that fn.yaml names, which is as those of tests are.
func readWarmUp(file string) (*api.WarmUp, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	w := &api.WarmUp{}
	if w.Event, w.Request, err = readTestEvent(strings.TrimSuffix(filepath.Base(file), eventEnd), text); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return w, nil
}

// requestOfTest is evokehttp of a test event: part 3 of docs/abi.md, of which anything may be left out.
type requestOfTest struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	RawPath string            `json:"rawPath"`
	Route   string            `json:"route"`
	Params  map[string]string `json:"params"`
	Query   [][2]string       `json:"query"`
	Headers [][2]string       `json:"headers"`
}

// testTime is when events of tests happen that do not say when.
const testTime = "2026-01-31T12:00:00Z"

// readTestEvent reads a CloudEvent and fills in what a person leaves out. The HTTP request that it was is its member evokehttp.
func readTestEvent(name string, text []byte) (ev, request json.RawMessage, err error) {
	var members map[string]json.RawMessage
	var other *json.UnmarshalTypeError
	switch err := json.Unmarshal(text, &members); {
	case errors.As(err, &other):
		return nil, nil, fmt.Errorf("an event is a JSON object, and it is of type %s", other.Value)
	case err != nil:
		return nil, nil, fmt.Errorf("it is no JSON: %w", err)
	case members == nil:
		return nil, nil, errors.New("an event is a JSON object, and it is null")
	}
	fill := func(attribute, value string) {
		if _, there := members[attribute]; !there && value != "" {
			members[attribute], _ = json.Marshal(value) // a string
		}
	}
	_, hasData := members["data"]
	if text, ok := members["evokehttp"]; ok {
		delete(members, "evokehttp")
		var contentType string
		if request, contentType, err = readRequest(text, hasData); err != nil {
			return nil, nil, fmt.Errorf("evokehttp: %w", err)
		}
		fill("type", event.HTTPRequestType)
		fill("datacontenttype", contentType)
	}
	fill("specversion", "1.0")
	fill("id", name)
	fill("source", "/fnctl/test")
	fill("time", testTime)
	if hasData {
		fill("datacontenttype", "application/json")
	}
	if ev, err = json.Marshal(members); err != nil {
		return nil, nil, err
	}
	var e event.Event
	if err := e.UnmarshalJSON(ev); err != nil {
		return nil, nil, err
	}
	return ev, request, e.Validate()
}

func readRequest(text []byte, hasBody bool) (request json.RawMessage, contentType string, err error) {
	r := requestOfTest{Params: map[string]string{}, Query: [][2]string{}, Headers: [][2]string{}}
	if err := strictly(text, &r); err != nil {
		return nil, "", err
	}
	if r.Method == "" {
		r.Method = "GET"
		if hasBody {
			r.Method = "POST"
		}
	}
	r.Path = cmp.Or(r.Path, "/")
	r.RawPath = cmp.Or(r.RawPath, r.Path)
	for i := range r.Headers {
		r.Headers[i][0] = strings.ToLower(r.Headers[i][0])
	}
	slices.SortStableFunc(r.Headers, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	for _, h := range r.Headers {
		if h[0] == "content-type" {
			contentType = h[1]
		}
	}
	request, err = json.Marshal(r)
	return request, contentType, err
}

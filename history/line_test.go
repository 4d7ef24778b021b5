package history

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

// Whatever fields an entry has or gets, its line is what encoding/json makes of it.
func TestLineIsTheEncodersOwn(t *testing.T) {
	t.Parallel()
	whole := api.LogEntry{}
	fill(t, reflect.ValueOf(&whole).Elem())
	check := func(name string, e *api.LogEntry) {
		t.Helper()
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
		if got := appendLine(nil, e); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s:\n got %swant %s", name, got, want.Bytes())
		}
	}
	check("whole", &whole)
	check("empty", &api.LogEntry{})
	check("empty attempt", &api.LogEntry{Attempt: &api.Attempt{}})
	for i := range reflect.TypeFor[api.LogEntry]().NumField() {
		without := whole
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		check("without "+reflect.TypeFor[api.LogEntry]().Field(i).Name, &without)
	}
}

// fill gives everything in v a value that is not zero, and texts one that needs escapes.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6700, time.FixedZone("", 3600))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.String:
		v.SetString("\"a\"\n<é>\xff")
	case reflect.Int, reflect.Int64:
		v.SetInt(-12345)
	default:
		t.Fatalf("an entry has a %s: fill and appendLine must know it", v.Type())
	}
}

func BenchmarkLine(b *testing.B) {
	e := api.LogEntry{
		Time: time.Now(), Namespace: "default", Function: "echo", Revision: 1, Invocation: "0123456789abcdef01234567", EventID: "0123456789abcdef0123456789abcdef",
		Trigger: "http", Level: "info",
		Attempt: &api.Attempt{
			Attempt: 1, Revision: 1, Start: time.Now(), Duration: 12345, Verdict: "done",
			Bill: api.Bill{Wall: 12345, Guest: 1234, Fuel: 12345, PeakMemory: 1 << 22, BytesIn: 1100, BytesOut: 1100, HostCalls: 13},
		},
	}
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = appendLine(line[:0], &e)
	}
}

package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func full() Event {
	return Event{
		ID: "1", Source: "/s", Type: "t", Subject: "su", DataContentType: "application/json", DataSchema: "http://x/y",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600)),
		Extensions: []Extension{
			{Name: "count", Value: "-7", Kind: Integer}, {Name: "flag", Value: "true", Kind: Boolean}, {Name: "partitionkey", Value: "k"},
		},
		Data: []byte(`{"a": [1, 2.50, "<&>"]}`), Request: []byte(`{"method":"GET"}`),
	}
}

func TestBinaryFormComesBack(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Event{
		"full": full(), "least": {ID: "i", Source: "s", Type: "t"}, "empty data": {ID: "i", Source: "s", Type: "t", Data: []byte{}},
		"utc": {ID: "i", Source: "s", Type: "t", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
	} {
		b := want.AppendBinary([]byte("before"))[6:]
		if len(b) != want.Size() {
			t.Errorf("%s: Size is %d, the form has %d bytes", name, want.Size(), len(b))
		}
		got, err := Decode(b)
		if err != nil || !got.Time.Equal(want.Time) {
			t.Errorf("%s: %v, %v", name, got.Time, err)
		}
		if FormatTime(got.Time) != FormatTime(want.Time) {
			t.Errorf("%s: zone is lost: %s", name, FormatTime(got.Time))
		}
		got.Time = want.Time
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		id, source, err := Identity(b)
		if string(id) != want.ID || string(source) != want.Source || err != nil {
			t.Errorf("%s: identity %s %s %v", name, id, source, err)
		}
		for n := range b[:len(b)-len(want.Data)] {
			if _, err := Decode(b[:n]); err == nil {
				t.Errorf("%s: cut to %d of %d bytes is taken", name, n, len(b))
			}
		}
	}
	newer := full()
	b := newer.AppendBinary(nil)
	b[0] = 9
	if _, err := Decode(b); err == nil || !strings.Contains(err.Error(), "event format version 9 is unknown") {
		t.Errorf("newer version: %v", err)
	}
}

func TestJSONKeepsDataByteForByte(t *testing.T) {
	t.Parallel()
	e := full()
	b, err := e.MarshalJSON()
	want := `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"su","time":"2026-01-02T03:04:05.000000678+01:00",` +
		`"datacontenttype":"application/json","dataschema":"http://x/y","count":-7,"flag":true,"partitionkey":"k","data":{"a": [1, 2.50, "<&>"]}}`
	if string(b) != want || err != nil {
		t.Errorf("got  %s %v\nwant %s", b, err, want)
	}
	var back Event
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	e.Request = nil // is no part of the CloudEvents form
	if !bytes.Equal(back.AppendBinary(nil), e.AppendBinary(nil)) {
		t.Errorf("got %+v, want %+v", back, e)
	}
}

func TestJSONFormOfData(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ contentType, data, want string }{
		{"", `{"a":1}`, `"data":{"a":1}`},
		{"application/vnd.x+json; charset=utf-8", `[1]`, `"data":[1]`},
		{"application/json", "not json", `"data_base64":"bm90IGpzb24="`},
		{"text/plain", `{"a":1}`, `"data":"{\"a\":1}"`},
		{"text/plain", "\xff", `"data_base64":"/w=="`},
		{"application/xml", "<a/>", `"data":"<a/>"`},
	} {
		e := Event{ID: "1", Source: "s", Type: "t", DataContentType: tt.contentType, Data: []byte(tt.data)}
		b, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		if raw, _ := e.MarshalJSON(); !strings.HasSuffix(string(raw), ","+tt.want+"}") {
			t.Errorf("%s %q: got %s", tt.contentType, tt.data, raw)
		}
		var back Event
		if err := json.Unmarshal(b, &back); err != nil || (string(back.Data) != tt.data) {
			t.Errorf("%s %q came back as %q, %v", tt.contentType, tt.data, back.Data, err)
		}
	}
}

func TestJSONFaultsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                              "event is not a JSON object",
		`{"specversion":"0.3"}`:           `specversion "0.3" is not supported`,
		`{"id":7}`:                        `attribute "id" must be a JSON string, not 7`,
		`{"time":"yesterday"}`:            `attribute "time" is "yesterday", not an RFC 3339 time`,
		`{"time":"0001-01-01T00:00:00Z"}`: `"time" is in the year 1, only`,
		`{"data":1,"data_base64":"YQ=="}`: `both "data" and "data_base64"`,
		`{"data_base64":"*"}`:             `"data_base64" is not base64`,
		`{"data_base64":1}`:               `"data_base64" must be a JSON string`,
		`{"x":1.5}`:                       `extension "x" is 1.5, not a 32-bit whole number`,
		`{"x":{"y":1}}`:                   `extension "x" must be a string, number or boolean, not {"y":1}`,
	} {
		var e Event
		if err := e.UnmarshalJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	var e Event
	if err := e.UnmarshalJSON([]byte(`{"id":"1","x":null,"subject":null}`)); err != nil || e.Extensions != nil {
		t.Errorf("null members are absent: %+v, %v", e, err)
	}
}

func TestValidateReportsAllFaults(t *testing.T) {
	t.Parallel()
	e := Event{ID: "a\x01", Subject: "\xff", Extensions: []Extension{{Name: "Bad"}, {Name: ""}, {Name: "id", Value: "x"}}, Time: time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)}
	err := e.Validate()
	for _, want := range []string{
		`required attribute "source" is missing or empty`, `required attribute "type"`, `attribute "id" has a control character at byte 1`,
		`attribute "subject" is not valid UTF-8`, `extension name "Bad" may only have lower-case`, `extension name "" must have 1 to 64`,
		`"id" is a context attribute`, `in the year 3000`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	big := Event{ID: "1", Source: "s", Type: "t", Data: make([]byte, MaxSize)}
	if err := big.Validate(); err == nil || !strings.Contains(err.Error(), "the limit is 1048576") {
		t.Errorf("big: %v", err)
	}
	good := full()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestKeyIsPartitionKeyElseSubject(t *testing.T) {
	t.Parallel()
	e := Event{Subject: "s"}
	if e.Key() != "s" {
		t.Errorf("got %q", e.Key())
	}
	e.SetExtension(Extension{Name: "zz", Value: "1"})
	e.SetExtension(Extension{Name: "partitionkey", Value: "p"})
	e.SetExtension(Extension{Name: "partitionkey", Value: "q"})
	if e.Key() != "q" || len(e.Extensions) != 2 || e.Extensions[0].Name != "partitionkey" {
		t.Errorf("got %q, %+v", e.Key(), e.Extensions)
	}
}

func TestCloudEventsSDKFormComesBack(t *testing.T) {
	t.Parallel()
	e := full()
	e.Request = nil
	back, err := FromCloudEvent(e.CloudEvent())
	if err != nil || !bytes.Equal(back.AppendBinary(nil), e.AppendBinary(nil)) {
		t.Errorf("got %+v, %v", back, err)
	}
}

func FuzzDecode(f *testing.F) {
	e := full()
	f.Add(e.AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(e.AppendBinary(nil))
		if err != nil || !bytes.Equal(again.AppendBinary(nil), e.AppendBinary(nil)) {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}

func FuzzJSON(f *testing.F) {
	e := full()
	b, _ := e.MarshalJSON()
	f.Add(b)
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/plain","data":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		err := e.UnmarshalJSON(b)
		if err == nil && !json.Valid(b) {
			t.Fatalf("%s is taken, and is no JSON", b)
		}
		if strictly, strictErr := Parse(b); strictErr == nil && (err != nil || !bytes.Equal(strictly.AppendBinary(nil), e.AppendBinary(nil))) {
			t.Fatalf("%s is %+v for Parse and %+v, %v for UnmarshalJSON", b, strictly, e, err)
		}
		if err != nil || e.Validate() != nil {
			return
		}
		out, _ := e.MarshalJSON()
		if !json.Valid(out) {
			t.Fatalf("%s became %s", b, out)
		}
		var again Event
		if err := again.UnmarshalJSON(out); err != nil || !bytes.Equal(again.AppendBinary(nil), e.AppendBinary(nil)) {
			t.Errorf("%s became %s: %v", b, out, err)
		}
	})
}

// What the walker finds in a batch is what the decoder of the standard library finds.
func FuzzElements(f *testing.F) {
	for _, text := range []string{`[]`, `[1,{"a":"]"}, "x\\"]`, `[1 2]`, `[1,]`, `[`, `[{"a":[}]`, `[nul]`, `[""] x`, "[\"\x01\"]", `[{"a\\"}":"\\\\"}]`, `[{"a":]]`, `[{"\`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want []json.RawMessage
		wantErr := json.Unmarshal(b, &want)
		var got []json.RawMessage
		err := Elements(b, func(e []byte) error {
			if !json.Valid(e) {
				return errors.New("no JSON")
			}
			got = append(got, e)
			return nil
		})
		if string(bytes.TrimSpace(b)) == "null" {
			wantErr = errors.New("no array")
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: %v, the decoder says %v", b, err, wantErr)
		}
		if err == nil && !slices.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%s: %q, the decoder finds %q", b, got, want)
		}
	})
}

func TestUnquoteIsWhatTheDecoderSays(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`""`, `"plain"`, `"ünï"`, `"a\"b"`, `"\u00e4"`, `"\\"`, "\"\xff\"", `null`, `7`, `{}`, ``} {
		var want string
		wantErr := json.Unmarshal([]byte(raw), &want)
		if got, err := unquote(json.RawMessage(raw)); got != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %q, %v, want %q, %v", raw, got, err, want, wantErr)
		}
	}
}

// As many as an event has room for come in no order, and take no longer than they must: one after the other in their place, it was a minute (BenchmarkManyExtensions).
func TestManyExtensions(t *testing.T) {
	t.Parallel()
	e, err := Parse(manyExtensions(400_000, ""))
	if err != nil || len(e.Extensions) != 400_000 || !slices.IsSortedFunc(e.Extensions, func(a, b Extension) int { return strings.Compare(a.Name, b.Name) }) {
		t.Fatalf("%d extensions, %v", len(e.Extensions), err)
	}
	if v, ok := e.Extension("399999"); v != "7" || !ok {
		t.Errorf("one of them is %q, %t", v, ok)
	}
	if _, err := Parse(manyExtensions(400_000, `,"7":7`)); err == nil || err.Error() != `attribute "7" is there twice` {
		t.Errorf("one that is there twice: %v", err)
	}
}

func manyExtensions(n int, more string) []byte {
	b := []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t"`)
	for i := range n {
		b = fmt.Appendf(b, `,"%d":7`, i*7919%n) // 7919 is prime to it: each once
	}
	return append(append(b, more...), '}')
}

func BenchmarkManyExtensions(b *testing.B) {
	raw := manyExtensions(10_000, "")
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshalJSON(b *testing.B) {
	raw := []byte(`{"specversion":"1.0","type":"com.example.order","subject":"key-1","datacontenttype":"text/plain","data":"` + strings.Repeat("x", 512) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		var e Event
		if err := e.UnmarshalJSON(raw); err != nil {
			b.Fatal(err)
		}
	}
}

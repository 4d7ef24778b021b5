//go:build !wasip1

package evoke

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestMarshal(t *testing.T) {
	t.Parallel()
	full := NewEvent("t", map[string]int{"n": 1})
	full.ID, full.Source, full.Subject, full.DataSchema = "1", "/s", `a"b`, "schema"
	full.Time = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	full.SetExtension("text", "x")
	full.SetExtension("yes", true)
	full.SetExtension("number", 7)
	full.SetExtension("gone", "x")
	full.SetExtension("gone", nil)
	full.SetExtension("empty", "")

	jsonBytes := NewEvent("t", nil)
	jsonBytes.SetData("application/json", []byte(`{"a":1.50}`))
	spaced := NewEvent("t", nil)
	spaced.SetData("application/json", []byte(" {}"))
	noJSON := NewEvent("t", nil)
	noJSON.SetData("application/json", []byte("{"))

	for _, test := range []struct {
		name string
		e    *Event
		want string
	}{
		{"everything", full, `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"a\"b","datacontenttype":"application/json",` +
			`"dataschema":"schema","time":"2026-01-02T03:04:05.000000006Z","number":7,"text":"x","yes":true,"data":{"n":1}}`},
		{"no data", NewEvent("t", nil), `{"specversion":"1.0","type":"t"}`},
		{"text", NewEvent("t", "hi"), `{"specversion":"1.0","type":"t","datacontenttype":"text/plain; charset=utf-8","data_base64":"aGk="}`},
		{"bytes", NewEvent("t", []byte{0}), `{"specversion":"1.0","type":"t","datacontenttype":"application/octet-stream","data_base64":"AA=="}`},
		{"JSON stays as it is", jsonBytes, `{"specversion":"1.0","type":"t","datacontenttype":"application/json","data":{"a":1.50}}`},
		{"space around it is kept", spaced, `{"specversion":"1.0","type":"t","datacontenttype":"application/json","data_base64":"IHt9"}`},
		{"it only says it is JSON", noJSON, `{"specversion":"1.0","type":"t","datacontenttype":"application/json","data_base64":"ew=="}`},
		{"a literal", &Event{Type: "t"}, `{"specversion":"1.0","type":"t"}`},
	} {
		got, err := test.e.marshal()
		if err != nil || string(got) != test.want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", test.name, got, err, test.want)
		}
	}
}

func TestMarshalErrors(t *testing.T) {
	t.Parallel()
	_, err := NewEvent("t", make(chan int)).marshal()
	if err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("data that cannot be encoded: %v", err)
	}
	for _, value := range []any{1.5, 1 << 40, []string{}} {
		e := NewEvent("t", nil)
		e.SetExtension("x", value)
		if _, err := e.marshal(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `extension "x"`) {
			t.Errorf("extension %v: %v", value, err)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\\n\t\x00\x7f\xff\u2028<é𝄞")
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, b, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); utf8.ValidString(s) && got != want {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}

func FuzzMarshal(f *testing.F) {
	f.Add("id", "type", "subject", "application/json", []byte(`{"a":[1,2]}`), "x")
	f.Add("", "\xff", "\n", "text/plain", []byte{0, 1}, "")
	f.Fuzz(func(t *testing.T, id, typ, subject, contentType string, data []byte, extension string) {
		e := NewEvent(typ, nil)
		e.ID, e.Subject = id, subject
		e.SetData(contentType, data)
		e.SetExtension("ext", extension)
		b, err := e.marshal()
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Data   json.RawMessage
			Base64 string `json:"data_base64"`
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		back := []byte(got.Data)
		if got.Data == nil {
			if back, err = base64.StdEncoding.DecodeString(got.Base64); err != nil {
				t.Fatal(err)
			}
		}
		if string(back) != string(data) {
			t.Errorf("data %q came back as %q", data, back)
		}
	})
}

func TestExtensionsOfAMadeEvent(t *testing.T) {
	t.Parallel()
	var e Event // the zero value is an event that was made here, too
	if e.Extension("x") != "" || e.Data() != nil || e.Request() != nil || len(e.Extensions()) != 0 {
		t.Errorf("the zero event has something")
	}
	e.SetExtension("partitionkey", "k")
	e.SetExtension("n", int32(5))
	e.SetExtension("b", false)
	if e.Key() != "k" || e.Extension("n") != "5" || e.Extension("b") != "false" {
		t.Errorf("extensions %v", e.Extensions())
	}
	e = Event{Subject: "s"}
	if e.Key() != "s" {
		t.Errorf("key %q, want the subject", e.Key())
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for _, test := range []struct {
		name    string
		err     error
		verdict int32
		after   int64
		reason  string
	}{
		{"nil", nil, 0, -1, ""},
		{"error", cause, 1, -1, "cause"},
		{"reject", Reject(cause), 2, -1, "cause"},
		{"reject nil", Reject(nil), 2, -1, "rejected without a reason"},
		{"rejectf", Rejectf("order %d: %w", 7, cause), 2, -1, "order 7: cause"},
		{"retry after", RetryAfter(1500*time.Millisecond, cause), 1, 1500, "cause"},
		{"retry at once", RetryAfter(-time.Second, nil), 1, 0, "failed without a reason"},
		{"wrapped", errors.Join(errors.New("more"), Reject(cause)), 2, -1, "more\ncause"},
	} {
		verdict, after, reason := judge(test.err)
		if verdict != test.verdict || after != test.after || reason != test.reason {
			t.Errorf("%s: %d, %d, %q", test.name, verdict, after, reason)
		}
	}
	if !errors.Is(Reject(cause), cause) || !errors.Is(RetryAfter(0, cause), cause) || !errors.Is(Rejectf("%w", cause), cause) {
		t.Error("the cause is lost")
	}
}

func TestErrorTextsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for status, want := range map[int32]string{
		403: `write state "n": denied; add state: true to allow`,
		412: `write state "n": the event has no key; state belongs to a key: set partitionkey or subject`,
		413: `write state "n": too large; a value has at most 256 KiB`,
		400: `write state "n": invalid; a name has 1 to 512 bytes`,
		500: `write state "n": status 500`,
		-2:  `write state "n": too large; a request has at most 1 MiB`,
		-5:  `write state "n": the event is over`,
		-1:  `write state "n": no answer before the deadline`,
	} {
		if got := stateError("write state", "n", status).Error(); !strings.HasPrefix(got, want) {
			t.Errorf("status %d: %q, want %q", status, got, want)
		}
	}
}

func TestReplyIsAValue(t *testing.T) {
	t.Parallel()
	base := Text("x").WithHeader("a", "1")
	changed := base.WithHeader("a", "2").WithHeader("b", "3").WithStatus(201)
	if !reflect.DeepEqual(base.Header, map[string]string{"a": "1"}) || base.Status != 0 {
		t.Errorf("the first reply changed to %+v", base)
	}
	if !reflect.DeepEqual(changed.Header, map[string]string{"a": "2", "b": "3"}) || changed.Status != 201 {
		t.Errorf("the second reply is %+v", changed)
	}
}

func TestHandleOnce(t *testing.T) {
	// Not parallel: it sets the handler of the program.
	defer func() { registered = nil }()
	one := func(context.Context, *Event) (Reply, error) { return NoReply(), nil }
	mustPanic(t, "nil", func() { Handle(nil) })
	mustPanic(t, "nil", func() { HandleBatch(nil) })
	Handle(one)
	mustPanic(t, "one handler", func() { Handle(one) })
	mustPanic(t, "one handler", func() { HandleBatch(func(context.Context, []*Event) []error { return nil }) })
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, want) {
			t.Errorf("panic %q, want one about %q", text, want)
		}
	}()
	f()
}

func TestOutsideOfADelivery(t *testing.T) {
	// Not parallel: no other test may deliver meanwhile.
	mustPanic(t, "evoketest", func() { Infof("x") })
}

package server

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/evoke-run/evoke/event"
)

// sdkBinary is what the CloudEvents SDK reads, after the percent-encoding, which it leaves to others, was undone.
func sdkBinary(h http.Header, body []byte) (event.Event, error) {
	decoded := http.Header{}
	for name, values := range h {
		decoded[name] = values
		if name != "Content-Type" {
			decoded[name] = []string{headerText(values[0])}
		}
	}
	in, err := binding.ToEvent(context.Background(), cehttp.NewMessage(decoded, nil))
	if err != nil {
		return event.Event{}, err
	}
	e, err := event.FromCloudEvent(*in)
	if len(body) > 0 {
		e.Data = body
	}
	return e, err
}

// What we take, the SDK takes, and finds the same in it.
func FuzzDecodeBinary(f *testing.F) {
	f.Add("id", "/source", "type", "subject", "2026-01-31T12:00:00.5+01:00", "https://example.com/schema", "text/plain", "Ce-Tenant", "a%20b", []byte("data"))
	f.Add("i%C3%A9", "urn:x:y", `"a \"b\" c"`, "", "", "", "", "Ce-", "%ff", []byte{})
	f.Add("1", "1:2", "t", "50% off", "2026-01-31t12:00:00z", "no-scheme", "a/b; c=d", "Ce-My-Ext", "", []byte{0xff})
	f.Fuzz(func(t *testing.T, id, source, kind, subject, when, schema, contentType, name, value string, body []byte) {
		h := http.Header{"Ce-Specversion": {"1.0"}}
		for name, v := range map[string]string{
			"Ce-Id": id, "Ce-Source": source, "Ce-Type": kind, "Ce-Subject": subject, "Ce-Time": when, "Ce-Dataschema": schema, "Content-Type": contentType, name: value,
		} {
			if v != "" {
				h.Set(name, v)
			}
		}
		got, err := decodeBinary(h, body)
		if err != nil {
			if p, _, known := answerFor(err); !known || p.Status < 400 || p.Status > 499 {
				t.Fatalf("%v is answered as %+v", err, p)
			}
			return
		}
		if _, err := time.Parse(time.RFC3339Nano, headerText(when)); when != "" && err != nil {
			return // letters in lower case and leap seconds are RFC 3339, and not Go
		}
		for _, text := range []string{got.Source, got.DataSchema} {
			if u, err := url.Parse(text); err != nil || u.String() != text {
				return // the SDK rewrites it
			}
		}
		want, err := sdkBinary(h, body)
		if err != nil {
			t.Fatalf("the SDK refuses %v: %v", h, err)
		}
		want.ForgetHops()
		if !bytes.Equal(got.AppendBinary(nil), want.AppendBinary(nil)) {
			t.Errorf("%v is\n%+v for us and\n%+v for the SDK", h, got, want)
		}
	})
}

func BenchmarkDecodeBinary(b *testing.B) {
	h := http.Header{
		"Ce-Specversion": {"1.0"}, "Ce-Type": {"dev.evoke.bench"}, "Ce-Source": {"/bench"}, "Ce-Id": {"1234567"}, "Ce-Subject": {"key-7"},
		"Content-Type": {"application/octet-stream"}, "Content-Length": {"1024"},
	}
	body := make([]byte, 1024)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeBinary(h, body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sdkBinary(h, body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

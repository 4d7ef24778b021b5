package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/evoke-run/evoke/api"
)

// npmSDK is the version of the CloudEvents SDK of npm that speaks with the runtime here.
const npmSDK = "cloudevents@10.0.0"

func TestCloudEventsSDKOfNpm(t *testing.T) {
	t.Parallel()
	sdk := installNpm(t, npmSDK)
	a := sharedApp(t)
	a.write(t, "reply.wasm", replyingGuest())
	a.deploy(t, "version: 1\napp: npm\nfunctions:\n  f: { wasm: ./reply.wasm, on: { http: {} } }\ntopics:\n  open: { ingress: true }\n")
	script, err := filepath.Abs("testdata/cloudevents/client.mjs")
	if err != nil {
		t.Fatal(err)
	}
	base := a.rt.gateway + "/@" + a.ns
	cmd := exec.CommandContext(t.Context(), "node", script, sdk, base+"/topics/open", base+"/fn/f")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s%s", err, out, stderr.String())
	}
	type reply struct {
		Status       int
		Media        string
		Type, Tenant string
		Data         map[string]bool
	}
	var seen struct {
		Binary, Structured, Batch int
		Bad                       struct {
			Status int
			Detail string
		}
		ReplyBinary     reply `json:"reply-binary"`
		ReplyStructured reply `json:"reply-structured"`
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if seen.Binary != 1 || seen.Structured != 1 || seen.Batch != 202 {
		t.Errorf("sent: %s", out)
	}
	if seen.Bad.Status != 400 || !strings.Contains(seen.Bad.Detail, `attribute "source" is "/a b", not a URI reference`) {
		t.Errorf("refused: %+v", seen.Bad)
	}
	for media, r := range map[string]reply{"application/json": seen.ReplyBinary, api.EventJSON + "; charset=utf-8": seen.ReplyStructured} {
		if r.Status != 200 || r.Media != media || r.Type != "com.example.done" || r.Tenant != "acme" || !r.Data["ok"] {
			t.Errorf("reply as %s: %+v", media, r)
		}
	}
	wantFromNpm(t, a)
}

// wantFromNpm compares what lies on the topic with what client.mjs has sent.
func wantFromNpm(t *testing.T, a *app) {
	t.Helper()
	const order = `{"total":12,"name":"größer"}`
	for id, data := range map[string]any{"binary": json.RawMessage(order), "structured": json.RawMessage(order), "b1": json.RawMessage(order), "b2": nil, "b3": "größer"} {
		want := cloudevents.NewEvent()
		want.SetID(id)
		want.SetSource("https://example.com/shop")
		want.SetType("com.example.order")
		want.SetSubject("orders, 50% off")
		want.SetTime(time.Date(2026, 1, 31, 12, 0, 0, 500_000_000, time.UTC))
		want.SetDataSchema("https://example.com/schema")
		for name, value := range map[string]string{"tenant": "acme", "partitionkey": "k1", "sequence": "41"} {
			want.SetExtension(name, value)
		}
		var err error
		switch data := data.(type) {
		case string:
			err = want.SetData("text/plain", data)
		case json.RawMessage:
			err = want.SetData("application/json", data)
		}
		if err != nil {
			t.Fatal(err)
		}
		sameEvent(t, a.tail(t, "open").until(t, "event "+id, isID(id)), want)
	}
}

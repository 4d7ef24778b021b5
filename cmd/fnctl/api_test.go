package main

import (
	"net/http"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestAPI(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /ns/default/functions": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("[{\"name\":\"a\"}]\n"))
		}),
		"GET /ns/shop/logs?level=warn&limit=2": stub{200, "{}\n{}\n"},
		"POST /ns/default/triggers/a:b/pause":  stub{200, "as it is"},
		"PUT /ns/default/functions/a/traffic":  stub{204, ""},
		"POST /ns/default/topics/a%2Fb/events": stub{202, "stored"},
		"GET /ns/default/functions/none":       api.Problem{Status: 404, Title: "x", Detail: `no function "none"`, Next: "fnctl ls"},
	})
	f.fnctl("api", "/ns/{ns}/functions").want(t, 0, "[\n  {\n    \"name\": \"a\"\n  }\n]\n", "")
	f.fnctl("api", "/api/v1/ns/{ns}/functions").want(t, 0, "[\n  {\n    \"name\": \"a\"\n  }\n]\n", "")
	f.fnctl("api", "-n", "shop", "/ns/{ns}/logs?limit=2&level=warn").want(t, 0, "{}\n{}\n", "")
	f.fnctl("api", "/ns/{ns}/triggers/a:b/pause", "-X", "post").want(t, 0, "as it is", "")
	f.fnctl("api", "/ns/{ns}/functions/a/traffic", "-X", "PUT", "-d", "{}").want(t, 0, "", "")
	f.fnctl("api", "/ns/{ns}/topics/a%2Fb/events", "-d", "{}", "--content-type", "application/cloudevents+json").want(t, 0, "stored", "")
	f.fnctl("api", "/ns/{ns}/functions/none").want(t, 3, "", "error: no function \"none\"\nTry: fnctl ls\n")
	f.fnctl("api", "ns").want(t, 2, "", "error: \"ns\" is no path of the management API\nTry: a path like /ns/{ns}/functions; \"fnctl api /openapi.json\" lists them all\n")
	f.fnctl("api", "/%zz").want(t, 2, "", "error: \"/%zz\" is no path of the management API\nTry: a path like /ns/{ns}/functions; \"fnctl api /openapi.json\" lists them all\n")
	f.fnctl("api").want(t, 2, "", "error: fnctl api needs a path such as /ns/{ns}/functions\nTry: fnctl api --help\n")
}

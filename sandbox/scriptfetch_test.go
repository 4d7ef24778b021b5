package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/evoke-run/evoke/sdk/abi"
)

// fetched is what a script asked for.
type fetched struct {
	URL, Method, Redirect string
	Headers               [][2]string
	Event                 *int
	body                  string
}

// answersHTTP is a host that answers requests.
func answersHTTP(t *testing.T, answer func(ctx context.Context, r fetched) (status int32, head, body string)) *fakeHost {
	return replies(func(ctx context.Context, op, head, body string) (int32, []byte) {
		r := fetched{body: body}
		d := json.NewDecoder(strings.NewReader(head))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil || op != abi.OpHTTPFetch || r.Event == nil || *r.Event != 0 {
			t.Errorf("asked %s %s: %v", op, head, err)
		}
		status, head, body := answer(ctx, r)
		if status != 200 {
			return status, []byte(head)
		}
		return 200, two(head, body)
	})
}

func TestScriptsFetch(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	const ok = `{"status":200,"url":"https://a.example/x?k=1","headers":[["content-type","text/plain"],["set-cookie","a=1"],["set-cookie","b=2"]]}`
	for _, c := range []struct {
		body, reply, reason string
		status              int32
		head, data          string
		asked               string
	}{
		{`const r = await fetch("https://a.example/x?k=1#f"); return [r.status, r.ok, r.url, r.redirected, r.headers.get("content-type"), r.headers.getSetCookie(), await r.text()]`,
			`[200,true,"https://a.example/x?k=1",false,"text/plain",["a=1","b=2"],"hellö"]`, "", 200, ok, "hellö", `GET https://a.example/x?k=1#f follow [] ""`},
		{`const r = await context.fetch("https://b.example/", { method: "post", headers: { "X-A": "1", Host: "x", "Content-Length": "9" }, body: "hé", redirect: "manual" }); return [r.redirected, [...new Uint8Array(await r.arrayBuffer())]]`,
			`[true,[0,255]]`, "", 200, ok, "\x00\xff", `POST https://b.example/ manual [[content-type text/plain;charset=UTF-8] [x-a 1]] "hé"`},
		{`const r = await fetch(new Request("https://a.example/x", { method: "PUT", body: new Uint8Array([0, 255]) })); return [r.status, r.body]`, `[204,null]`, "", 200, `{"status":204,"url":"https://a.example/x","headers":[]}`, "", `PUT https://a.example/x follow [] "\x00\xff"`},
		{`return (await (await fetch("https://a.example/x")).json()).n`, `7`, "", 200, ok, `{"n":7}`, ""},
		{`return (await fetch("https://a.example/x")).status`, `404`, "", 200, `{"status":404,"url":"https://a.example/x","headers":[]}`, "no", ""},
		{`await fetch("https://a.example/x", { redirect: "error" })`, "", `TypeError: fetch GET https://a.example/x: it is redirected, and redirect is "error"`, 200, `{"status":302,"url":"https://a.example/x","headers":[["location","/y"]]}`, "", `GET https://a.example/x manual [] ""`},
		{`await fetch("https://a.example/x?secret=1")`, "", "TypeError: fetch GET https://a.example/x: the function may not send requests to https://a.example:443", 403, "the function may not send requests to https://a.example:443", "", ""},
		{`await fetch("https://a.example/x").catch(e => { throw e instanceof TypeError ? "connection refused" : e })`, "", "connection refused", 502, "dial", "", ""},
		{`await fetch("/x")`, "", "TypeError: Request: ", 200, ok, "", ""},
		{`await fetch("https://a.example", { method: "POST", body: "x".repeat(2e6) })`, "", "TypeError: fetch POST https://a.example/: a request may have 1048576 bytes, this one has 2000", 200, ok, "", ""},
		{`const s = AbortSignal.abort(); await fetch("https://a.example", { signal: s })`, "", "AbortError: ", 200, ok, "", ""},
	} {
		h := answersHTTP(t, func(_ context.Context, r fetched) (int32, string, string) {
			if asked := fmt.Sprintf("%s %s %s %s %q", r.Method, r.URL, r.Redirect, fmt.Sprint(r.Headers), r.body); c.asked != "" && asked != c.asked {
				t.Errorf("%s: asked %s, want %s", c.body, asked, c.asked)
			}
			return c.status, c.head, c.data
		})
		m := loadScript(t, r, handler(c.body), Settings{})
		res := m.Invoke(t.Context(), jsonEvent(`{}`), h)
		if string(res.Data) != c.reply || !strings.HasPrefix(res.Reason, c.reason) || c.reason == "" && res.Verdict != abi.Done {
			t.Errorf("%s: %q %q, want %q %q", c.body, res.Data, res.Reason, c.reply, c.reason)
		}
		if err := waiting(t, m).clean(); err != nil {
			t.Error(err)
		}
	}
}

// A signal ends a request, and what it had begun ends with it.
func TestSignalsEndFetches(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range []struct {
		body, reply string
		began       int32
	}{
		{`const c = new AbortController(); setTimeout(() => c.abort(), 1); return fetch("https://a.example", { signal: c.signal }).catch(e => e.name)`, "AbortError", 1},
		{`const c = new AbortController(); setTimeout(() => c.abort("mine"), 1); return fetch("https://a.example", { signal: c.signal }).catch(e => e)`, "mine", 1},
		{`return fetch("https://a.example", { signal: AbortSignal.timeout(5) }).catch(e => e.name)`, "TimeoutError", 1},
		{`const c = new AbortController(); const all = Array.from({ length: 70 }, () => fetch("https://a.example", { signal: c.signal })); setTimeout(() => c.abort(), 1); return (await Promise.allSettled(all)).map(r => r.reason.name).filter(n => n === "AbortError").length`, "70", 0},
		{`let n = 0; for (let i = 0; i < 200; i++) { const c = new AbortController(); const p = fetch("https://a.example", { signal: c.signal }); await 0; await 0; c.abort(); await p.catch(() => { n++ }) } return n`, "200", 0},
	} {
		var began, ended atomic.Int32
		h := answersHTTP(t, func(ctx context.Context, _ fetched) (int32, string, string) {
			began.Add(1)
			defer ended.Add(1)
			<-ctx.Done()
			return 502, "canceled", ""
		})
		m := loadScript(t, r, handler(c.body), Settings{})
		res := m.Invoke(t.Context(), jsonEvent(`{}`), h)
		if string(res.Data) != c.reply {
			t.Errorf("%s: %q %q, want %q", c.body, res.Data, res.Reason, c.reply)
		}
		if began.Load() != ended.Load() || c.began > 0 && began.Load() != c.began {
			t.Errorf("%s: %d began, %d ended", c.body, began.Load(), ended.Load())
		}
	}
}

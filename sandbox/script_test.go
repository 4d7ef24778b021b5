package sandbox

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

func jsonEvent(data string) *event.Event {
	return &event.Event{ID: "e1", Source: "/tests", Type: "dev.test", DataContentType: "application/json", Data: []byte(data)}
}

// handler is a script whose line 2 is the body of its handler.
func handler(body string) string {
	return "export default async function handle(event, context) {\n" + body + "\n}\n//# sourceURL=order.js\n"
}

// loadScript loads a script, whose top-level code must run.
func loadScript(t testing.TB, r *Runtime, text string, s Settings) *Module {
	t.Helper()
	if s.Function == "" {
		s.Function = "test"
	}
	m, err := r.Load(t.Context(), []byte(text), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.InitError(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestScriptReplies(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	typed := func(contentType, data string) *event.Event {
		e := jsonEvent(data)
		e.DataContentType = contentType
		return e
	}
	request := jsonEvent(`{"n":1}`)
	request.Request = []byte(`{"method":"PUT","path":"/x//","rawPath":"/x/%2F","route":"/x/{id}","params":{"id":"/"},"query":[["q","a b"],["q","&"]],"headers":[["a","1"],["a","2"],["euro","€"],["host","shop.example"],["x-forwarded-proto","https"]]}`)
	hostless := jsonEvent(`{}`) // HTTP/1.0, as probes send it
	hostless.Request = []byte(`{"method":"GET","path":"/x","rawPath":"/x","route":"/x","params":{},"query":[],"headers":[["host",""],["x-forwarded-proto","http"]]}`)
	for _, c := range []struct {
		name, text string
		event      *event.Event
		want       string
	}{
		{"request without a host", `export default e => new URL(e.request.url).href`, hostless, `http://localhost/x`},
		{"function", `export default function (event) { return { hello: event.data.name } }`, jsonEvent(`{"name":"Ada"}`), `{"hello":"Ada"}`},
		{"arrow", `export default e => e.data.n + 1`, jsonEvent(`{"n":1}`), `2`},
		{"exported by name", `const f = () => "named"; export { f as default }`, jsonEvent(`{}`), `named`},
		{"minified", `var o=e=>[e.data];export{o as default};`, jsonEvent(`1`), `[1]`},
		{"async", `export default async e => (await Promise.all([1, Promise.resolve(2)])).concat(await e.data)`, jsonEvent(`3`), `[1,2,3]`},
		{"top-level await", `const ready = await Promise.resolve("ready"); export default () => ready`, jsonEvent(`{}`), `ready`},
		{"thenable", `export default () => ({ then(done) { done("then") } })`, jsonEvent(`{}`), `then`},
		{"nothing", `export default () => {}`, jsonEvent(`{}`), ``},
		{"null", `export default () => null`, jsonEvent(`{}`), ``},
		{"bytes", `export default () => new Uint8Array([0, 65, 255, 66]).subarray(1, 3)`, jsonEvent(`{}`), "A\xff"},
		{"attributes", `export default e => [e.id, e.source, e.type, e.subject ?? "none", e.attributes.datacontenttype]`, jsonEvent(`{}`), `["e1","/tests","dev.test","none","application/json"]`},
		{"request", `export default e => [e.request.method, e.request.url, e.request.headers.get("a"), e.request.params.id, e.request === e.request, e.request.headers.get("euro").length]`, request, `["PUT","https://shop.example/x/%2F?q=a%20b&q=%26","1, 2","/",true,3]`},
		{"body of a request", `export default e => e.request.json()`, request, `{"n":1}`},
		{"bytes of an event", `export default e => [e.bytes() instanceof Uint8Array, ...e.bytes(), e.text()]`, jsonEvent(`1`), `[true,49,"1"]`},
		{"no request", `export default e => String(e.request)`, jsonEvent(`{}`), `undefined`},
		{"text", `export default e => e.data.toUpperCase()`, typed("text/plain; charset=utf-8", "grüße"), `GRÜSSE`},
		{"JSON by suffix", `export default e => e.data.a`, typed("application/problem+json", `{"a":"b"}`), `b`},
		{"JSON without a type", `export default e => e.data.a`, typed("", `{"a":"b"}`), `b`},
		{"form", `export default e => e.data`, typed("application/x-www-form-urlencoded", "a=b"), `a=b`},
		{"XML", `export default e => e.data.length`, typed("image/svg+xml; charset=utf-8", "<svg/>"), `6`},
		{"empty JSON", `export default e => typeof e.data`, typed("application/json", ""), `undefined`},
		{"empty text", `export default e => typeof e.data`, typed("text/plain", ""), `string`},
		{"binary", `export default e => [e.data instanceof ArrayBuffer, ...new Uint8Array(e.data)]`, typed("image/png", "\x00\xff"), `[true,0,255]`},
		{"text that is none", `export default e => new Uint8Array(e.data).length`, typed("text/plain", "a\xff"), `2`},
		{"no data", `export default e => typeof e.data`, &event.Event{ID: "e1", Source: "/tests", Type: "dev.test"}, `undefined`},
		{"env", `export default (e, context) => context.env.CURRENCY + context.env.EVOKE_FUNCTION`, jsonEvent(`{}`), `EURtest`},
		{"timers", `export default () => new Promise(done => { let s = ""; setTimeout(a => { s += a }, 1, "a"); const i = setInterval(() => { s += "b"; clearInterval(i); setTimeout(() => done(s + "c"), 0) }, 2) })`, jsonEvent(`{}`), `abc`},
		{"time", `const loaded = Date.now(); export default () => Date.now() >= loaded && Date.now() > 1.7e12`, jsonEvent(`{}`), `true`},
		{"big data", `export default e => e.data.length`, jsonEvent(`"` + strings.Repeat("x", 1<<20) + `"`), `1048576`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := loadScript(t, r, c.text, Settings{Env: map[string]string{"CURRENCY": "EUR"}})
			for range 2 {
				if res := m.Invoke(t.Context(), c.event, &fakeHost{}); res.Verdict != abi.Done || string(res.Data) != c.want {
					t.Errorf("%q, want %q; %s %q", res.Data, c.want, res.Class, res.Reason)
				}
				if err := waiting(t, m).clean(); err != nil {
					t.Error(err)
				}
			}
			if m.Kind() != KindScript || len(m.Warnings()) != 0 {
				t.Errorf("%q %q", m.Kind(), m.Warnings())
			}
		})
	}
}

// What an event leaves behind, none of the next ones finds.
func TestScriptsAreIsolated(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for name, body := range map[string]string{
		"a global":          `const seen = globalThis.seen; globalThis.seen = event.data; return String(seen)`,
		"a global function": `const seen = globalThis.leak?.(); globalThis.leak = () => event.data; return String(seen)`,
		"a prototype":       `const seen = ({}).seen; Object.prototype.seen = event.data; return String(seen)`,
		"a built-in":        `const seen = JSON.parse("1"); JSON.parse = () => 2; return seen === 1 ? "undefined" : "seen"`,
		"a timer":           `const seen = globalThis.fired; setTimeout(() => { globalThis.fired = 1 }, 0); await new Promise(r => setTimeout(r, 1)); return String(seen)`,
		"a pending promise": `const seen = globalThis.late; Promise.resolve().then(() => { globalThis.late = 1 }); return String(seen)`,
		"a frozen global":   `try { Object.freeze(globalThis); globalThis.x = 1 } catch {} return String(Object.isFrozen(globalThis) && globalThis.before)`,
		"module state":      `const before = handle.calls; handle.calls = (before ?? 0) + 1; return String(before)`,
		"console":           `const seen = console.seen; console.seen = 1; console.log = null; return String(seen)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := loadScript(t, r, handler(body), Settings{})
			for n := range 3 {
				res := m.Invoke(t.Context(), jsonEvent(fmt.Sprintf(`"secret %d"`, n)), &fakeHost{})
				if string(res.Data) != "undefined" || res.Verdict != abi.Done {
					t.Errorf("event %d found %q; %q", n, res.Data, res.Reason)
				}
			}
			if err := waiting(t, m).clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Two functions share the engine and nothing else, also when they run at the same time.
func TestScriptsShareTheEngineOnly(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	counter := func(name string) *Module {
		return loadScript(t, r, fmt.Sprintf("let n = 0; globalThis.own = %q; export default () => globalThis.own + ++n", name), Settings{Function: name})
	}
	modules := []*Module{counter("a"), counter("b"), counter("c")}
	if a, b := modules[0].current(), modules[1].current(); a.compiled != b.compiled {
		t.Error("the engine was compiled twice")
	}
	var wg sync.WaitGroup
	for n, m := range modules {
		for range 4 {
			wg.Go(func() {
				for range 50 {
					if res := m.Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{}); string(res.Data) != string(rune('a'+n))+"1" {
						t.Errorf("%q %q", res.Data, res.Reason)
					}
				}
			})
		}
	}
	wg.Wait()
	if err := modules[0].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := modules[1].Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{}); string(res.Data) != "b1" {
		t.Errorf("after another function was closed: %q %q", res.Data, res.Reason)
	}
}

// A snapshot would give every event the same numbers.
func TestScriptsDrawTheirOwnNumbers(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	m := loadScript(t, r, `export default () => Math.random()`, Settings{})
	other := loadScript(t, r, `export default () => Math.random()`, Settings{Function: "other"})
	seen := map[string]bool{}
	for range 200 {
		for _, m := range []*Module{m, other} {
			res := m.Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{})
			var n float64
			if err := json.Unmarshal(res.Data, &n); err != nil || n < 0 || n >= 1 || seen[string(res.Data)] {
				t.Fatalf("drew %s, before %v; %v", res.Data, seen[string(res.Data)], err)
			}
			seen[string(res.Data)] = true
		}
	}
}

func TestScriptsThatThrow(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range []struct {
		name, body string
		want       Result
	}{
		{"not there", `return new Intl.DateTimeFormat()`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "ReferenceError: Intl is not defined (functions have no Intl; date-fns formats dates without it) at handle (order.js:2:12)", RetryAfter: -1}},
		{"computed import", `const name = "./a"; await import(name)`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "ReferenceError: could not load module 'a' (an import() whose name is made when it runs is not in the bundle; write the name as a text in it)", RetryAfter: -1}},
		{"unknown", `return nothing`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "ReferenceError: nothing is not defined at handle (order.js:2:8)", RetryAfter: -1}},
		{"a name alone", `throw "Intl"`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "Intl", RetryAfter: -1}},
		{"error", `throw new Error("boom")`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "boom at handle (order.js:2:11)", RetryAfter: -1}},
		{"type error", `event.data.customer.name`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "TypeError: cannot read property 'name' of undefined at handle (order.js:2:1)", RetryAfter: -1}},
		{"after await", `await 0; await null.x`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "TypeError: cannot read property 'x' of null at handle (order.js:2:10)", RetryAfter: -1}},
		{"text", `throw "plain"`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "plain", RetryAfter: -1}},
		{"nothing", `throw undefined`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "undefined", RetryAfter: -1}},
		{"object", `throw { code: 7 }`, Result{Verdict: abi.Failed, Class: ClassError, Reason: `{"code":7}`, RetryAfter: -1}},
		{"what is no JSON", `throw { toJSON() { throw 1 } }`, Result{Verdict: abi.Failed, Class: ClassError, Reason: `{"toJSON":[Function: toJSON]}`, RetryAfter: -1}},
		{"what cannot be shown", `throw { get [Symbol.toStringTag]() { throw 1 } }`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "[it throws number]", RetryAfter: -1}},
		{"cycle", `const a = { n: 1 }; a.a = a; throw a`, Result{Verdict: abi.Failed, Class: ClassError, Reason: `{"n":1,"a":[Circular]}`, RetryAfter: -1}},
		{"cause", `throw new Error("no order", { cause: new TypeError("no row", { cause: "timeout" }) })`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "no order (cause: TypeError: no row (cause: timeout)) at handle (order.js:2:42)", RetryAfter: -1}},
		{"cause of itself", `const e = new Error("x"); e.cause = e; throw e`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "x (cause: Error: x (cause: Error: x (cause: Error: x (cause: Error: x (cause: Error: x))))) at handle (order.js:2:15)", RetryAfter: -1}},
		{"many", `await Promise.any([Promise.reject(new Error("one")), Promise.reject(new RangeError("two"))])`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "AggregateError (Error: one; RangeError: two) at handle (order.js:2:73)", RetryAfter: -1}},
		{"cause of a rejection", `throw Object.assign(new Error("bad", { cause: new Error("secret") }), { reject: true })`, Result{Verdict: abi.Rejected, Class: ClassRejected, Reason: "bad", RetryAfter: -1}},
		{"rejected, why not", `throw context.reject()`, Result{Verdict: abi.Rejected, Class: ClassRejected, Reason: "rejected without a reason", RetryAfter: -1}},
		{"rejected by an error", `throw context.reject(new TypeError("no number"))`, Result{Verdict: abi.Rejected, Class: ClassRejected, Reason: "no number", RetryAfter: -1}},
		{"rejected by an object", `throw context.reject({ code: 7 })`, Result{Verdict: abi.Rejected, Class: ClassRejected, Reason: `{"code":7}`, RetryAfter: -1}},
		{"later, but when", `throw context.retryAfter("soon")`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "TypeError: retryAfter: the time is a number of milliseconds, not soon at handle (order.js:2:15)", RetryAfter: -1}},
		{"a returned error", `return context.reject("bad")`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "TypeError: what the handler returned is an Error, of which JSON would keep nothing; throw it, or take its message", RetryAfter: -1}},
		{"a returned map", `return new Map([["a", 1]])`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "TypeError: what the handler returned is a Map, of which JSON would keep nothing; Object.fromEntries(it) is an object", RetryAfter: -1}},
		{"a returned stream", `return new Blob(["x"])`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "TypeError: what the handler returned is a Blob, of which JSON would keep nothing; as a reply, return new Response(it)", RetryAfter: -1}},
		{"state of a promise", `await context.state.set("a", Promise.resolve(1))`, Result{Verdict: abi.Failed, Class: ClassError, Reason: `TypeError: the value of "a" is a Promise, of which JSON would keep nothing; await it at handle (order.js:2:38)`, RetryAfter: -1}},
		{"emitted set", `context.emit("t", { type: "x", data: new Set([1]) })`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "TypeError: the data of the event is a Set, of which JSON would keep nothing; [...it] is an array at handle (order.js:2:42)", RetryAfter: -1}},
		{"emitted text", `context.emit("t", "x")`, Result{Verdict: abi.Failed, Class: ClassError, Reason: `TypeError: an event is an object such as { type: "com.example.order", data }, not string at handle (order.js:2:9)`, RetryAfter: -1}},
		{"hostile proxy", `throw new Proxy({}, { get() { throw 1 } })`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "it threw something that cannot be shown", RetryAfter: -1}},
		{"rejected", `throw context.reject("no such customer")`, Result{Verdict: abi.Rejected, Class: ClassRejected, Reason: "no such customer", RetryAfter: -1}},
		{"later", `throw context.retryAfter(1500, "busy")`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "busy at handle (order.js:2:15)", RetryAfter: 1500 * time.Millisecond}},
		{"much later", `throw context.retryAfter(1e300)`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "asked to be called again later at handle (order.js:2:15)", RetryAfter: maxRetryAfter / time.Millisecond * time.Millisecond}},
		{"never settles", `await new Promise(() => {})`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "the handler's promise never settles: there is nothing left that it could wait for", RetryAfter: -1}},
		{"large reply", `return "x".repeat(2e6)`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "the reply is larger than 1 MiB", RetryAfter: -1}},
		{"cyclic reply", `const a = {}; a.a = a; return a`, Result{Verdict: abi.Failed, Class: ClassError, Reason: "TypeError: circular reference at stringify (native)", RetryAfter: -1}},
		{"data that is not JSON", "\n\nreturn event.data.a", Result{Verdict: abi.Failed, Class: ClassError, Reason: "SyntaxError: unexpected token: 'broken' at <input>:1:1, at parse (native), at handle (order.js:4:8)", RetryAfter: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := loadScript(t, r, handler(c.body), Settings{})
			data := `{}`
			if strings.Contains(c.name, "not JSON") {
				data = `broken`
			}
			res := m.Invoke(t.Context(), jsonEvent(data), &fakeHost{})
			if res.Verdict != c.want.Verdict || res.Class != c.want.Class || res.Reason != c.want.Reason || res.RetryAfter != c.want.RetryAfter {
				t.Errorf("%v %s %q %v\nwant %v %s %q %v", res.Verdict, res.Class, res.Reason, res.RetryAfter, c.want.Verdict, c.want.Class, c.want.Reason, c.want.RetryAfter)
			}
			if err := waiting(t, m).clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The reason says what was missing also when there is no room for an exception.
func TestScriptsRunOutOfMemory(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, body := range []string{
		`const a = "\u00e9".repeat(1e5); return Array(60).fill(a)`,
		`const keep = []; for (let n = 1 << 20; n > 4; n >>= 1) try { for (;;) keep.push("x".repeat(n)) } catch {} return JSON.stringify(keep)`,
		`try { "x".repeat(1e8) } catch {} throw null`, // which is what there is when an exception finds no room
	} {
		res := loadScript(t, r, handler(body), Settings{Memory: 3 << 20}).Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{})
		if said, ok := strings.CutPrefix(res.Reason, "wanted more memory than its limit of 3Mi and then died: "); res.Class != ClassMemory || !ok || !strings.Contains(said, "out of memory") {
			t.Errorf("%s: %s %q", body, res.Class, res.Reason)
		}
	}
}

// The place is told by the exception that the engine throws, or by what its stack holds when it was stopped inside of one long operation.
func TestStoppedScriptsSayWhere(t *testing.T) {
	t.Parallel()
	m := loadScript(t, newRuntime(t), "function spin(n) {\n  for (;;) n++\n}\n"+
		"export default e => {\n  if (e.data) return spin(0)\n  for (;;) new Uint8Array(1e7).fill(1)\n}\n//# sourceURL=spin.js\n", Settings{})
	// Once in a while the machine gives the script no time to say it. A test of what is said may try again.
	for data, want := range map[string]string{`true`: "at spin (spin.js:2:", `false`: "(spin.js:6:"} {
		said := ""
		for n := 0; n < 20 && !strings.Contains(said, want); n++ {
			said = m.Invoke(within(t, 50*time.Millisecond), jsonEvent(data), &fakeHost{}).Reason
		}
		if !strings.Contains(said, want) {
			t.Errorf("%s: said %q, want %q", data, said, want)
		}
	}
}

func TestScriptsThatDoNotStart(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range []struct{ name, text, class, reason string }{
		{"syntax", "export default () => {\n  const a = ;\n}", ClassInit, "the script's top-level code: SyntaxError: unexpected token in expression: ';' at f.js:2:"},
		{"TypeScript", "export default (event: Event): string => 'x'", ClassInit, "the script's top-level code: SyntaxError: "},
		{"throws", "const config = undefined\nexport default () => 1\nconfig.url", ClassInit, "the script's top-level code: TypeError: cannot read property 'url' of undefined at <anonymous> (f.js:3:1)"},
		{"import", "import _ from 'lodash'; export default () => 1", ClassInit, "the script's top-level code: ReferenceError: could not load module 'lodash'"},
		{"no function", "export default { handler() {} }", ClassInit, "the script's top-level code: TypeError: it has no function as its default export; write export default function (event, context) { … }, or export default { fetch(request) { … } }"},
		{"class", "export default class Shop { fetch() {} }", ClassInit, "TypeError: it has a class as its default export; write export default function (event, context) { … }, or export default { fetch(request) { … } }"},
		{"generator", "export default async function* (event) { yield 1 }", ClassInit, "TypeError: it has a generator as its default export; write export default function (event, context) { … }"},
		{"fetches", "const rates = await fetch('https://rates.example')\nexport default () => 1", ClassInit, "the script's top-level code: TypeError: fetch GET https://rates.example/: it is not possible before there is an event; move it into the handler"},
		{"default of no name", "export const _default = 1, f = () => 'export default'", ClassInit, "it has no function as its default export"},
		{"waits", "await new Promise(() => {}); export default () => 1", ClassInit, "the script's top-level code: it awaits something that does not come"},
		{"loops", "export default () => 1\nfor (;;) {}", ClassDeadline, " (in the script's top-level code)"},
		{"memory", "export default () => 1\nconst a = []; for (;;) a.push(new Uint8Array(1e6))", ClassMemory, "wanted more memory than its limit of 64Mi and then died: the script's top-level code: InternalError: out of memory at <anonymous> (f.js:2:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			limit := 30 * time.Second
			if c.class == ClassDeadline {
				limit = 200 * time.Millisecond
			}
			m, err := r.Load(t.Context(), []byte(c.text), Settings{Function: "f", InitTimeout: limit})
			if err != nil {
				t.Fatal(err)
			}
			e, _ := m.InitError().(*InitError)
			if e == nil || e.Class != c.class || !strings.Contains(e.Reason, c.reason) {
				t.Errorf("%+v, want %s %q", e, c.class, c.reason)
			}
			// Every event tries again and hears the same.
			if res := m.Invoke(within(t, limit), jsonEvent(`{}`), &fakeHost{}); res.Verdict != abi.Failed || res.Class != c.class {
				t.Errorf("%+v", res)
			}
		})
	}
	if _, err := r.Load(t.Context(), []byte("export default () => 1"), Settings{Memory: 1 << 20}); err == nil || !strings.Contains(err.Error(), "the module starts with 1152Ki of memory, its limit is 1Mi") {
		t.Error(err)
	}
}

func TestScriptsLogAndEmit(t *testing.T) {
	t.Parallel()
	m := loadScript(t, newRuntime(t), "console.warn('at the top')\n"+handler(`console.log("order", { id: 1 }, 2, undefined, null); console.error(new TypeError("bad")); console.debug("fine")
context.emit("orders.checked", { type: "checked", data: { id: event.data.id } })
context.emit("orders.checked", { type: "text", datacontenttype: "text/plain", data: "fine" })
context.emit("orders.checked", { type: "bytes", data: new Uint8Array([1, 255]) })
context.emit("orders.checked", { type: "none" })
context.emit("orders.checked", { toJSON: () => ({ type: "made", data: 1 }) })
try { context.emit("forbidden", { type: "x" }) } catch (e) { console.info(e.message) }
try { context.emit("orders.checked", 7) } catch (e) { console.info(e.message) }`), Settings{})
	h := &fakeHost{allowEmit: func(topic string) bool { return topic != "forbidden" }}
	res := m.Invoke(t.Context(), jsonEvent(`{"id":"o1"}`), h)
	want := []string{
		"WARN at the top", `INFO order {"id":1} 2 undefined null`, "ERROR TypeError: bad\n    at handle (order.js:3:72)", "DEBUG fine",
		`INFO the function may not emit to topic "forbidden"; add it to allow.emit`, `INFO an event is an object such as { type: "com.example.order", data }, not number`,
	}
	if len(h.lines) != len(want) || !slices.Equal(h.lines[:5], want[:5]) || !strings.HasPrefix(h.lines[5], want[5]) {
		t.Errorf("logged %q\nwant   %q", h.lines, want)
	}
	var emitted []string
	for _, e := range res.Emitted {
		emitted = append(emitted, fmt.Sprintf("%s %s %s %q", e.Topic, e.Event.Type, e.Event.DataContentType, e.Event.Data))
	}
	if want := []string{
		`orders.checked checked application/json "{\"id\":\"o1\"}"`, `orders.checked text text/plain "fine"`, `orders.checked bytes application/octet-stream "\x01\xff"`,
		`orders.checked none  ""`, `orders.checked made application/json "1"`,
	}; !slices.Equal(emitted, want) {
		t.Errorf("emitted %q\nwant    %q; %q", emitted, want, res.Reason)
	}
}

func TestScriptsKeepStateAndReadSecrets(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	stored := map[string]string{"total": `{"cents":40}`, "raw": "\xff", "text": "plain"}
	h := func() *fakeHost {
		return &fakeHost{call: func(_ context.Context, op string, request []byte) (int32, []byte) {
			switch name := string(request); op {
			case abi.OpStateGet:
				if v, ok := stored[name]; ok {
					return abi.StatusOK, []byte(v)
				}
				return abi.StatusNotFound, nil
			case abi.OpStateSet:
				if string(request) != "\x05\x00\x00\x00total{\"cents\":41}" {
					t.Errorf("set %q", request)
				}
				return abi.StatusNoContent, nil
			case abi.OpStateList:
				switch string(request) {
				case "\x01\x00\x00\x00i": // two pages
					return abi.StatusPartial, []byte("\x02\x00\x00\x00i1\x03\x00\x00\x00i\"2")
				case "\x01\x00\x00\x00ii\"2":
					return abi.StatusOK, []byte("\x02\x00\x00\x00i3")
				case "\x00\x00\x00\x00":
					return abi.StatusOK, nil
				case "\x03\x00\x00\x00raw":
					return abi.StatusOK, []byte("\x01\x00\x00\x00\xff")
				}
				return abi.StatusTooLarge, nil
			case abi.OpStateDelete:
				return abi.StatusNoKey, []byte("the event has no key")
			case abi.OpSecretGet:
				if name == "key" {
					return abi.StatusOK, []byte("s3cret")
				}
			}
			return abi.StatusInternal, nil
		}}
	}
	for _, c := range []struct{ body, reply, reason string }{
		{`const t = await context.state.get("total"); t.cents++; await context.state.set("total", t); return t`, `{"cents":41}`, ""},
		{`return String(await context.state.get("none"))`, `undefined`, ""},
		{`return await context.state.get("text")`, "", "SyntaxError: "},
		{`return await context.state.get("raw")`, "", `state.get "raw": the value is not text in UTF-8, which is all that scripts read at `},
		{`await context.state.set("total", undefined)`, "", "TypeError: a value of state must be JSON; state.delete removes one at "},
		{`await context.state.set("total", "x".repeat(2e6))`, "", `state.set "total": too large; docs/abi.md, section 9, has the limits at `},
		{`await context.state.delete("total")`, "", `state.delete "total": the event has no key at `},
		{`return await context.state.list("i")`, `["i1","i\"2","i3"]`, ""},
		{`return await context.state.list()`, `[]`, ""},
		{`return await context.state.list("raw")`, "", `state.list "raw": the value is not text in UTF-8`},
		{`return await context.state.list("many")`, "", `state.list "many": too large; docs/abi.md, section 9, has the limits at `},
		{`return await context.secret("key")`, "s3cret", ""},
		{`return await context.secret("other")`, "", `secret.get "other": it failed with status 500 at `},
	} {
		res := loadScript(t, r, handler(c.body), Settings{}).Invoke(t.Context(), jsonEvent(`{}`), h())
		if string(res.Data) != c.reply || !strings.HasPrefix(res.Reason, c.reason) || c.reason == "" && res.Verdict != abi.Done {
			t.Errorf("%s: %q %q, want %q %q", c.body, res.Data, res.Reason, c.reply, c.reason)
		}
	}
}

// Each event of a batch has a verdict of its own.
func TestScriptsTakeBatches(t *testing.T) {
	t.Parallel()
	m := loadScript(t, newRuntime(t), handler(`if (event.data < 0) throw context.reject("negative"); context.emit("t", { type: "t", data: event.id }); return event.data`), Settings{})
	events := []*event.Event{jsonEvent(`1`), jsonEvent(`-1`), jsonEvent(`2`)}
	for n, e := range events {
		e.ID = fmt.Sprint("e", n)
	}
	res := m.InvokeBatch(t.Context(), events, &fakeHost{})
	if len(res.More) != 2 || res.Verdict != abi.Done || res.More[0].Verdict != abi.Rejected || res.More[0].Reason != "negative" || res.More[1].Verdict != abi.Done {
		t.Errorf("%+v", res)
	}
	if string(res.Data) != "1" {
		t.Errorf("replied %q", res.Data)
	}
}

// Scripts come back from files, and nobody runs their top-level code again. What they are made of is in their keys.
func TestScriptsComeBackFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{CacheDir: filepath.Join(dir, "cache"), ImageDir: filepath.Join(dir, "images")}
	text := []byte("console.log('ran'); export default () => Math.random() < 1 && 'fine'")
	for n, want := range []int{1, 0, 0} {
		func() {
			r := newCompilingRuntime(t, o)
			src := Source{Digest: "sha256:" + digestOf(text), Read: func() ([]byte, error) {
				if n > 0 {
					t.Error("the script is read again")
				}
				return bytes.Clone(text), nil
			}}
			m, err := r.Open(t.Context(), src, Settings{Function: "f"})
			if err != nil {
				t.Fatal(err)
			}
			if cold := m.current() == nil; cold != (n > 0) {
				t.Errorf("start %d: cold %v", n, cold)
			}
			h := &fakeHost{}
			for range 2 {
				if res := m.Invoke(t.Context(), jsonEvent(`{}`), h); string(res.Data) != "fine" {
					t.Errorf("%+v", res)
				}
			}
			if len(h.lines) != want {
				t.Errorf("start %d: logged %q", n, h.lines)
			}
			if n == 2 && !m.dropIfIdle(time.Now()) {
				t.Error("it stays in memory")
			}
			if res := m.Invoke(t.Context(), jsonEvent(`{}`), h); string(res.Data) != "fine" {
				t.Errorf("after it was dropped: %+v", res)
			}
			for _, f := range []string{m.knownFiles().module, m.knownFiles().engine, m.knownFiles().data, m.knownFiles().image} {
				if f == "" || !isFile(filepath.Join(o.ImageDir, f)) {
					t.Errorf("no file %q of %+v", f, m.knownFiles())
				}
			}
		}()
	}
}

func TestScriptsIgnoreReuse(t *testing.T) {
	t.Parallel()
	m := loadScript(t, newRuntime(t), `let n = 0; export default () => ++n`, Settings{Reuse: true})
	for range 2 {
		if res := m.Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{}); string(res.Data) != "1" {
			t.Errorf("%q %q", res.Data, res.Reason)
		}
	}
}

func TestCanceledScripts(t *testing.T) {
	t.Parallel()
	m := loadScript(t, newRuntime(t), handler(`console.log("began"); for (;;) {}`), Settings{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	res := m.Invoke(ctx, jsonEvent(`{}`), &cancelsAtLog{cancel: cancel})
	if res.Class != ClassCanceled {
		t.Errorf("%+v", res)
	}
	if err := waiting(t, m).clean(); err != nil {
		t.Error(err)
	}
}

// Whatever is uploaded and run, the sandbox itself does not fail.
func FuzzScript(f *testing.F) {
	r := newRuntime(f)
	for _, text := range []string{
		handler(`return event.data`), handler(`for (;;) {}`), handler(`throw context.reject(7)`), handler("await 0; return new Proxy({}, { get() { throw 1 } })"),
		"export default class {}", "export default 1", "export default function* () { yield 1 }", "export { default } from 'x'", "import.meta; export default async () => import('x')",
		"Object.prototype.then = f => f(1); export default () => ({})", "Object.freeze(Object.prototype); export default () => [1]", "delete globalThis.Promise; export default async () => 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !isScript([]byte(text)) {
			return
		}
		m, err := r.Load(t.Context(), []byte(text), Settings{Function: "f", InitTimeout: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(context.Background())
		if e, _ := m.InitError().(*InitError); e != nil && e.Class == ClassInternal {
			t.Error(e)
		}
		if res := m.Invoke(within(t, 100*time.Millisecond), jsonEvent(`{"a":1}`), &fakeHost{}); res.Class == ClassInternal {
			t.Errorf("%+v", res)
		}
		if waitingCount(m) == 1 {
			if err := waiting(t, m).clean(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestIsScript(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"export default () => 1": true, "/* " + strings.Repeat("licence ", 200) + "*/\nexport default function f() {}": true, "var a;export{a as default};": true,
		"": false, "\x00asm\x01\x00\x00\x00 export default": false, "module.exports = () => 1": false, "export const a = 1": false,
		"(module (export \"default\"))": false, "<p>export default</p>": false, "{\"export\": \"default\"}": false, "package main // export default": false,
		"#!/usr/bin/env node\nexport default 1": false, "export default '\x00'": false, "export default '\xff'": false,
	} {
		if got := isScript([]byte(text)); got != want {
			t.Errorf("%.60q: %v", text, got)
		}
	}
}

func TestNamesOfScripts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"x": "f.js", "x\n//# sourceURL=order.js": "order.js", "x\n//# sourceURL=src/order.js\n": "src/order.js", "x\n//@ sourceURL=a.mjs\n\n": "a.mjs",
		"//# sourceURL=early.js\nx": "f.js", "x\n//# sourceURL=a b.js": "f.js", "x\n//# sourceURL=": "f.js", "x\n//# sourceURL=" + strings.Repeat("a", 300): "f.js",
	} {
		if got := newScript([]byte(text), "f").name; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// cancelsAtLog is a host that cancels the invocation at its first line.
type cancelsAtLog struct {
	fakeHost
	cancel func()
}

func (h *cancelsAtLog) Log(slog.Level, string) { h.cancel() }

// What a script does to what it shares with the prelude is its own problem, and not the runtime's.
func TestScriptsThatTurnOnThePrelude(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for name, body := range map[string]string{
		"String":      `globalThis.String = () => ({ toString() { console.log("nested"); return "x" } }); console.log({ toJSON() { return undefined } }); context.emit({}, {})`,
		"map":         `Array.prototype.map = () => ({ join: () => ({ toString() { console.log("again"); return "x" } }) }); console.log(1)`,
		"join":        `Array.prototype.join = () => 7; console.log(1)`,
		"instanceof":  `return Object.create(ArrayBuffer.prototype)`,
		"subclass":    `class B extends ArrayBuffer { slice() { return 1 } } return new B(3)`,
		"view":        `const v = new Uint8Array(3); Object.defineProperty(v, "buffer", { value: { slice: () => ({}) } }); return v`,
		"then":        `Promise.prototype.then = function () {}; return 1`,
		"stack":       `Error.prepareStackTrace = () => { throw 1 }; throw new Error("x")`,
		"getter":      `const e = new Error("x"); Object.defineProperty(e, "stack", { get() { throw 1 } }); throw e`,
		"split":       `String.prototype.split = () => [{ trim: () => ({ toString() { for (;;) {} } }) }]; throw new Error("x")`,
		"timers":      `setTimeout(() => {}, { valueOf() { return NaN } }); Date.now = () => "x"; await new Promise(r => setTimeout(r, 1))`,
		"no timer":    `setTimeout("code", 0); await new Promise(() => {})`,
		"reject":      `throw { reject: true, toString: null, toJSON: null, retryAfter: -5 }`,
		"own getters": `throw { get reject() { throw 1 } }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := loadScript(t, r, handler(body), Settings{})
			for range 2 {
				if res := m.Invoke(within(t, time.Second), jsonEvent(`{}`), &fakeHost{}); res.Class == ClassInternal {
					t.Errorf("%+v", res)
				}
			}
			if err := waiting(t, m).clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a bundler has put together is told apart again.
func TestScriptsNameTheirSources(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	// esbuild of order.ts, whose line 5 is `  if (!o.items) throw new Error("no items");`
	const code = `// order.ts
function check(o) {
  if (!o.items) throw new Error("no items");
}
var order_default = (event) => check(event.data);
export {
  order_default as default
};
//# sourceURL=order.ts
`
	const sourceMap = `{"version":3,"sources":["order.ts"],"mappings":";AAGA;EACE,cAAc,MAAM;AACtB","names":[]}`
	for name, c := range map[string]struct{ comment, want string }{
		"map":         {base64.StdEncoding.EncodeToString([]byte(sourceMap)), "(order.ts:5:"},
		"none":        {"", "(order.ts:3:"},
		"no base64":   {"$$$", "(order.ts:3:"},
		"no JSON":     {base64.StdEncoding.EncodeToString([]byte("{")), "(order.ts:3:"},
		"no mappings": {base64.StdEncoding.EncodeToString([]byte(`{"version":3,"sources":[],"mappings":"AAAA;;AAGA!!"}`)), "(order.ts:3:"},
		"long paths":  {base64.StdEncoding.EncodeToString([]byte(`{"version":3,"sourceRoot":"` + strings.Repeat("a", 1<<20) + `","sources":["order.ts"` + strings.Repeat(`,""`, 300_000) + `],"mappings":";;AAAA"}`)), "(order.ts:3:"},
		"in sections": {base64.StdEncoding.EncodeToString([]byte(`{"version":3,"sections":[{"offset":{"line":0,"column":0},"map":{"version":3,"sourceRoot":"` + strings.Repeat("a", 1<<20) + `","sources":["order.ts"` + strings.Repeat(`,""`, 300_000) + `],"mappings":";;AAAA"}}]}`)), "(order.ts:3:"},
		"other file":  {base64.StdEncoding.EncodeToString([]byte(`{"version":3,"sources":["a\nb"],"mappings":";;AAAA"}`)), "(a\uFFFDb:1:"},
	} {
		text := code
		if c.comment != "" {
			text += mapComment[1:] + c.comment + "\n"
		}
		res := loadScript(t, r, text, Settings{}).Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{})
		if !strings.HasPrefix(res.Reason, "no items at check "+c.want) {
			t.Errorf("%s: %q, want %q", name, res.Reason, c.want)
		}
	}
}

// What a script says of where an error was made is looked at as far as it is told.
func TestManyFramesAreNotLookedAt(t *testing.T) {
	t.Parallel()
	s := newScript([]byte("x\n//# sourceURL=a.js"+mapComment+base64.StdEncoding.EncodeToString([]byte(`{"version":3,"sources":["b"],"mappings":";AAGA,SAAS"}`))), "f")
	many := slices.Repeat([]string{"at f (a.js:2:1)"}, 1_000_000)
	if got := s.original(many); len(got) > maxTrapText || got[0] != "at f (b:4:1)" {
		t.Errorf("%d, %q", len(got), got[0])
	}
	if got := s.original([]string{strings.Repeat("a", 1<<20)}); len(got) != 1 || len(got[0]) > maxTrapText {
		t.Errorf("%d, %d bytes", len(got), len(got[0]))
	}
}

func FuzzReadMap(f *testing.F) {
	f.Add([]byte(`{"version":3,"sources":["a"],"mappings":";AAGA,SAAS"}`))
	f.Add([]byte(`{"version":3,"sections":[{"offset":{"line":0,"column":0},"map":{"version":3,"sources":["a"],"mappings":"AAAA"}}]}`))
	f.Fuzz(func(t *testing.T, sourceMap []byte) {
		s := newScript([]byte("x\n//# sourceURL=a.js"+mapComment+base64.StdEncoding.EncodeToString(sourceMap)), "f")
		if s.name != "a.js" {
			t.Fatal(s.name)
		}
		for _, frame := range []string{"at f (a.js:1:1)", "at a.js:2:9", "at f (a.js:99999999999999999999:1)", "at f (native)"} {
			if got := s.original([]string{frame}); len(got) != 1 || len(got[0]) > len(frame)+2*maxFunctionName {
				t.Errorf("%q", got)
			}
		}
	})
}

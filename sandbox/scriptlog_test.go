package sandbox

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-sourcemap/sourcemap"

	"github.com/evoke-run/evoke/sdk/abi"
)

// What console shows of a value is what somebody who looks for a fault needs, not {}.
func TestScriptsShowValues(t *testing.T) {
	t.Parallel()
	cases := []struct{ values, want string }{
		{`"order", 1, -0, 2n, true, undefined, null, Symbol("s")`, `order 1 -0 2n true undefined null Symbol(s)`},
		{``, ``},
		{`"100%", 1`, `100% 1`},
		{`"%d%%"`, `%d%%`},
		{`"%s is %d, %i, %f %j %o%c %% %s", "bob", 42, "1.5", "1.5", { a: 1 }, ["x"], "css"`, `bob is 42, 1, 1.5 {"a":1} ["x"] % %s`},
		{`"%s", { a: 1 }, "more"`, `{"a":1} more`},
		{`{ a: 1, b: ["x\n"], c: null }`, `{"a":1,"b":["x\n"],"c":null}`},
		{`{ a: undefined, n: NaN, big: 10n, [Symbol("k")]: Symbol("v") }`, `{"a":undefined,"n":NaN,"big":10n,[Symbol(k)]:Symbol(v)}`},
		{`[1, , 3], []`, `[1,empty,3] []`},
		{`new Map([["a", 1], [{ b: 2 }, new Set([1, "x"])]])`, `Map(2) {"a" => 1,{"b":2} => Set(2) {1,"x"}}`},
		{`new Date(0), new Date(NaN), { at: new Date(0) }`, `1970-01-01T00:00:00.000Z Invalid Date {"at":"1970-01-01T00:00:00.000Z"}`},
		{`/a+/g, [/b/]`, `/a+/g [/b/]`},
		{`function foo() {}, () => 1, class A {}, class {}`, `[Function: foo] [Function] [class A] [class without a name]`},
		{`new (class Point { x = 1; #y = 2; get z() { return 3 } })`, `Point {"x":1}`},
		{`(() => { const a = { n: 1 }; a.self = a; a.list = [a]; return a })()`, `{"n":1,"self":[Circular],"list":[[Circular]]}`},
		{`(() => { const a = { n: 1 }; return [a, a] })()`, `[{"n":1},{"n":1}]`},
		{`{ get a() { throw new Error("no") }, toJSON: 1 }`, `{"a":[it throws Error: no],"toJSON":1}`},
		{`{ toJSON() { return { made: 1 } } }`, `{"made":1}`},
		{`new Uint8Array([1, 255]), new ArrayBuffer(2), new DataView(new ArrayBuffer(1))`, `Uint8Array(2) [1,255] ArrayBuffer(2) [0,0] DataView(1) [0]`},
		{`Promise.resolve(1), new WeakMap(), Object.create(null)`, `Promise {} WeakMap {} {}`},
		{`[new Number(1), new String("s")]`, `[[Number: 1],[String: "s"]]`},
		{`new Proxy({ a: 1 }, {})`, `{"a":1}`},
		{`new URL("http://a/b"), new URLSearchParams("a=1&a=2"), new Headers({ b: "c" })`, `http://a/b URLSearchParams {"a" => "1","a" => "2"} Headers {"b" => "c"}`},
		{`new Blob(["abc"], { type: "text/plain" })`, `Blob {"size":3,"type":"text/plain"}`},
		{`Array.from({ length: 102 }, () => 0).length, new Uint8Array(102)`, `102 Uint8Array(102) [` + strings.Repeat("0,", 100) + `… 2 more]`},
		{`new Set(Array.from({ length: 102 }, () => ({})))`, `Set(102) {` + strings.Repeat("{},", 100) + `… 2 more}`},
		{`["x".repeat(20000)]`, `["` + strings.Repeat("x", 16384) + `"… 3616 more]`},
		{`{ a: { a: { a: { a: { a: { a: { a: { a: { a: 1 } } } } } } } } }`, strings.Repeat(`{"a":`, 8) + `[Object]` + strings.Repeat("}", 8)},
		{`event`, `{"specversion":"1.0","id":"e1","source":"/tests","type":"dev.test","datacontenttype":"application/json","data":{"n":1}}`},
	}
	var text strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&text, "console.log(%s)\n", c.values)
	}
	m := loadScript(t, newRuntime(t), handler(text.String()), Settings{})
	h := &fakeHost{}
	e := jsonEvent(`{"n":1}`)
	if res := m.Invoke(t.Context(), e, h); res.Reason != "" || len(h.lines) != len(cases) {
		t.Fatalf("%q, %d lines, want %d: %q", res.Reason, len(h.lines), len(cases), h.lines)
	}
	for n, c := range cases {
		if got := strings.TrimPrefix(h.lines[n], "INFO "); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.values, got, c.want)
		}
	}
}

func TestScriptsHaveTheRestOfConsole(t *testing.T) {
	t.Parallel()
	m := loadScript(t, newRuntime(t), handler(`console.table([{ a: 1 }]); console.dir({ b: 2 }); console.group("g", 1); console.group(); console.groupEnd(); console.clear()
console.assert(1 < 2, "no"); console.assert(1 > 2, "one", { n: 1 }); console.assert(false); console.count(); console.count(); console.countReset(); console.count("x"); console.timeEnd("t"); console.time(); console.timeEnd()
console.trace("here", 1)`), Settings{})
	h := &fakeHost{}
	if res := m.Invoke(t.Context(), jsonEvent(`{}`), h); res.Reason != "" {
		t.Fatal(res.Reason)
	}
	want := []string{`INFO [{"a":1}]`, `INFO {"b":2}`, `INFO g 1`, `ERROR Assertion failed: one: {"n":1}`, `ERROR Assertion failed`, `INFO default: 1`, `INFO default: 2`, `INFO x: 1`, `WARN console: there is no timer "t"`,
		`INFO default: …`, "INFO Trace: here 1\n    at handle (order.js:4:9)"}
	if len(h.lines) == len(want) && strings.HasPrefix(h.lines[9], "INFO default: ") && strings.HasSuffix(h.lines[9], "ms") {
		h.lines[9] = "INFO default: …"
	}
	if !slices.Equal(h.lines, want) {
		t.Errorf("%q\nwant %q", h.lines, want)
	}
}

// An error that is logged says where in the sources it was made, with what it came of.
func TestScriptsLogErrors(t *testing.T) {
	t.Parallel()
	const sources = `{"version":3,"sources":["src/order.ts"],"names":[],"mappings":";AAUA"}` // the second line is line 11 of src/order.ts
	text := "\n" + `export default (event, context) => { const e = Object.assign(new Error("boom", { cause: new TypeError("inner") }), { code: "E1" }); console.error("failed", e); console.log(e.stack.trim().split("\n")[0]); context.log.warn("m", { e }); console.log("at noon (12:30)"); console.error(new AggregateError([new Error("one")], "many")); context.waitUntil(Promise.reject(e)) }` +
		mapComment + base64.StdEncoding.EncodeToString([]byte(sources)) + "\n"
	h := &fakeHost{}
	if res := loadScript(t, newRuntime(t), text, Settings{}).Invoke(t.Context(), jsonEvent(`{}`), h); res.Reason != "" {
		t.Fatal(res.Reason)
	}
	const at, boom = "at default (src/order.ts:11:1)", "Error: boom\n    at default (src/order.ts:11:1)\n    code: \"E1\"\n    cause: TypeError: inner\n        at default (src/order.ts:11:1)"
	want := []string{"ERROR failed " + boom, "INFO " + at, "WARN m e=" + fmt.Sprintf("%q", boom), "INFO at noon (12:30)",
		"ERROR AggregateError: many\n    " + at + "\n    Error: one\n        " + at, "ERROR waitUntil: " + boom}
	for n, line := range want {
		if n >= len(h.lines) || h.lines[n] != line {
			t.Errorf("line %d of %q\nwant %q", n, h.lines, line)
		}
	}
}

// What is beyond the limit of the log is not looked through for frames, which takes seconds for the gigabyte that a text may have.
func TestScriptsLogMuch(t *testing.T) {
	t.Parallel()
	frame := "at f (order.js:1:1)"
	for _, c := range []struct {
		name  string
		texts []string
		want  int
	}{{"little", []string{frame}, 1}, {"much", []string{strings.Repeat(frame, abi.MaxLog)}, 0}, {"behind the end", []string{strings.Repeat("x", abi.MaxLog), frame}, 0}} {
		looks, h := 0, &fakeHost{}
		s := &script{name: "order.js", encodedMap: []byte("x"), sources: func() *sourcemap.Consumer { looks++; return nil }}
		i := call{invocation: &invocation{program: &program{script: s}, log: guestLog{host: h}}}
		for _, text := range c.texts {
			if _, err := i.answer([]hostValue{textValue("log"), textValue("info"), textValue(text)}); err != nil {
				t.Error(err)
			}
		}
		if looks != c.want || len(h.lines) == 0 {
			t.Errorf("%s: looked %d times, %d lines", c.name, looks, len(h.lines))
		}
	}
}

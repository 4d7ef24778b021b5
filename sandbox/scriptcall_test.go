package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// replies is a host whose capabilities that take long answer with status and text of what they were asked.
func replies(answer func(ctx context.Context, op, head, body string) (int32, []byte)) *fakeHost {
	return &fakeHost{begin: func(op string, request []byte) func(context.Context, func(int) bool) (int32, []byte) {
		head, body, _ := abi.CutText(request)
		return func(ctx context.Context, _ func(int) bool) (int32, []byte) {
			return answer(ctx, op, head, string(body))
		}
	}}
}

// two is an answer in two parts.
func two(head, body string) []byte { return append(abi.AppendText(nil, head), body...) }

func TestScriptsInvoke(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range []struct {
		body, reply, reason string
		status              int32
		answer              []byte
		asked               string
	}{
		{`return await context.invoke("stock", { n: 1 })`, `{"left":2}`, "", 200, two("", `{"left":2}`), `stock {"type":"dev.evoke.invoke","datacontenttype":"application/json","data":{"n":1}}`},
		{`return typeof await context.invoke("stock", 1, { type: "take", subject: "tea" })`, `undefined`, "", 200, two("", ""), `stock {"type":"take","datacontenttype":"application/json","data":1,"subject":"tea"}`},
		{`return await context.invoke("stock")`, `plain`, "", 200, two("", "plain"), `stock {"type":"dev.evoke.invoke"}`},
		{`return [typeof await context.invoke("stock")]`, `["string"]`, "", 200, two(`{"datacontenttype":"text/csv"}`, "12"), ""},
		{`return (await context.invoke("stock")).n`, `7`, "", 200, two(`{"status":200,"headers":[["Content-Type","application/json"]]}`, `{"n":7}`), ""},
		{`return new Uint8Array(await context.invoke("stock", new Uint8Array([0, 255]).subarray(1)))`, "\xff\x00", "", 200, two("", "\xff\x00"), `stock {"type":"dev.evoke.invoke","datacontenttype":"application/octet-stream","data_base64":"/w=="}`},
		{`return await context.invoke("stock").catch(e => [e.message, e.verdict, e.status])`, `["invoke stock: sold out","rejected",422]`, "", 422, []byte("sold out"), ""},
		{`await context.invoke("stock")`, "", "invoke stock: it failed with status 500", 500, nil, ""},
		{`await context.invoke("stock")`, "", "SyntaxError: ", 200, two(`{"datacontenttype":"application/json"}`, `{`), ""},
		{`await context.invoke("stock", "x".repeat(2e6))`, "", "TypeError: invoke stock: a request may have 1048576 bytes, this one has 20000", 200, nil, ""},
	} {
		h := replies(func(_ context.Context, op, head, body string) (int32, []byte) {
			if asked := head + " " + body; op != abi.OpInvoke || c.asked != "" && asked != c.asked {
				t.Errorf("%s: asked %s %q, want %q", c.body, op, asked, c.asked)
			}
			return c.status, c.answer
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

// Each answer comes only when all have been asked for.
func TestScriptsCallAtTheSameTime(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	all.Add(3)
	h := replies(func(_ context.Context, _, head, _ string) (int32, []byte) {
		all.Done()
		all.Wait()
		return 200, two("", fmt.Sprintf("%q", head))
	})
	m := loadScript(t, newRuntime(t), handler(`const ticks = []; const i = setInterval(() => ticks.push(1), 1);
const all = await Promise.all(["a", "b", "c"].map(name => context.invoke(name))); clearInterval(i); return all`), Settings{})
	if res := m.Invoke(t.Context(), jsonEvent(`{}`), h); string(res.Data) != `["a","b","c"]` {
		t.Errorf("%q %q", res.Data, res.Reason)
	}
}

// So many calls are under way, more wait, and what is beyond is refused.
func TestScriptsCallWithinBounds(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	h := replies(func(_ context.Context, _, head, _ string) (int32, []byte) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		return 200, two("", head)
	})
	m := loadScript(t, newRuntime(t), handler(`const all = await Promise.allSettled(Array.from({ length: 3000 }, (_, n) => context.invoke("f" + n)));
return [all.filter(r => r.status === "fulfilled").length, all[1063].value, String(all[1064].reason), String(all[2999].reason)]`), Settings{})
	const refused = "64 calls are under way and 1000 more wait already; begin fewer at the same time"
	want := fmt.Sprintf(`[1064,"f1063","TypeError: invoke f1064: %s","TypeError: invoke f2999: %s"]`, refused, refused)
	if res := m.Invoke(within(t, 5*time.Minute), jsonEvent(`{}`), h); string(res.Data) != want {
		t.Errorf("%q %q", res.Data, res.Reason)
	}
	if most.Load() > abi.MaxCalls {
		t.Errorf("%d at once", most.Load())
	}
}

// A call that nobody waits for any more is canceled when the event is over, and a deadline says what was waited for.
func TestCallsOfScriptsEndWithTheEvent(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range []struct{ body, reply, reason string }{
		{`context.invoke("slow"); return "done"`, "done", ""},
		{`await Promise.race([context.invoke("slow"), new Promise(r => setTimeout(r, 1))]); return "timer"`, "timer", ""},
		{`context.invoke("slow"); throw context.reject("no")`, "", "no"},
		{`await context.invoke("slow")`, "", ": it waits for invoke slow"},
		{`setTimeout(() => {}, 1e6); await Promise.all([context.invoke("slow"), context.invoke("b"), context.invoke("c")])`, "", ": it waits for invoke slow and 2 more"},
	} {
		var began, ended atomic.Int32
		h := replies(func(ctx context.Context, _, _, _ string) (int32, []byte) {
			began.Add(1)
			defer ended.Add(1)
			<-ctx.Done()
			return 503, nil
		})
		m := loadScript(t, r, handler(c.body), Settings{})
		limit := 30 * time.Second
		if strings.HasPrefix(c.reason, ":") {
			limit = 100 * time.Millisecond
		}
		res := m.Invoke(within(t, limit), jsonEvent(`{}`), h)
		if string(res.Data) != c.reply || !strings.HasSuffix(res.Reason, c.reason) {
			t.Errorf("%s: %q %q, want %q %q", c.body, res.Data, res.Reason, c.reply, c.reason)
		}
		if began.Load() == 0 || began.Load() != ended.Load() {
			t.Errorf("%s: %d calls began, %d ended", c.body, began.Load(), ended.Load())
		}
		if err := waiting(t, m).clean(); err != nil {
			t.Error(err)
		}
	}
}

// What an event of a batch has left to be done is not done while the next one is handled.
func TestEventsOfABatchHaveTheirOwnCalls(t *testing.T) {
	t.Parallel()
	h := replies(func(ctx context.Context, _, head, _ string) (int32, []byte) {
		if head == "slow" {
			<-ctx.Done()
		}
		return 200, two("", "")
	})
	h.tried = 4
	m := loadScript(t, newRuntime(t), handler(`console.log(event.data, context.attempt); const late = () => console.log("late", event.data);
setTimeout(late, 0); context.waitUntil; if (event.data === 1) return void context.invoke("slow").then(late, late); await context.invoke("fast"); await new Promise(r => setTimeout(r, 2))`), Settings{})
	if res := m.InvokeBatch(t.Context(), []*event.Event{jsonEvent(`1`), jsonEvent(`2`)}, h); res.Verdict != abi.Done || res.More[0].Verdict != abi.Done {
		t.Errorf("%+v", res)
	}
	if want := []string{"INFO 1 5", "INFO 2 6", "INFO late 2"}; !slices.Equal(h.lines, want) {
		t.Errorf("logged %q, want %q", h.lines, want)
	}
}

func TestRejectionsThatNobodyHandlesAreLogged(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range []struct {
		body string
		want []string
	}{
		{`Promise.reject(new Error("lost")); return 1`, []string{"ERROR unhandled rejection: lost at handle (order.js:2:20)"}},
		{`(async () => { await 0; null.x })(); await new Promise(r => setTimeout(r, 1))`, []string{"ERROR unhandled rejection: TypeError: cannot read property 'x' of null at <anonymous> (order.js:2:25)"}},
		{`const p = Promise.reject(1); await p.catch(() => {}); await Promise.allSettled([Promise.reject(2)])`, nil},
		{`const p = Promise.reject(1); await 0; p.catch(() => {}); await 0`, nil},
		{`for (let i = 0; i < 150; i++) Promise.reject("x"); await 0; throw context.reject("over")`, append(slices.Repeat([]string{"ERROR unhandled rejection: x"}, 100), "ERROR unhandled rejection: 50 more")},
		{`const p = Array.from({ length: 150 }, () => Promise.reject(1)); await 0; return (await Promise.allSettled(p)).length`, nil},
		{`Promise.reject(new Proxy({}, { get() { throw 1 } })); return 1`, []string{"ERROR unhandled rejection: it threw something that cannot be shown"}},
	} {
		h := &fakeHost{}
		m := loadScript(t, r, handler(c.body), Settings{})
		if res := m.Invoke(t.Context(), jsonEvent(`{}`), h); res.Class == ClassError || res.Class == ClassInternal || !slices.Equal(h.lines, c.want) {
			t.Errorf("%s: %q logged %q, want %q", c.body, res.Reason, h.lines, c.want)
		}
		if err := waiting(t, m).clean(); err != nil {
			t.Error(err)
		}
	}
	h := &fakeHost{}
	loadScript(t, r, "Promise.reject(7)\nexport default () => 1", Settings{}).Invoke(t.Context(), jsonEvent(`{}`), h)
	if !slices.Equal(h.lines, []string{"ERROR unhandled rejection: 7"}) {
		t.Errorf("at the top: %q", h.lines)
	}
}

func TestContextsOfScripts(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range []struct {
		body, reply string
		lines       []string
	}{
		{`return [context.deadline instanceof Date, context.deadline > Date.now() + 5000, context.deadline < Date.now() + 11000, context.attempt]`, `[true,true,true,3]`, nil},
		{`context.log.info("taken", { id: "o 1", n: 1, list: [1], none: undefined, text: "plain" }); context.log.error("bad"); context.log.debug({ a: 1 }); context.log.warn(new TypeError("x"))`, ``,
			[]string{`INFO taken id="o 1" n=1 list=[1] none=undefined text=plain`, `ERROR bad`, `DEBUG {"a":1}`, "WARN TypeError: x\n    at handle (order.js:2:168)"}},
		{`context.waitUntil(new Promise(r => setTimeout(r, 2)).then(() => { console.log("behind"); context.waitUntil(Promise.reject(new Error("lost"))) })); return "done"`, `done`,
			[]string{"INFO behind", "ERROR waitUntil: Error: lost\n    at <anonymous> (order.js:2:127)"}},
		{`return event.text() + event.data.a`, `{"a":"é"}é`, nil},
	} {
		h := &fakeHost{tried: 2}
		res := loadScript(t, r, handler(c.body), Settings{}).Invoke(within(t, 10*time.Second), jsonEvent(`{"a":"é"}`), h)
		if string(res.Data) != c.reply || res.Verdict != abi.Done || !slices.Equal(h.lines, c.lines) {
			t.Errorf("%s: %q %q, logged %q", c.body, res.Data, res.Reason, h.lines)
		}
	}
	binary := &event.Event{ID: "e1", Source: "/tests", Type: "t", DataContentType: "image/png", Data: []byte("a\xff")}
	res := loadScript(t, r, handler(`return event.text()`), Settings{}).Invoke(t.Context(), binary, &fakeHost{})
	if string(res.Data) != "a\uFFFD" {
		t.Errorf("%q %q", res.Data, res.Reason)
	}
}

// What a handler leaves to be done is done though it fails, and an event behind it has nothing of it.
func TestScriptsThatFailWaitForWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	const later = `const later = () => context.waitUntil(new Promise(r => setTimeout(r, 2)).then(() => console.log("told")));`
	for _, text := range []string{
		"export default (event, context) => {" + later + `later(); throw new Error("no") }`,
		"export default async (event, context) => {" + later + `await null; later(); throw new Error("no") }`,
		"export default (event, context) => {" + later + `later(); return { status: 200, headers: [], async arrayBuffer() { later(); throw new Error("no") } } }`,
	} {
		h := &fakeHost{}
		res := loadScript(t, r, text, Settings{}).Invoke(within(t, 10*time.Second), jsonEvent(`{}`), h)
		if res.Verdict != abi.Failed || !strings.HasPrefix(res.Reason, "no ") && res.Reason != "no" || len(h.lines) == 0 || h.lines[len(h.lines)-1] != "INFO told" {
			t.Errorf("%s: %s %q, logged %q", text, res.Verdict.Name(), res.Reason, h.lines)
		}
	}
}

// What a handler returns as a Response is the reply, and what looks like one and is none is said to be.
func TestScriptsReplyWithResponses(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	request := jsonEvent(`{}`)
	request.Request = []byte(`{"method":"GET","path":"/x","rawPath":"/x","params":{},"query":[],"headers":[["host","shop.example"]]}`)
	const fake = `const response = (status, ...headers) => ({ status, headers, arrayBuffer: async () => new Uint8Array([79, 75]).buffer });`
	for _, c := range []struct{ body, reply, json, reason string }{
		{`return response(201, ["set-cookie", "a=1"], ["set-cookie", "b=2"])`, "OK", `{"status":201,"headers":[["set-cookie","a=1"],["set-cookie","b=2"]]}`, ""},
		{`context.waitUntil(new Promise(r => setTimeout(r, 1))); return response(200)`, "OK", `{"status":200,"headers":[]}`, ""},
		{`return response(101)`, "", "", "TypeError: the handler returned a Response with the status 101; those that can be sent are 200 to 599"},
		{`return response(NaN)`, "", "", "TypeError: the handler returned a Response with the status NaN; those that can be sent are 200 to 599"},
		{`return response(200, ["x", "y".repeat(2e6)])`, "", "", "TypeError: the headers of the Response are larger than 1 MiB"},
		{`return { status: 200, arrayBuffer() { return 7 }, headers: [] }`, "7", `{"status":200,"headers":[]}`, ""},
		{`return { status: 200, headers: 7, arrayBuffer() {} }`, "", "", "TypeError: "},
		{`return { ...response(200), arrayBuffer: () => new Promise(() => {}) }`, "", "", "the handler's promise never settles"},
	} {
		m := loadScript(t, r, handler(fake+c.body), Settings{})
		res := m.Invoke(t.Context(), request, &fakeHost{})
		if string(res.Data) != c.reply || string(res.Attributes) != c.json || !strings.HasPrefix(res.Reason, c.reason) || c.reason == "" && res.Verdict != abi.Done {
			if c.reason == "" || !strings.HasPrefix(res.Reason, c.reason) {
				t.Errorf("%s: %q %s %q, want %q %s %q", c.body, res.Data, res.Attributes, res.Reason, c.reply, c.json, c.reason)
			}
		}
		if err := waiting(t, m).clean(); err != nil {
			t.Error(err)
		}
	}
	// Of an event that is no HTTP request the type of the data is all that counts.
	res := loadScript(t, r, handler(fake+`return response(404, ["content-type", "text/html"], ["x", "y"])`), Settings{}).Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{})
	if string(res.Data) != "OK" || string(res.Attributes) != `{"datacontenttype":"text/html"}` {
		t.Errorf("%q %s %q", res.Data, res.Attributes, res.Reason)
	}
}

func TestScriptsThatExportFetch(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	request := jsonEvent(`{}`)
	request.Request = []byte(`{"method":"GET","path":"/x","rawPath":"/x","params":{},"query":[],"headers":[]}`)
	for _, c := range []struct {
		text   string
		event  *event.Event
		reason string
	}{
		{`export default { fetch() {} }`, request, "TypeError: fetch is to return a Response; it returned undefined"},
		{`export default { async fetch() { return null } }`, request, "TypeError: fetch is to return a Response; it returned null"},
		{`export default { fetch: () => "text" }`, request, "TypeError: fetch is to return a Response; it returned string"},
		{`export default { fetch: () => { throw new RangeError("no") } }`, request, "RangeError: no at fetch (test.js:1:"},
		{`export default { fetch: () => 1 }`, jsonEvent(`{}`), `event "e1" of type "dev.test" is no HTTP request, and this function exports { fetch }: give it http triggers only, and call it by its URL`},
	} {
		if res := loadScript(t, r, c.text, Settings{}).Invoke(t.Context(), c.event, &fakeHost{}); !strings.HasPrefix(res.Reason, c.reason) {
			t.Errorf("%s: %q, want %q", c.text, res.Reason, c.reason)
		}
	}
}

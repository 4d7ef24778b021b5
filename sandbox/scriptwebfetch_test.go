package sandbox

import "testing"

func webHeadersCases(t *testing.T, r *Runtime) {
	webCases{
		{"made of", `return [[...new Headers({ B: " x\t", a: 1 })], [...new Headers([["A", "1"], ["a", "2"]])], [...new Headers(new Headers({ c: "3" }))], [...new Headers()]]`, `[[["a","1"],["b","x"]],[["a","1, 2"]],[["c","3"]],[]]`},
		{"changed", `const h = new Headers({ a: "1", b: "2" }); h.append("A", "3"); h.set("B", "4"); h.delete("none"); return [h.get("a"), h.get("B"), h.get("none"), h.has("a"), h.has("x")]`, `["1, 3","4",null,true,false]`},
		{"cookies", `const h = new Headers([["Set-Cookie", "a=1"], ["x", "y"], ["set-cookie", "b=2"]]); return [h.getSetCookie(), [...h], [...new Headers(h)].length, h.get("set-cookie")]`, `[["a=1","b=2"],[["set-cookie","a=1"],["set-cookie","b=2"],["x","y"]],3,"a=1, b=2"]`},
		{"walked", `const h = new Headers({ b: "2", a: "1" }), seen = []; h.forEach((v, k, all) => seen.push(k + v + (all === h))); return [seen, [...h.keys()], [...h.values()], [...h.entries()].length]`, `[["a1true","b2true"],["a","b"],["1","2"],2]`},
		{"changed while walked", `const h = new Headers({ a: "1", c: "3" }), seen = []; for (const [k] of h) { seen.push(k); if (k === "a") h.set("b", "2") } return seen`, `["a","b","c"]`},
		{"name", `return thrown(() => new Headers({ "a b": "1" }))`, `TypeError: Headers.append: "a b" is not a header's name; it has letters, digits and -`},
		{"value", `return thrown(() => new Headers().set("a", "1\n2"))`, `TypeError: Headers.set: "1\n2" is not a header's value; it has no line breaks, and only characters up to U+00FF: use encodeURIComponent for others`},
		{"value beyond latin1", `return (await thrown(() => new Headers([["a", "€"]]))).startsWith("TypeError: Headers.append")`, `true`},
		{"pairs", `return thrown(() => new Headers([["a"]]))`, `TypeError: Headers: each entry must be a pair of name and value, one has 1 parts`},
		{"nothing", `return thrown(() => new Headers(null))`, `TypeError: Headers: they must be made of pairs or of an object`},
		{"not to be changed", `return thrown(() => Response.error().headers.set("a", "1"))`, `TypeError: Headers: these cannot be changed; make new ones of them, new Headers(these)`},
	}.run(t, r)
}

func webRequestsCases(t *testing.T, r *Runtime) {
	webCases{
		{"made", `const r = new Request("https://Example.com/a/../b?c#d", { method: "post", body: "hü", headers: { X: "1" } }); return [r.url, r.method, [...r.headers], r.redirect, r.mode, r.signal.aborted, String(r)]`,
			`["https://example.com/b?c#d","POST",[["content-type","text/plain;charset=UTF-8"],["x","1"]],"follow","cors",false,"[object Request]"]`},
		{"of a URL", `return new Request(new URL("/x", "http://h")).url`, `http://h/x`},
		{"of a request", `const a = new Request("http://h/", { method: "PUT", body: "data", headers: { a: "1" } }), b = new Request(a, { headers: { b: "2" } }); return [b.method, [...b.headers], await b.text(), a.bodyUsed, await thrown(() => a.text())]`,
			`["PUT",[["b","2"]],"data",true,"TypeError: text: the body has been read already, or is being read; clone() before reading gives a second one"]`},
		{"patch stays as it is", `return [new Request("http://h", { method: "patch" }).method, new Request("http://h", { method: "delete" }).method]`, `["patch","DELETE"]`},
		{"relative", `return thrown(() => new Request("/x"))`, `TypeError: Request: "/x" is not an absolute URL`},
		{"password", `return thrown(() => new Request("http://u:p@h/"))`, `TypeError: Request: the URL has a user and a password in it; put them into an Authorization header`},
		{"an @ in the path", `return new Request("http://h/@a?b@c").url`, `http://h/@a?b@c`},
		{"method", `return thrown(() => new Request("http://h", { method: "a b" }))`, `TypeError: Request: "a b" is not a method`},
		{"forbidden method", `return thrown(() => new Request("http://h", { method: "Trace" }))`, `TypeError: Request: the method Trace is not allowed`},
		{"GET with a body", `return thrown(() => new Request("http://h", { body: "x" }))`, `TypeError: Request: a request with the method GET has no body; give a method that has one, such as POST`},
		{"choices", `return thrown(() => new Request("http://h", { redirect: "maybe" }))`, `TypeError: Request: redirect is "follow", "error", "manual"; not "maybe"`},
		{"signal", `const c = new AbortController(), r = new Request("http://h", { signal: c.signal }), d = r.clone(); c.abort("over"); return [r.signal.aborted, r.signal.reason, d.signal.aborted]`, `[true,"over",true]`},
		{"no signal", `return thrown(() => new Request("http://h", { signal: {} }))`, `TypeError: Request: signal must be an AbortSignal`},
		{"form", `const r = new Request("http://h", { method: "POST", body: new URLSearchParams({ a: "1 2", b: "ü" }) }), c = r.clone(); return [r.headers.get("content-type"), await r.text(), [...await c.formData()]]`,
			`["application/x-www-form-urlencoded;charset=UTF-8","a=1+2&b=%C3%BC",[["a","1 2"],["b","ü"]]]`},
		{"files", `const f = new FormData(); f.append("a", "1\n2"); f.append("up\"load", new File(["con", new Uint8Array([0, 255])], "ü.bin", { type: "Image/PNG" })); const r = new Request("http://h", { method: "POST", body: f }), g = await r.formData(), u = g.get("up\"load");
			return [r.headers.get("content-type").startsWith("multipart/form-data; boundary="), g.get("a"), u.name, u.type, u.size, [...await u.bytes()]]`, `[true,"1\r\n2","ü.bin","image/png",5,[99,111,110,0,255]]`},
		{"no form", `return thrown(() => new Request("http://h", { method: "POST", body: "x" }).formData())`, `TypeError: formData: the content type "text/plain;charset=UTF-8" is no form's; it is application/x-www-form-urlencoded, or multipart/form-data with a boundary`},
		{"broken form", `return thrown(() => new Response("--x\r\nbroken", { headers: { "content-type": "multipart/form-data; boundary=x" } }).formData())`, `TypeError: formData: the body breaks off in part 1`},
	}.run(t, r)
}

func webResponsesCases(t *testing.T, r *Runtime) {
	webCases{
		{"made", `const r = new Response("text", { status: 201, statusText: "Made", headers: { a: "1" } }); return [r.status, r.statusText, r.ok, r.type, r.url, r.redirected, [...r.headers], await r.text(), r.bodyUsed]`,
			`[201,"Made",true,"default","",false,[["a","1"],["content-type","text/plain;charset=UTF-8"]],"text",true]`},
		{"nothing", `const r = new Response(); return [r.status, r.body, r.bodyUsed, await r.text(), await r.text(), r.bodyUsed]`, `[200,null,false,"","",false]`},
		{"json", `const r = Response.json({ a: [1] }, { status: 400 }); return [r.status, r.headers.get("Content-Type"), await r.json()]`, `[400,"application/json",{"a":[1]}]`},
		{"no json", `return [await thrown(() => Response.json(undefined)), await thrown(() => new Response("{").json())].map(e => e.slice(0, 12))`, `["TypeError: R","SyntaxError:"]`},
		{"redirect", `const r = Response.redirect("http://h/ü", 307); return [r.status, r.headers.get("location"), await thrown(() => Response.redirect("http://h", 200)), await thrown(() => Response.redirect("/x"))]`,
			`[307,"http://h/%C3%BC","RangeError: Response.redirect: a status is 301, 302, 303, 307 or 308, not \"200\"","TypeError: Response.redirect: \"/x\" is not an absolute URL; for a relative one, new Response(null, { status: 302, headers: { location } })"]`},
		{"error", `const r = Response.error(); return [r.type, r.status, r.ok]`, `["error",0,false]`},
		{"status", `return [await thrown(() => new Response("", { status: 199 })), await thrown(() => new Response("x", { status: 204 })), new Response(null, { status: 204 }).status]`,
			`["RangeError: Response: a status is from 200 to 599, not \"199\"","TypeError: Response: one with the status 204 has no body; give null",204]`},
		{"status text", `return thrown(() => new Response("", { statusText: "a\nb" }))`, `TypeError: Response: "a\nb" is not a status text; it has no line breaks, and only characters up to U+00FF`},
		{"bytes", `const made = new Uint8Array([1, 2, 3]), r = new Response(made.subarray(1)); made[1] = 9; return [[...new Uint8Array(await r.clone().arrayBuffer())], [...await r.bytes()], [...r.headers]]`, `[[2,3],[2,3],[]]`},
		{"blob", `const b = await new Response(new Blob(["a", "b"], { type: "Text/X" })).blob(); return [b.type, b.size, await b.text(), await b.slice(1).text()]`, `["text/x",2,"ab","b"]`},
		{"mark", `return await new Response(new Uint8Array([239, 187, 191, 97])).text()`, `a`},
		{"read twice", `const r = new Response("x"); await r.text(); return [await thrown(() => r.json()), await thrown(() => r.clone())]`,
			`["TypeError: json: the body has been read already, or is being read; clone() before reading gives a second one","TypeError: Response.clone: the body has been read already, or is being read; clone() before reading gives a second one"]`},
		{"read as a stream", `const r = new Response("text"), d = new TextDecoder(); let s = ""; for await (const c of r.body) s += d.decode(c, { stream: true }); return [s, r.bodyUsed, r.body.locked]`, `["text",true,false]`},
		{"of a stream", `const r = new Response(ReadableStream.from((async function* () { for (const c of "abc") { await 0; yield new TextEncoder().encode(c) } })())), c = r.clone(); return [await r.text(), await c.text(), r.bodyUsed, r.body.locked]`, `["abc","abc",true,true]`},
		{"of a stream of text", `return thrown(() => new Response(ReadableStream.from(["text"])).text())`, `TypeError: a chunk of the body is not a Uint8Array; encode text by TextEncoder`},
		{"of a stream in use", `const s = ReadableStream.from([]); s.getReader(); return thrown(() => new Response(s))`, `TypeError: Response: the stream is locked or has been read from`},
	}.run(t, r)
}

func webStreamsCases(t *testing.T, r *Runtime) {
	webCases{
		{"pulled", `let n = 0; const s = new ReadableStream({ pull(c) { c.enqueue(++n); if (n === 3) c.close() } }); const all = []; for await (const v of s) all.push(v); return all`, `[1,2,3]`},
		{"pushed later", `const s = new ReadableStream({ start(c) { setTimeout(() => { c.enqueue("late"); c.close() }, 1) } }), r = s.getReader(); return [await r.read(), await r.read(), await r.closed]`, `[{"done":false,"value":"late"},{"done":true},null]`},
		{"canceled by a break", `let why; const s = new ReadableStream({ pull(c) { c.enqueue(1) }, cancel(r) { why = String(r) } }); for await (const _ of s) break; return [why, s.locked]`, `["undefined",false]`},
		{"failed", `const s = new ReadableStream({ pull() { throw new Error("dry") } }); return [await thrown(() => s.getReader().read()), s.locked]`, `["Error: dry",true]`},
		{"locked", `const s = new ReadableStream(), r = s.getReader(); const first = await thrown(() => s.getReader()); r.releaseLock(); return [first, s.locked, await thrown(() => r.read())]`, `["TypeError: ReadableStream.getReader: the stream is locked by another reader",false,"TypeError: ReadableStreamDefaultReader: it was released"]`},
		{"tee", `const [a, b] = ReadableStream.from([1, 2]).tee(), all = []; for await (const v of a) all.push(v); for await (const v of b) all.push(v); return all`, `[1,2,1,2]`},
		{"after the end", `let c; new ReadableStream({ start(x) { c = x } }); c.close(); return [await thrown(() => c.enqueue(1)), c.desiredSize]`, `["TypeError: ReadableStream: a chunk after its end",0]`},
		{"byte streams", `return thrown(() => new ReadableStream({ type: "bytes" }))`, `TypeError: ReadableStream: there are no streams of type "bytes"; leave type out, chunks may be Uint8Arrays`},
		{"pipes", `return thrown(() => new ReadableStream().pipeThrough({}))`, `NotSupportedError: ReadableStream.pipeThrough: there are no transform streams; make a ReadableStream.from an async generator`},
	}.run(t, r)
}

func webURLsCases(t *testing.T, r *Runtime) {
	webCases{
		{"parts", `const u = new URL("https://u:p@Example.com:8443/a/./b/../c?x=1&y=ü#h"); return ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"].map(p => u[p]).concat(JSON.stringify({ u }))`,
			`["https://u:p@example.com:8443/a/c?x=1&y=%C3%BC#h","https://example.com:8443","https:","u","p","example.com:8443","example.com","8443","/a/c","?x=1&y=%C3%BC","#h","{\"u\":\"https://u:p@example.com:8443/a/c?x=1&y=%C3%BC#h\"}"]`},
		{"relative", `return [new URL("../x?y", "http://h/a/b/c").href, new URL("//o/p", "https://h").href, new URL("#f", new URL("http://h/a")).href]`, `["http://h/a/x?y","https://o/p","http://h/a#f"]`},
		{"none", `return [await thrown(() => new URL("/x")), await thrown(() => new URL("http://a b", "http://h")), URL.canParse("x:"), URL.canParse("/x"), URL.parse("/x")]`, `["TypeError: Invalid URL: \"/x\"","TypeError: Invalid URL: \"http://a b\" with base \"http://h\"",true,false,null]`},
		{"names of domains", `return [new URL("http://bücher.de").host, new URL("http://0x7f.1/").host, new URL("http://[::1]:80/").host]`, `["xn--bcher-kva.de","127.0.0.1","[::1]"]`},
		{"set", `const u = new URL("http://h/a"); u.protocol = "https"; u.port = "81"; u.pathname = "b c"; u.search = "q"; u.hash = "f"; u.hostname = "o"; u.port = "nothing"; return u.href`, `https://o:81/b%20c?q#f`},
		{"set to none", `const u = new URL("http://h/a"); return [await thrown(() => { u.href = "x" }), u.href]`, `["TypeError: Invalid URL: \"x\"","http://h/a"]`},
		{"parameters are live", `const u = new URL("http://h/?a=1&b=2"), p = u.searchParams; p.append("c", "3 4"); p.delete("a"); const first = u.href; u.search = "?z=9"; return [first, p.get("z"), p.size, p === u.searchParams, (u.href = "http://h/?n=1", p.get("n"))]`, `["http://h/?b=2&c=3+4","9",1,true,"1"]`},
		{"parameters", `const p = new URLSearchParams("?a=1&a=2&b=%F0%9F%98%80&c=%zz&=e&d"); return [p.getAll("a"), p.get("b"), p.get("c"), p.get(""), p.get("d"), p.has("a", "2"), p.has("a", "3"), String(p)]`, `[["1","2"],"😀","%zz","e","",true,false,"a=1&a=2&b=%F0%9F%98%80&c=%25zz&=e&d="]`},
		{"parameters of", `return [new URLSearchParams({ a: "1", b: "x y" }), new URLSearchParams([["a", "1"], ["a", "2"]]), new URLSearchParams(new Map([["m", "~!'()*"]])), new URLSearchParams(new URLSearchParams("q=1"))].map(String)`, `["a=1&b=x+y","a=1&a=2","m=%7E%21%27%28%29*","q=1"]`},
		{"parameters changed", `const p = new URLSearchParams("b=1&a=2&b=3&c=4"); p.set("b", "9"); p.delete("c", "5"); p.sort(); const q = new URLSearchParams("x=1&x=2"); q.delete("x", "1"); return [String(p), String(q), [...p.keys()], [...p.values()]]`, `["a=2&b=9&c=4","x=2",["a","b","c"],["2","9","4"]]`},
		{"arguments", `return thrown(() => new URLSearchParams().append("a"))`, `TypeError: URLSearchParams.append: 2 arguments are needed, there is 1`},
	}.run(t, r)
}

func webEventsCases(t *testing.T, r *Runtime) {
	webCases{
		{"dispatched", `const t = new EventTarget(), seen = []; t.addEventListener("x", e => seen.push(e.type, e.target === t, e.detail)); t.addEventListener("x", { handleEvent(e) { seen.push(e.eventPhase); e.preventDefault() } }, { once: true });
			return [t.dispatchEvent(new CustomEvent("x", { detail: 7, cancelable: true })), t.dispatchEvent(new CustomEvent("x", { detail: 8, cancelable: true })), seen]`, `[false,true,["x",true,7,2,"x",true,8]]`},
		{"removed", `const t = new EventTarget(); let n = 0; const f = () => n++, c = new AbortController(); t.addEventListener("x", f); t.addEventListener("x", f); t.addEventListener("x", () => n += 10, { signal: c.signal }); t.dispatchEvent(new Event("x")); t.removeEventListener("x", f); c.abort(); t.dispatchEvent(new Event("x")); return n`, `11`},
		{"stopped", `const t = new EventTarget(); let n = 0; t.addEventListener("x", e => { n++; e.stopImmediatePropagation() }); t.addEventListener("x", () => { n += 10 }); t.dispatchEvent(new Event("x")); return n`, `1`},
		{"a listener throws", `const t = new EventTarget(); let n = 0; t.addEventListener("x", () => { throw new Error("mine") }); t.addEventListener("x", () => n++); t.dispatchEvent(new Event("x")); return n`, `1`},
		{"extended", `class Mine extends EventTarget { go() { return this.dispatchEvent(new Event("go")) } } const m = new Mine(); let n = 0; m.addEventListener("go", () => n++); m.go(); return n`, `1`},
		{"aborted", `const c = new AbortController(), s = c.signal; let n = 0; s.onabort = () => n++; s.addEventListener("abort", () => n += 10); c.abort(); c.abort(); return [s.aborted, String(s.reason), n, await thrown(() => s.throwIfAborted())]`, `[true,"AbortError: The operation was aborted",11,"AbortError: The operation was aborted"]`},
		{"with a reason", `return [AbortSignal.abort("why").reason, await thrown(() => AbortSignal.abort(new RangeError("r")).throwIfAborted())]`, `["why","RangeError: r"]`},
		{"any", `const a = new AbortController(), b = new AbortController(), any = AbortSignal.any([a.signal, b.signal]), deeper = AbortSignal.any([any]); b.abort("b"); a.abort("a"); return [any.reason, deeper.reason, AbortSignal.any([a.signal, b.signal]).reason, AbortSignal.any([]).aborted]`, `["b","b","a",false]`},
		{"timeout", `const s = AbortSignal.timeout(1); await new Promise(r => s.addEventListener("abort", r)); return [s.aborted, s.reason.name]`, `[true,"TimeoutError"]`},
		{"no constructor", `return thrown(() => new AbortSignal())`, `TypeError: AbortSignal: there is no constructor; use new AbortController().signal, AbortSignal.abort(), .timeout() or .any()`},
	}.run(t, r)
}

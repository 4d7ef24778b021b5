package hostile

// Script is the body of an async function handle(event, context) in JavaScript that was written to hurt a runtime.
type Script struct {
	Name, Body string
	Class      string // of the result; "" = any failure, as the machine or the limits have it
	Want       string // part of the reason
}

// Endless says that only its deadline ends it.
func (s Script) Endless() bool { return s.Class == classDeadline }

// Scripts are all of them.
func Scripts() []Script {
	var all []Script
	for _, s := range endlessScripts {
		all = append(all, Script{s[0], s[1], classDeadline, notInTime})
	}
	return append(all, boundedScripts...)
}

// The first group loops in the script's own code, the second in what waits and what calls back, the third inside of one operation of the engine, and the last
// has long lines without a loop.
var endlessScripts = [][2]string{
	{"loop", `for (;;) {}`},
	{"loop that works", `let n = 0; for (;;) n++`},
	{"loop that catches", `for (;;) try { for (;;) {} } catch {}`},
	{"loop that goes on in the end", `for (;;) try { for (;;) {} } finally { continue }`},
	{"loop that looks at the clock", `while (Date.now() < 1e15) {}`},
	{"generator", `function* all() { for (;;) yield 1 } for (const one of all()) {}`},
	{"recursion that is caught", `const deeper = () => { try { deeper() } catch { deeper() } }; deeper()`},
	{"recursion again and again", `const deeper = () => deeper(); for (;;) try { deeper() } catch {}`},
	{"a Map that changes", `const m = new Map([[0, 0]]); for (const [k] of m) { m.delete(k); m.set(k + 1, 0) }`},
	{"far prototypes", `let o = {}; for (let i = 0; i < 1e5; i++) o = Object.create(o); for (;;) o.x`},

	{"loop of promises", `for (;;) await null`},
	{"jobs", `const again = () => queueMicrotask(again); again(); await new Promise(() => {})`},
	{"a promise of itself", `const t = { then(done) { done(t) } }; await t`},
	{"async generator", `async function* all() { for (;;) yield 1 } for await (const one of all()) {}`},
	{"loop of timers", `for (;;) await new Promise(r => setTimeout(r))`},
	{"an interval", `setInterval(() => {}, 0); await new Promise(() => {})`},
	{"a timer that is far away", `await new Promise(r => setTimeout(r, 1e9))`},
	{"a toString that loops", `throw { toJSON() { for (;;) {} } }`},
	{"a getter", `return { get a() { for (;;) {} } }`},
	{"a proxy", `return "a" in new Proxy({}, { has() { for (;;) {} } })`},
	{"a replacement", `return "a".repeat(1e5).replace(/a/g, () => { for (;;) {} })`},
	{"a reviver", `return JSON.parse("[1]", () => { for (;;) {} })`},

	{"hostile regexp", `return /(a+)+$/.test("a".repeat(50) + "b")`},
	{"another one", `return /^(\w+\s?)*$/.test("word ".repeat(30) + "!")`},
	{"filling", `const a = new Uint8Array(3e7); for (;;) a.fill(1)`},
	{"moving", `const a = new Uint8Array(3e7); for (;;) a.copyWithin(1, 0)`},
	{"sorting text", `for (;;) Array.from({ length: 1e5 }, (_, i) => "x" + i).sort()`},
	{"sorting by chance", `const a = Array.from({ length: 1e5 }, Math.random); for (;;) a.sort(() => Math.random() - 0.5)`},
	{"sorting numbers", `const a = new Float64Array(1e6).map(Math.random); for (;;) a.slice().sort()`},
	{"a number without end", `return (7n ** 4000000n).toString().length`},
	{"multiplying", `let n = 3n; for (;;) n = n * n % (1n << 200000n)`},
	{"reading a number", `for (;;) BigInt("9".repeat(3e5))`},
	{"searching", `const s = "a".repeat(2e6); for (;;) s.indexOf("a".repeat(1e6) + "b")`},
	{"repeating", `for (;;) "x".repeat(2e7)`},
	{"padding", `for (;;) "x".padStart(1e7, "ab")`},
	{"normal forms", `const s = "\u0344".repeat(1e5); for (;;) s.normalize("NFD")`},
	{"splitting", `for (;;) "a,".repeat(2e5).split(",").join("")`},
	{"escaping", `const s = "é".repeat(2e5); for (;;) encodeURIComponent(s)`},
	{"parsing", `const s = "[" + "1,".repeat(5e5) + "1]"; for (;;) JSON.parse(s)`},
	{"a sparse array", `const a = []; a[4294967290] = 1; return a.indexOf(2)`},
	{"a length of 2^53", `return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)`},
	{"compiling", `for (;;) new Function("return [" + "1,".repeat(1e4) + "]")`},

	{"calls of a long line", `const line = new Function("let a;" + "a;".repeat(2e5)); for (;;) line()`},
	{"a long line that repeats", `new Function("let a; for (;;) {" + "a;".repeat(2e5) + "}")()`},
}

var boundedScripts = []Script{
	{"recursion", `const deeper = n => deeper(n + 1) + 1; return deeper(0)`, "error", "RangeError: Maximum call stack size exceeded at deeper (order.js:2:"},
	{"one long string", `return "x".repeat(1e9)`, classMemory, "wanted more memory than its limit of 64Mi and then died: InternalError: out of memory at handle (order.js:2:12)"},
	{"a growing array", `const a = []; for (;;) a.push(new Uint8Array(1e6))`, classMemory, "wanted more memory than its limit of 64Mi"},
	{"a growing string", `let s = "x"; for (;;) s += s`, "", "order.js:2:"},
	{"a growing Map", `const m = new Map(); for (let i = 0;; i++) m.set(i, "x".repeat(1e5) + i)`, "", ""},
	{"endless spread", `return [...{ *[Symbol.iterator]() { for (;;) yield "x".repeat(1e4) } }]`, "", ""},
	{"an array of 2^30", `return Array.from({ length: 2 ** 30 }, () => 1)`, "", ""},
	{"recursion of the engine", `let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return JSON.stringify(a).length`, "", "order.js:2:"},
	{"parsing what is deep", `for (;;) try { JSON.parse("[".repeat(1e6)) } catch {}`, "", ""}, // the engine's own recursion: a trap, or the deadline when that comes first
	{"flattening", `let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a.flat(Infinity)`, "", ""},
	{"bound functions", `let f = () => 1; for (let i = 0; i < 1e5; i++) f = f.bind(null); return f()`, "", ""},
	{"proxies of proxies", `let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p.x`, "", ""},
	{"a deep regexp", `return new RegExp("(".repeat(1e5) + ")".repeat(1e5))`, "", ""},
	{"deep source", `return new Function("(".repeat(1e6))`, "", ""},
	{"source of 8 MB", `return new Function("a;".repeat(4e6))()`, "", ""},
}

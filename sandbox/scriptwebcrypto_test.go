package sandbox

import (
	"strings"
	"testing"

	"github.com/evoke-run/evoke/sdk/abi"
)

func webCryptoCases(t *testing.T, r *Runtime) {
	webCases{
		{"random", `const a = crypto.getRandomValues(new Uint32Array(4)), b = crypto.getRandomValues(new Uint32Array(4)); return [a.length, a.some(n => n > 255), a.join() !== b.join()]`, `[4,true,true]`},
		{"random, a part", `const a = new Uint8Array(9); crypto.getRandomValues(a.subarray(3, 6)); return [a[2], a[6]]`, `[0,0]`},
		{"too many", `return thrown(() => crypto.getRandomValues(new Uint8Array(65537)))`, `QuotaExceededError: crypto.getRandomValues: it gives 65536 bytes at most, not 65537; call it again for more`},
		{"no integers", `return thrown(() => crypto.getRandomValues(new Float64Array(1)))`, `TypeMismatchError: crypto.getRandomValues: the array must be one of integers`},
		{"uuid", `const u = crypto.randomUUID(); return [/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(u), u !== crypto.randomUUID()]`, `[true,true]`},
		{"digest", `const hex = b => [...new Uint8Array(b)].map(x => x.toString(16).padStart(2, "0")).join("").slice(0, 16), all = []; for (const h of ["SHA-1", "sha-256", { name: "SHA-384" }, "SHA-512"]) all.push(hex(await crypto.subtle.digest(h, new TextEncoder().encode("abc")))); return all`,
			`["a9993e364706816a","ba7816bf8f01cfea","cb00753f45a35e8b","ddaf35a193617aba"]`},
		{"no such hash", `return thrown(() => crypto.subtle.digest("MD5", new Uint8Array()))`, `NotSupportedError: crypto.subtle: there is no hash "MD5"; there are SHA-1, SHA-256, SHA-384, SHA-512`},
		{"hmac", `const e = s => new TextEncoder().encode(s), k = await crypto.subtle.importKey("raw", e("key"), { name: "HMAC", hash: "SHA-256" }, true, ["sign", "verify"]), s = await crypto.subtle.sign("HMAC", k, e("The quick brown fox jumps over the lazy dog"));
			return [new Uint8Array(s)[0], await crypto.subtle.verify("HMAC", k, s, e("The quick brown fox jumps over the lazy dog")), await crypto.subtle.verify("HMAC", k, s, e("other")), k.algorithm, k.type, k.usages, await crypto.subtle.exportKey("jwk", k)]`,
			`[247,true,false,{"name":"HMAC","hash":{"name":"SHA-256"},"length":24},"secret",["sign","verify"],{"kty":"oct","k":"a2V5","alg":"HS256","key_ops":["sign","verify"],"ext":true}]`},
		{"hmac of a JWK", `const k = await crypto.subtle.importKey("jwk", { kty: "oct", k: "a2V5" }, { name: "HMAC", hash: { name: "SHA-1" } }, true, ["sign"]); return [...new Uint8Array(await crypto.subtle.exportKey("raw", k))]`, `[107,101,121]`},
		{"ecdsa", `const { publicKey, privateKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, ["sign", "verify"]), data = new Uint8Array([1]), a = { name: "ECDSA", hash: "SHA-384" }, s = await crypto.subtle.sign(a, privateKey, data);
			const all = [s.byteLength, await crypto.subtle.verify(a, publicKey, s, data), await crypto.subtle.verify(a, publicKey, s, new Uint8Array([2]))];
			for (const f of ["raw", "spki", "jwk"]) { const k = await crypto.subtle.importKey(f, await crypto.subtle.exportKey(f, publicKey), { name: "ECDSA", namedCurve: "P-384" }, true, ["verify"]); all.push(await crypto.subtle.verify(a, k, s, data)) }
			for (const f of ["pkcs8", "jwk"]) { const k = await crypto.subtle.importKey(f, await crypto.subtle.exportKey(f, privateKey), { name: "ECDSA", namedCurve: "P-384" }, true, ["sign"]); all.push(await crypto.subtle.verify(a, publicKey, await crypto.subtle.sign(a, k, data), data)) }
			return all`, `[96,true,false,true,true,true,true,true]`},
		{"ed25519", `const { publicKey, privateKey } = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]), data = new Uint8Array([1]), s = await crypto.subtle.sign("Ed25519", privateKey, data), jwk = await crypto.subtle.exportKey("jwk", privateKey);
			const again = await crypto.subtle.importKey("jwk", jwk, "Ed25519", false, ["sign"]), raw = await crypto.subtle.importKey("raw", await crypto.subtle.exportKey("raw", publicKey), { name: "ed25519" }, true, ["verify"]);
			return [s.byteLength, jwk.kty, jwk.crv, await crypto.subtle.verify("Ed25519", raw, await crypto.subtle.sign("Ed25519", again, data), data), await crypto.subtle.verify("Ed25519", publicKey, s, new Uint8Array())]`, `[64,"OKP","Ed25519",true,false]`},
		{"aes-gcm", `const k = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]), a = { name: "AES-GCM", iv: crypto.getRandomValues(new Uint8Array(12)), additionalData: new Uint8Array([7]) }, s = await crypto.subtle.encrypt(a, k, new TextEncoder().encode("secret"));
			return [s.byteLength, new TextDecoder().decode(await crypto.subtle.decrypt(a, k, s)), await thrown(() => crypto.subtle.decrypt({ ...a, additionalData: new Uint8Array() }, k, s))]`, `[22,"secret","OperationError: it cannot be decrypted: another key, another iv, other additionalData, or changed on its way"]`},
		{"pbkdf2", `const e = s => new TextEncoder().encode(s), k = await crypto.subtle.importKey("raw", e("password"), "PBKDF2", false, ["deriveBits"]); return [...new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-1", salt: e("salt"), iterations: 2 }, k, 160))].slice(0, 4)`, `[234,108,1,77]`},
		{"hkdf", `const k = await crypto.subtle.importKey("raw", new Uint8Array(22).fill(11), "HKDF", false, ["deriveKey", "deriveBits"]), a = { name: "HKDF", hash: "SHA-256", salt: Uint8Array.from({ length: 13 }, (_, n) => n), info: Uint8Array.from({ length: 10 }, (_, n) => 240 + n) };
			const d = await crypto.subtle.deriveKey(a, k, { name: "AES-GCM", length: 128 }, true, ["encrypt"]); return [...new Uint8Array(await crypto.subtle.exportKey("raw", d))].slice(0, 4)`, `[60,178,95,37]`},
		{"usages", `const k = await crypto.subtle.importKey("raw", new Uint8Array(8), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]); return [await thrown(() => crypto.subtle.verify("HMAC", k, new Uint8Array(), new Uint8Array())), await thrown(() => crypto.subtle.exportKey("raw", k)), await thrown(() => crypto.subtle.sign("Ed25519", k, new Uint8Array()))]`,
			`["InvalidAccessError: crypto.subtle.verify: the key was made for sign; name \"verify\" among its usages","InvalidAccessError: crypto.subtle.exportKey: the key is not extractable; import it with extractable = true","InvalidAccessError: crypto.subtle.sign: the key is one of HMAC, not of Ed25519"]`},
		{"wrong usages", `return [await thrown(() => crypto.subtle.importKey("raw", new Uint8Array(8), { name: "HMAC", hash: "SHA-256" }, false, ["encrypt"])), await thrown(() => crypto.subtle.importKey("raw", new Uint8Array(8), { name: "HMAC", hash: "SHA-256" }, false, []))]`,
			`["SyntaxError: crypto.subtle: a secret key of HMAC is for sign, verify, not for \"encrypt\"","SyntaxError: crypto.subtle: a secret key needs usages: sign, verify"]`},
		{"what is not there", `return [await thrown(() => crypto.subtle.importKey("raw", new Uint8Array(16), "AES-CBC", false, ["encrypt"])), await thrown(() => crypto.subtle.generateKey({ name: "RSA-PSS", hash: "SHA-256" }, true, ["sign"])), await thrown(() => crypto.subtle.wrapKey())]`,
			`["NotSupportedError: crypto.subtle.importKey: there is no algorithm \"AES-CBC\"; there are HMAC, RSASSA-PKCS1-v1_5, RSA-PSS, ECDSA, Ed25519, AES-GCM, PBKDF2, HKDF","NotSupportedError: crypto.subtle.generateKey: there is no algorithm \"RSA-PSS\"; there are HMAC, ECDSA, Ed25519, AES-GCM","NotSupportedError: crypto.subtle.wrapKey: it is not there; export the key and encrypt it"]`},
		{"no key", `return [await thrown(() => crypto.subtle.importKey("spki", new Uint8Array(3), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"])), await thrown(() => crypto.subtle.importKey("jwk", { kty: "RSA", n: "AQ" }, { name: "RSA-PSS", hash: "SHA-256" }, true, ["verify"]))].map(m => m.split(": ").slice(0, 3).join(": "))`,
			`["DataError: crypto.subtle.importKey: it is not a key as spki","DataError: crypto.subtle.importKey: it is not a key as jwk"]`},
	}.run(t, r)
}

// What a snapshot holds is the same for all events, so nothing that must not be known is drawn for it.
func TestWebCryptoDrawsNothingBeforeAnEvent(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, draw := range []string{`crypto.randomUUID()`, `crypto.getRandomValues(new Uint8Array(1))`, `await crypto.subtle.generateKey("Ed25519", true, ["sign"])`} {
		m, err := r.Load(t.Context(), []byte("export const key = "+draw+"; export default () => 1"), Settings{Function: "f"})
		if err != nil {
			t.Fatal(err)
		}
		if e, _ := m.InitError().(*InitError); e == nil || !strings.Contains(e.Reason, "NotAllowedError: random numbers that are drawn before there is an event would be the same in all events. Try: draw them in the handler") {
			t.Errorf("%s: %v", draw, m.InitError())
		}
	}
	m := loadScript(t, r, `export default () => crypto.randomUUID()`, Settings{})
	seen := map[string]bool{}
	for range 20 {
		res := m.Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{})
		if res.Verdict != abi.Done || len(res.Data) != 36 || seen[string(res.Data)] {
			t.Fatalf("%q %q", res.Data, res.Reason)
		}
		seen[string(res.Data)] = true
	}
}

func structuredCloneCases(t *testing.T, r *Runtime) {
	webCases{
		{"values", `const a = { n: 1, s: "x", u: undefined, b: 1n, d: new Date(0), r: /x/gi, l: [1, , 3], o: new Number(7) }, c = structuredClone(a); return [c !== a, "u" in c, c.b === 1n, c.d.getTime(), String(c.r), c.l.length, 1 in c.l, typeof c.o, c.o + 1]`, `[true,true,true,0,"/x/gi",3,false,"object",8]`},
		{"cycles", `const a = { l: [] }; a.self = a; a.l.push(a.l); const c = structuredClone(a); return [c.self === c, c.l[0] === c.l, c !== a]`, `[true,true,true]`},
		{"collections", `const k = {}, c = structuredClone(new Map([[k, new Set([k, 1])]])), [key, set] = [...c][0]; return [key !== k, set.has(key), set.has(1), set.size]`, `[true,true,true,2]`},
		{"bytes", `const b = new Uint8Array([1, 2, 3]), c = structuredClone({ all: b.buffer, part: b.subarray(1), view: new DataView(b.buffer, 1, 1) }); b[1] = 9; return [[...c.part], c.part.buffer === c.all, c.view.byteLength, c.view.buffer === c.all, c.part.constructor.name]`, `[[2,3],true,1,true,"Uint8Array"]`},
		{"errors", `class Mine extends RangeError {} const e = new Mine("m", { cause: { a: 1 } }), c = structuredClone(e), d = structuredClone(Object.assign(new Error("x"), { name: "Other" })); return [c instanceof RangeError, c.message, c.cause.a, c.stack === e.stack, d.name, d instanceof Error]`, `[true,"m",1,true,"Error",true]`},
		{"classes", `class P { #x = 1; a = 2; get g() { return 3 } } const c = structuredClone(new P()); return [c.constructor === Object, c]`, `[true,{"a":2}]`},
		{"getters", `return structuredClone({ get a() { return 7 } })`, `{"a":7}`},
		{"transferred", `const b = new ArrayBuffer(8), c = structuredClone({ b, v: new Uint8Array(b, 2) }, { transfer: [b] }); return [b.byteLength, c.b.byteLength, c.v.buffer === c.b, c.v.byteOffset]`, `[0,8,true,2]`},
		{"functions", `return [await thrown(() => structuredClone({ f: function go() {} })), await thrown(() => structuredClone(Symbol("s"))), await thrown(() => structuredClone([Promise.resolve()])), await thrown(() => structuredClone(new Headers()))]`,
			`["DataCloneError: structuredClone: the function go cannot be cloned","DataCloneError: structuredClone: Symbol(s) cannot be cloned","DataCloneError: structuredClone: a Promise cannot be cloned","DataCloneError: structuredClone: a Headers cannot be cloned"]`},
	}.run(t, r)
}

package sandbox

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/sdk/abi"
)

// A script pays for what it uses of the web platform: the image of one that uses nothing holds what it did before there was any.
func TestWebGlobalsAreMadeWhenTouched(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	load := func(text string) *Module { return loadScript(t, r, text, Settings{}) }
	plain := load(`export default () => 1`)
	const most = 101 // pages of 4 KiB: 330 KiB of the engine, and what script.js makes
	if n := heldPages(plain); n > most {
		t.Errorf("a script without web globals holds %d pages, more than %d", n, most)
	}
	for _, c := range []struct{ name, text, want string }{
		{"getter, then a property", `const kind = () => { const d = Object.getOwnPropertyDescriptor(globalThis, "Text" + "Encoder"); return d.get ? "lazy" : typeof d.value + d.writable + d.enumerable + d.configurable }
			export default () => [kind(), typeof globalThis["Text" + "Encoder"], kind()].join()`, `lazy,function,functiontruefalsetrue`},
		{"the whole group", `export default () => { globalThis["Text" + "Encoder"]; return String(Object.getOwnPropertyDescriptor(globalThis, "Text" + "Decoder").get) }`, `undefined`},
		{"mentioned", `export default () => { const d = Object.getOwnPropertyDescriptor(globalThis, "TextEncoder"); return typeof d.value }`, `function`},
		{"replaced", `globalThis["Text" + "Encoder"] = 7; export default () => { globalThis["Text" + "Decoder"]; return [globalThis["Text" + "Encoder"], typeof globalThis["Text" + "Decoder"]].join() }`, `7,function`},
		{"at the top, and groups in groups", `const at = new TextEncoder().encode("top").length; export default () => [at, new TextEncoder().encode("event").length].join()`, `3,5`},
		{"self and navigator", `export default () => [self === globalThis, navigator.userAgent].join()`, `true,Evoke`},
	} {
		m := load(c.text)
		for range 2 {
			if res := m.Invoke(t.Context(), jsonEvent(`{}`), &fakeHost{}); string(res.Data) != c.want {
				t.Errorf("%s: %q, want %q; %q", c.name, res.Data, c.want, res.Reason)
			}
			if err := waiting(t, m).clean(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	if used := load(`new TextEncoder(); export default () => 1`); heldPages(used) <= heldPages(plain) {
		t.Errorf("with TextEncoder %d pages, without %d", heldPages(used), heldPages(plain))
	}
}

// heldPages is how many pages of a module's image are not zero.
func heldPages(m *Module) int {
	const page = 4096
	held := 0
	for image := m.current().snapshot.Load().image.Bytes(); len(image) >= page; image = image[page:] {
		for n := 0; n < page; n += 8 {
			if binary.LittleEndian.Uint64(image[n:]) != 0 {
				held++
				break
			}
		}
	}
	return held
}

// webCases are bodies of handlers, and what they return as text.
type webCases []struct{ name, body, want string }

// run runs them in one script each, so that what one does to its globals is its own.
func (cases webCases) run(t *testing.T, r *Runtime) {
	t.Helper()
	var text strings.Builder
	text.WriteString("const cases = {\n")
	for _, c := range cases {
		fmt.Fprintf(&text, "%q: async (event, context) => {\n%s\n},\n", c.name, c.body)
	}
	text.WriteString(`};
const thrown = async f => { try { await f() } catch (e) { return e.name + ": " + e.message } return "nothing" };
export default async (event, context) => { const v = await cases[event.data](event, context); return typeof v === "string" ? v : JSON.stringify(v) ?? "undefined" }
`)
	m := loadScript(t, r, text.String(), Settings{})
	for _, c := range cases {
		res := m.Invoke(t.Context(), jsonEvent(fmt.Sprintf("%q", c.name)), &fakeHost{})
		if string(res.Data) != c.want || res.Verdict != abi.Done {
			t.Errorf("%s: %s\nwant %s\n%s", c.name, res.Data, c.want, res.Reason)
		}
		if err := waiting(t, m).clean(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The tables share a runtime, which has the engine to compile.
func TestWeb(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for name, cases := range map[string]func(*testing.T, *Runtime){
		"WebEncoding":     webEncodingCases,
		"WebHeaders":      webHeadersCases,
		"WebRequests":     webRequestsCases,
		"WebResponses":    webResponsesCases,
		"WebStreams":      webStreamsCases,
		"WebURLs":         webURLsCases,
		"WebEvents":       webEventsCases,
		"WebCrypto":       webCryptoCases,
		"StructuredClone": structuredCloneCases,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cases(t, r)
		})
	}
}

func webEncodingCases(t *testing.T, r *Runtime) {
	webCases{
		{"encode", `return [...new TextEncoder().encode("aü€😀\0\ud800")]`, `[97,195,188,226,130,172,240,159,152,128,0,239,191,189]`},
		{"encode nothing", `return [new TextEncoder().encode().length, new TextEncoder().encoding]`, `[0,"utf-8"]`},
		{"encodeInto", `const b = new Uint8Array(4); return [new TextEncoder().encodeInto("a€€", b), ...b]`, `[{"read":2,"written":4},97,226,130,172]`},
		{"decode", `return new TextDecoder().decode(new Uint8Array([97, 195, 188, 226, 130, 172]).subarray(1))`, `ü€`},
		{"decode what is broken", `return new TextDecoder().decode(new Uint8Array([0xf0, 0x9f, 0x98, 0x41, 0xff, 0xe2, 0x82]))`, "\uFFFDA\uFFFD\uFFFD"},
		{"fatal", `return thrown(() => new TextDecoder("utf8", { fatal: true }).decode(new Uint8Array([255])))`, `TypeError: TextDecoder.decode: the data is not utf-8`},
		{"mark", `const b = new Uint8Array([239, 187, 191, 97]); return [new TextDecoder().decode(b), new TextDecoder("utf-8", { ignoreBOM: true }).decode(b).length]`, `["a",2]`},
		{"in pieces", `const d = new TextDecoder(); return [...new Uint8Array([239, 187, 191, 226, 130, 172, 240, 159, 152, 128, 226])].map(b => d.decode(new Uint8Array([b]), { stream: true })).join("|") + d.decode()`, "|||||€||||😀|\uFFFD"},
		{"utf-16le", `return new TextDecoder("utf-16").decode(new Uint8Array([0xff, 0xfe, 0x3d, 0xd8, 0x00, 0xde, 0x41, 0]).buffer)`, `😀A`},
		{"latin1", `const d = new TextDecoder("latin1"); return d.encoding + d.decode(new Uint8Array([0xe4, 0x80]))`, `windows-1252ä€`},
		{"label", `return thrown(() => new TextDecoder("shift_jis"))`, `RangeError: TextDecoder: there is no decoder of "shift_jis"; there are those of utf-8, utf-16le, utf-16be, windows-1252`},
		{"data", `return thrown(() => new TextDecoder().decode("text"))`, `TypeError: TextDecoder.decode: the data must be an ArrayBuffer or a view of one`},
		{"what it is", `return String(new TextEncoder()) + Object.keys(TextDecoder.prototype).sort()`, `[object TextEncoder]decode,encoding,fatal,ignoreBOM`},
	}.run(t, r)
}

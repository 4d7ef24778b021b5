package sandbox

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// A handler that counts its events and says how it was warmed.
const counts = "let n = 0; export default async (event, context) => { n++; %s; return [n, event.data] }\n//# sourceURL=order.js\n"

func TestScriptsAreWarmed(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range []struct{ name, body, reply, warning string }{
		{"nothing", ``, `[2,7]`, ""},
		{"emits, logs and waits", `context.emit("orders", { type: "t" }); console.log("warm"); await new Promise(r => setTimeout(r, 1e8))`, `[2,7]`, ""},
		{"knows that it is the warm-up", `if (context.attempt === 0 && event.data !== "warm") throw 1`, `[2,7]`, ""},
		{"throws", `if (event.data === "warm") throw new Error("not yet")`, `[2,7]`, "the warm-up ended early: not yet at default (order.js:1:"},
		{"asks", `if (n < 2) await context.state.get("x")`, `[2,7]`, `the warm-up ended early: state.get is not possible in the warm-up at `},
		{"invokes", `if (n < 2) await context.invoke("x")`, `[2,7]`, `the warm-up ended early: TypeError: invoke x: it is not possible in the warm-up at `},
		{"never ends", `if (n < 2) await new Promise(() => {})`, `[2,7]`, "the warm-up ended early: the handler's promise never settles"},
		{"leaves something", `if (event.data === "warm") { setTimeout(() => { n = 100 }, 0); Promise.reject(1); Promise.resolve().then(() => { n += 10 }) } else await new Promise(r => setTimeout(r, 1))`, `[12,7]`, ""},
		{"takes all memory", `if (event.data === "warm") { const a = []; for (;;) a.push(new Uint8Array(1e6)) }`, `[1,7]`, "the function is not warmed up: wanted more memory than its limit of 64Mi and then died: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := loadScript(t, r, strings.Replace(counts, "%s", c.body, 1), Settings{Warm: jsonEvent(`"warm"`)})
			if said := strings.Join(m.Warnings(), "\n"); !strings.HasPrefix(said, c.warning) || c.warning == "" && said != "" {
				t.Errorf("warned of %q, want %q", said, c.warning)
			}
			if c.name == "emits, logs and waits" {
				return
			}
			for range 2 {
				h := &fakeHost{}
				if res := m.Invoke(t.Context(), jsonEvent(`7`), h); string(res.Data) != c.reply || len(h.lines) > 0 {
					t.Errorf("%q %q, logged %q; want %s", res.Data, res.Reason, h.lines, c.reply)
				}
			}
		})
	}
}

// A warm-up has a third of the time for initialisation. One without end costs it, and then the function is as without.
func TestWarmUpsAreStopped(t *testing.T) {
	t.Parallel()
	text := strings.Replace(counts, "%s", `if (event.data === "warm") for (;;) ;`, 1)
	m := loadScript(t, newRuntime(t), text, Settings{Warm: jsonEvent(`"warm"`), InitTimeout: 6 * time.Second})
	if said := m.Warnings(); len(said) != 1 || !strings.HasPrefix(said[0], "the function is not warmed up: did not finish within 2s (in the warm-up)") {
		t.Errorf("%q", said)
	}
	if res := m.Invoke(t.Context(), jsonEvent(`7`), &fakeHost{}); string(res.Data) != `[1,7]` {
		t.Errorf("%q %q", res.Data, res.Reason)
	}
}

// The event is part of what a snapshot follows from, and what was wrong with the warm-up is said again.
func TestWarmSnapshotsAreFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{CacheDir: filepath.Join(dir, "cache"), ImageDir: filepath.Join(dir, "images")}
	text := strings.Replace(counts, "%s", `if (event.data === "bad") throw "bad"`, 1)
	for _, c := range []struct{ warm, reply, warning string }{
		{`"bad"`, `[2,7]`, "the warm-up ended early: bad; what ran until then is warm"}, {`"bad"`, `[2,7]`, "the warm-up ended early: bad; what ran until then is warm"}, {`"good"`, `[2,7]`, ""}, {"", `[1,7]`, ""},
	} {
		s := Settings{}
		if c.warm != "" {
			s.Warm = jsonEvent(c.warm)
		}
		m := loadScript(t, newCompilingRuntime(t, o), text, s)
		if said := strings.Join(m.Warnings(), "\n"); said != c.warning {
			t.Errorf("%s: warned of %q, want %q", c.warm, said, c.warning)
		}
		if res := m.Invoke(t.Context(), jsonEvent(`7`), &fakeHost{}); string(res.Data) != c.reply {
			t.Errorf("%s: %q %q", c.warm, res.Data, res.Reason)
		}
	}
	if images, _ := filepath.Glob(filepath.Join(o.ImageDir, "image-*")); len(images) != 3 {
		t.Errorf("%d images: %q", len(images), images)
	}
}

func TestOnlyScriptsAreWarmed(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	m, err := r.Load(t.Context(), w.Echo(), Settings{Function: "f", Warm: jsonEvent(`1`)})
	if err != nil {
		t.Fatal(err)
	}
	if said := m.Warnings(); !slices.ContainsFunc(said, func(s string) bool {
		return strings.HasPrefix(s, "warm is for functions in JavaScript, and this is none")
	}) {
		t.Errorf("%q", said)
	}
	if res := m.Invoke(t.Context(), jsonEvent(`7`), &fakeHost{}); res.Verdict != abi.Done {
		t.Errorf("%+v", res)
	}
}

package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/sandbox/wasmtest/hostile"
	"github.com/evoke-run/evoke/sdk/abi"
)

// Nothing that a script does goes on for long after its deadline or takes more than its memory, and the next event finds a clean instance.
func TestScriptsAreStopped(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for _, c := range hostile.Scripts() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			m := loadScript(t, r, strings.Replace(handler(c.Body), "context) {", `context) { if (event.data === "mild") return "fine";`, 1), Settings{})
			limit := 10 * time.Second
			switch {
			case c.Endless():
				limit = 200 * time.Millisecond
			case c.Class != "":
				limit = time.Minute // it ends by itself, on a busy machine late
			}
			res := m.Invoke(within(t, limit), jsonEvent(`{}`), &fakeHost{})
			if res.Verdict != abi.Failed || c.Class != "" && res.Class != c.Class || !strings.Contains(res.Reason, c.Want) {
				t.Errorf("%v %s %q, want %s %q", res.Verdict, res.Class, res.Reason, c.Class, c.Want)
			}
			if res := m.Invoke(t.Context(), jsonEvent(`"mild"`), &fakeHost{}); string(res.Data) != "fine" {
				t.Errorf("the event after it: %s %q", res.Class, res.Reason)
			}
			if err := waiting(t, m).clean(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Fuel of a script is the same for the same work, and grows with it.
func TestScriptsPayForTheirWork(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for name, body := range map[string]string{
		"loop":    `let n = 0; for (let i = 0; i < event.data; i++) n += i; return n`,
		"calls":   `const f = i => i < 2 ? i : f(i - 1) + 1; let n = 0; for (let i = 0; i < event.data / 100; i++) n += f(100); return n`,
		"regexp":  `return /^(?:a|b)*$/.test("ab".repeat(event.data))`,
		"JSON":    `return JSON.parse("[" + "12345,".repeat(event.data) + "1]").length`,
		"headers": `const h = new Headers(); for (let i = 0; i < event.data / 10; i++) h.append("x-" + i, "v"); return [...h].length`,
		"lines":   `return new Function("let a;" + "a;".repeat(event.data) + "return 1")()`,
	} {
		m := loadScript(t, r, handler(body), Settings{})
		fuel := func(n string) int64 {
			res := m.Invoke(within(t, time.Minute), jsonEvent(n), &fakeHost{})
			if res.Verdict != abi.Done {
				t.Fatalf("%s: %s", name, res.Reason)
			}
			return res.Bill.Fuel
		}
		few, again, many := fuel("10000"), fuel("10000"), fuel("40000")
		if few != again || few < 10_000 || many < 3*few || many > 5*few {
			t.Errorf("%s: %d, again %d, for four times the work %d", name, few, again, many)
		}
	}
}

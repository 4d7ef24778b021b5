package hostile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sandbox"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sandbox/wasmtest/hostile"
	"github.com/evoke-run/evoke/sdk/abi"
)

// short is the deadline of what never ends. What should end by itself has a minute.
const short = 100 * time.Millisecond

// denying is a host without capabilities.
type denying struct{}

func (denying) AllowEmit(string) bool { return true }
func (denying) Call(context.Context, string, []byte) (int32, []byte) {
	return abi.StatusDenied, nil
}
func (denying) Begin(string, []byte) func(context.Context, func(int) bool) (int32, []byte) {
	return nil
}
func (denying) Log(slog.Level, string)                          {}
func (denying) Yield(context.Context, int64)                    {}
func (denying) Attempt(int) int                                 { return 1 }
func (denying) Outside(_ context.Context, _ int64, wait func()) { wait() }

// house is a runtime with a good function that must go on working whatever else is loaded.
type house struct {
	runtime *sandbox.Runtime
	good    *sandbox.Module
}

func newHouse(t testing.TB) *house {
	t.Helper()
	r, err := sandbox.New(t.Context(), sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	good, err := r.Load(t.Context(), wasmtest.Echo(), sandbox.Settings{Function: "good"})
	if err != nil {
		t.Fatal(err)
	}
	return &house{r, good}
}

func anEvent() *event.Event {
	return &event.Event{ID: "e1", Source: "/tests", Type: "dev.test", Data: []byte("hello")}
}

// stillWorks asks the good function.
func (h *house) stillWorks(t *testing.T) {
	t.Helper()
	if res := h.good.Invoke(t.Context(), anEvent(), denying{}); res.Verdict != abi.Done || string(res.Data) != "hello" {
		t.Errorf("the good function: %+v", res)
	}
}

// load loads a module that ends by itself, or with killed is stopped.
func (h *house) load(t *testing.T, wasm []byte, killed bool) (*sandbox.Module, error) {
	t.Helper()
	s := sandbox.Settings{Function: "hostile", InitTimeout: time.Minute}
	if killed {
		s.InitTimeout = short
	}
	m, err := h.runtime.Load(t.Context(), wasm, s)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m, nil
}

func invoke(t *testing.T, m *sandbox.Module, timeout time.Duration) sandbox.Result {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return m.Invoke(ctx, anEvent(), denying{})
}

// Every hostile module ends as it should, with a message that helps and harms nobody; the good function beside it goes on, and the process is no larger
// than before.
func TestCorpus(t *testing.T) { // not parallel: it measures the process
	h := newHouse(t)
	before := measure()
	t.Run("cases", func(t *testing.T) {
		for _, c := range hostile.Cases() {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				if c.Heavy && raceDetector {
					t.Skip("takes too long under the race detector")
				}
				h.run(t, c)
				h.stillWorks(t)
			})
		}
	})
	before.compare(t, measure())
}

func (h *house) run(t *testing.T, c hostile.Case) {
	killed := c.End == hostile.Killed || c.Class == sandbox.ClassDeadline
	m, err := h.load(t, c.Wasm(), killed)
	if c.End == hostile.Refused {
		refusal(t, err, c.Want)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.End == hostile.Init {
		var failed *sandbox.InitError
		if !errors.As(m.InitError(), &failed) {
			t.Fatalf("it was initialised: %v", m.InitError())
		}
		message(t, failed.Class, failed.Reason, c)
	} else if err := m.InitError(); err != nil {
		t.Fatal(err)
	}
	timeout, events := time.Minute, 2 // the second event meets what the first has left
	if killed {
		timeout, events = short, 1
	}
	for range events {
		res := invoke(t, m, timeout)
		if c.End == hostile.Done {
			if res.Verdict != abi.Done {
				t.Fatalf("%s %q", res.Class, res.Reason)
			}
			continue
		}
		message(t, res.Class, res.Reason, c)
	}
}

// refusal checks that loading was refused in words, with advice.
func refusal(t *testing.T, err error, want []string) {
	t.Helper()
	var refused *sandbox.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("not refused: %v", err)
	}
	if refused.Advice == "" {
		t.Errorf("no advice: %v", err)
	}
	contains(t, err.Error(), want)
	if err := hostile.Printable(err.Error()); err != nil {
		t.Error(err)
	}
}

// message checks how a guest ended.
func message(t *testing.T, class, reason string, c hostile.Case) {
	t.Helper()
	want, parts := c.Class, c.Want
	if c.End == hostile.Killed {
		want, parts = sandbox.ClassDeadline, append([]string{"did not finish within "}, c.Want...)
	}
	if class != want {
		t.Fatalf("%s %q, want %s", class, reason, want)
	}
	contains(t, reason, parts)
	if class == sandbox.ClassError {
		return // the guest's own words
	}
	if err := hostile.Printable(reason); err != nil {
		t.Error(err)
	}
}

func contains(t *testing.T, text string, parts []string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in %q", p, text)
		}
	}
}

// footprint is what the process holds, in bytes.
type footprint struct {
	heap   uint64
	memory uint64 // of the process that belongs to no file, 0 where the system does not say
}

// Bounds on what is left of all cases together.
const (
	maxHeapLeft   = 16 << 20
	maxMemoryLeft = 96 << 20
)

func measure() footprint {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f := footprint{heap: m.HeapAlloc}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return f
	}
	for line := range strings.Lines(string(status)) {
		if n, err := fmt.Sscanf(line, "RssAnon: %d kB", &f.memory); n == 1 && err == nil {
			f.memory <<= 10
		}
	}
	return f
}

func (f footprint) compare(t *testing.T, after footprint) {
	t.Helper()
	t.Logf("heap %d KiB, then %d KiB; memory %d KiB, then %d KiB", f.heap>>10, after.heap>>10, f.memory>>10, after.memory>>10)
	if after.heap > f.heap+maxHeapLeft {
		t.Errorf("the heap grew from %d to %d bytes", f.heap, after.heap)
	}
	if !raceDetector && after.memory > f.memory+maxMemoryLeft { // the detector keeps a shadow of all memory there ever was
		t.Errorf("the process grew from %d to %d bytes", f.memory, after.memory)
	}
}

// A module that was cut off or changed on its way is refused, fails, or works; it never takes the runtime along.
func TestBrokenModules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	whole := hostile.Whole()
	m, err := h.load(t, whole, false)
	if err != nil {
		t.Fatal(err)
	}
	if res := invoke(t, m, time.Minute); res.Verdict != abi.Done || string(res.Data) != "hello" {
		t.Fatalf("the whole module: %+v", res)
	}
	step := 1
	flips := 1500
	if raceDetector {
		step, flips = 7, 200
	}
	cut := hostile.Truncations(whole)
	for n := 0; n < len(cut); n += step {
		m, err := h.load(t, cut[n], true)
		if err != nil {
			refusal(t, err, nil)
			continue
		}
		if res := invoke(t, m, short); res.Class == sandbox.ClassInternal {
			t.Errorf("the first %d bytes: %+v", n, res)
		}
	}
	refused := 0
	for n, wasm := range hostile.Flips(whole, 1, flips) {
		m, err := h.load(t, wasm, true)
		if err != nil {
			refusal(t, err, nil)
			refused++
			continue
		}
		if res := invoke(t, m, short); res.Class == sandbox.ClassInternal {
			t.Errorf("changed copy %d: %+v", n, res)
		}
	}
	if refused == 0 || refused == flips {
		t.Errorf("%d of %d changed copies were refused", refused, flips)
	}
	h.stillWorks(t)
}

// Two bytes of any small case changed: whatever the module becomes, it is the module's fault.
func FuzzFlips(f *testing.F) {
	h := newHouse(f)
	var seeds [][]byte
	for _, c := range hostile.Cases() {
		if c.Heavy {
			continue
		}
		if wasm := c.Wasm(); len(wasm) < 2000 {
			seeds = append(seeds, wasm)
		}
	}
	seeds = append(seeds, hostile.Whole())
	for n := range seeds {
		f.Add(uint16(n), uint16(n), uint16(7*n), byte(n), byte(n/3))
	}
	f.Fuzz(func(t *testing.T, seed, one, two uint16, changeOne, changeTwo byte) {
		wasm := append([]byte(nil), seeds[int(seed)%len(seeds)]...)
		wasm[int(one)%len(wasm)] ^= changeOne
		wasm[int(two)%len(wasm)] ^= changeTwo
		m, err := h.load(t, wasm, true)
		if err != nil {
			refusal(t, err, nil)
			return
		}
		if res := invoke(t, m, short); res.Class == sandbox.ClassInternal {
			t.Errorf("%+v", res)
		}
		h.stillWorks(t)
	})
}

package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func TestInitialisationRunsOnce(t *testing.T) {
	t.Parallel()
	p := newProbe()
	text, n := p.text(0, "init")
	p.Func(abi.ExportInitialize, nil, nil, 0, w.Call(p.Log, 0, text, n), w.I32Const(8), w.I32Const(8), w.Load(), w.I32Const(1), w.Add(), w.Store())
	p.expect(1, w.I32Const(8), w.Load())
	m := load(t, p.Handle(append(p.code, w.Call(p.Reply, abi.ReplyData, probeResults, 4), w.Drop(), w.I32Const(0))...).Bytes(), Settings{})
	for n, lines := range [][]string{{"INFO init"}, nil, nil} {
		h := &fakeHost{}
		if res := m.Invoke(t.Context(), testEvent(), h); !bytes.Equal(res.Data, []byte{1, 0, 0, 0}) || !slices.Equal(h.lines, lines) {
			t.Errorf("event %d: % x %q %s", n, res.Data, h.lines, res.Reason)
		}
	}
}

// A module that cannot be reset gets a new instance, initialised anew, for each event.
func TestNotResettable(t *testing.T) {
	t.Parallel()
	m, i := w.NewGuest()
	table := m.Table(4)
	m.Data(64, []byte("data"))
	m.Func(abi.ExportInitialize, nil, nil, 0, w.Call(i.Log, 0, 64, 4))
	m.Handle(
		w.I32Const(0), []byte{0xd0, 0x70}, []byte{0x26, byte(table)}, // table.set of a null
		w.Call(i.Reply, abi.ReplyData, 64, 4), w.Drop(), w.I32Const(64), w.I32Const(0), w.Store(), w.I32Const(0),
	)
	module := load(t, m.Bytes(), Settings{})
	for range 2 {
		h := &fakeHost{}
		res := module.Invoke(t.Context(), testEvent(), h)
		if string(res.Data) != "data" || !slices.Equal(h.lines, []string{"INFO data"}) || res.Bill.Fuel == 0 {
			t.Errorf("%+v %q", res, h.lines)
		}
	}
	if warned := module.Warnings(); len(warned) != 1 || !strings.HasPrefix(warned[0], "every event gets a new instance and initialises it, which takes milliseconds: ") || !strings.Contains(warned[0], "table") {
		t.Errorf("%q", warned)
	}
	if waitingCount(module) != 0 || module.current().snapshot.Load() != nil {
		t.Error("an instance was kept")
	}
}

// A failed initialisation is tried again by every event, until it succeeds once.
func TestInitialisationIsTriedAgain(t *testing.T) {
	t.Parallel()
	m := w.New()
	m.Func(abi.ExportInitialize, nil, nil, 1,
		w.While(w.LocalGet(0), w.I32Const(1), w.Add(), w.LocalSet(0), w.LocalGet(0), w.I32Const(1_000_000), w.LessU()))
	module := load(t, m.Handle(w.I32Const(0)).Bytes(), Settings{InitTimeout: time.Nanosecond})
	var failed *InitError
	if err := module.InitError(); !errors.As(err, &failed) || failed.Class != ClassDeadline || !strings.HasSuffix(err.Error(), "(in _initialize)") {
		t.Fatal(err)
	}
	if res := module.Invoke(within(t, time.Nanosecond), testEvent(), &fakeHost{}); res.Class != ClassDeadline || module.current().snapshot.Load() != nil {
		t.Errorf("%+v", res)
	}
	for range 2 {
		if res := module.Invoke(t.Context(), testEvent(), &fakeHost{}); res.Class != "" || module.current().snapshot.Load() == nil {
			t.Errorf("%+v", res)
		}
	}
}

func TestInitError(t *testing.T) {
	t.Parallel()
	err := load(t, withInit(w.I32Const(3)), Settings{}).InitError()
	var failed *InitError
	if !errors.As(err, &failed) || failed.Class != ClassInit || err.Error() != "evoke_init returned 3" {
		t.Error(err)
	}
	if err := load(t, w.Echo(), Settings{}).InitError(); err != nil {
		t.Error(err)
	}
}

// restorer counts in evoke_restore and replies with the count and 8 random bytes drawn by _initialize.
func restorer(restore bool) []byte {
	p, random := wasiProbe("random_get", w.I32, w.I32)
	p.Func(abi.ExportInitialize, nil, nil, 0, w.Call(random, 16, 8), w.Drop())
	if restore {
		p.Func(abi.ExportRestore, nil, nil, 0, w.I32Const(8), w.I32Const(8), w.Load(), w.I32Const(1), w.Add(), w.Store())
	}
	return p.Handle(w.Call(p.Reply, abi.ReplyData, 8, 16), w.Drop(), w.I32Const(0)).Bytes()
}

func TestRestoreRunsBeforeEachEvent(t *testing.T) {
	t.Parallel()
	m := load(t, restorer(true), Settings{})
	for range 3 {
		if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); binary.LittleEndian.Uint64(res.Data) != 1 {
			t.Errorf("% x (%s)", res.Data, res.Reason)
		}
	}
	trap := w.New()
	trap.Func(abi.ExportRestore, nil, nil, 0, w.Unreachable())
	if res := invoke(t, trap.Handle(w.I32Const(0)).Bytes(), testEvent(), &fakeHost{}); res.Class != ClassInit || res.Reason != "evoke_restore: unreachable in evoke_restore" {
		t.Errorf("%+v", res)
	}
}

// The seed decides what initialisation draws, and a guest that keeps it is warned of.
func TestSeed(t *testing.T) {
	t.Parallel()
	draw := func(s Settings) string {
		m := load(t, restorer(false), s)
		warned := m.Warnings()
		if len(warned) != 1 || !strings.Contains(warned[0], "drew random bytes that every event will begin with") {
			t.Errorf("%q", warned)
		}
		return string(m.Invoke(t.Context(), testEvent(), &fakeHost{}).Data[8:])
	}
	none, a, b := draw(Settings{}), draw(Settings{Seed: []byte("a")}), draw(Settings{Seed: []byte("b")})
	if none == a || a == b || none == string(make([]byte, 8)) {
		t.Errorf("%x %x %x", none, a, b)
	}
	if again := draw(Settings{Seed: []byte("a"), Function: "another"}); again != a {
		t.Errorf("%x, then %x", a, again)
	}
	for _, wasm := range [][]byte{restorer(true), w.Echo()} {
		if warned := load(t, wasm, Settings{}).Warnings(); warned != nil {
			t.Errorf("%q", warned)
		}
	}
}

// Sleeping while the snapshot is made takes no time, and no clock goes back afterwards.
func TestTimeOfInitialisation(t *testing.T) {
	t.Parallel()
	p, now := wasiProbe("clock_time_get", w.I32, w.I64, w.I32)
	poll := p.Import(moduleWASI, "poll_oneoff", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I32})
	p.Data(probeSpace, subscription(1, clockMonotonic, time.Hour, 0))
	read := func(at int32) []byte {
		return slices.Concat(w.I32Const(clockMonotonic), w.I64Const(0), w.I32Const(at), w.Call(now), w.Drop())
	}
	p.Func(abi.ExportInitialize, nil, nil, 0, read(8), w.Call(poll, probeSpace, probeSpace+100, 1, probeSpace+200), w.Drop(), read(16))
	m := load(t, p.Handle(read(24), w.Call(p.Reply, abi.ReplyData, 8, 24), w.Drop(), w.I32Const(0)).Bytes(), Settings{InitTimeout: time.Minute})
	res := m.Invoke(t.Context(), testEvent(), &fakeHost{})
	var times [3]int64
	if _, err := binary.Decode(res.Data, binary.LittleEndian, &times); err != nil {
		t.Fatal(err, res.Reason)
	}
	if d := time.Duration(times[1] - times[0]); d < time.Hour || d > time.Hour+time.Second {
		t.Errorf("slept %s", d)
	}
	if times[2] < times[1] || times[2] > times[1]+int64(time.Minute) {
		t.Errorf("the clock went from %d to %d", times[1], times[2])
	}
}

// Nor after a sleep of centuries: what adds up to it stays a number of nanoseconds.
func TestSleepingForEverTurnsNoClockBack(t *testing.T) {
	t.Parallel()
	w := newWorld(nil, 0, time.Now().UnixNano(), time.Hour)
	for clock := range uint32(clockThread + 1) {
		last := w.now(clock)
		for range 3 {
			w.sleep(math.MaxInt64)
			if now := w.now(clock); now < last || time.Duration(now) < 50*365*24*time.Hour {
				t.Errorf("clock %d went from %d to %d", clock, last, now)
			} else {
				last = now
			}
		}
	}
}

func TestSnapshotOfAGoGuest(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("compiling it takes many seconds under the race detector; TestGoGuest does it once")
	}
	m := load(t, buildGo(t, "guest", "-buildmode=c-shared"), Settings{})
	s := m.current().snapshot.Load()
	if len(s.generators) == 0 || m.Warnings() != nil {
		t.Fatalf("generators %v, warnings %q", s.generators, m.Warnings())
	}
	ask := func(kind, data string) string {
		res := m.Invoke(within(t, time.Minute), &event.Event{ID: "1", Source: "/s", Type: kind, Data: []byte(data)}, &fakeHost{})
		if res.Class != "" {
			t.Fatalf("%+v", res)
		}
		return string(res.Data)
	}
	drawn := map[string]bool{}
	for range 50 {
		drawn[ask("random", "")] = true
	}
	if len(drawn) != 50 {
		t.Errorf("%d different numbers of 50", len(drawn))
	}
	if err := waiting(t, m).clean(); err != nil {
		t.Error(err)
	}

	// A secret of one event is not in the memory of the next, where a look without a reset between does find it.
	search := fmt.Sprintf("%d %s", len(s.image.Bytes()), "tohs fo tuo terces a")
	for range 3 {
		ask("hide", "a secret out of shot")
		if found := ask("search", search); found != "0" {
			t.Fatalf("found the secret %s times", found)
		}
	}
	i := waiting(t, m)
	for kind, data := range map[string]string{"hide": "a secret out of shot"} {
		i.begin(within(t, time.Minute), delivery{event: &event.Event{ID: "1", Source: "/s", Type: kind, Data: []byte(data)}, host: &fakeHost{}, started: time.Now()})
		if err := i.inv.run(); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(i.memory.Bytes(), []byte("a secret out of shot")) {
		t.Error("the guest hides nothing, so this proves nothing")
	}
}

func TestFindGenerators(t *testing.T) {
	t.Parallel()
	const at = 4096 - 64 // across pages
	words := func(n int) ([]byte, []byte) {
		a, b := make([]byte, 4*4096), make([]byte, 4*4096)
		for i := range n * 8 {
			a[at+i], b[at+i] = byte(i*7+1), byte(i*11+130)
		}
		return a, b
	}
	counters := func(b []byte, n int, next, good, block uint32) {
		binary.LittleEndian.PutUint32(b[at+8*n:], next)
		binary.LittleEndian.PutUint32(b[at+8*n+4:], good)
		binary.LittleEndian.PutUint32(b[at+8*n+8:], block)
	}
	for _, c := range []struct {
		name              string
		words             int
		next, good, block uint32
		want              []int
	}{
		{"a generator", 36, 3, 32, 4, []int{at}},
		{"after other differences", 40, 0, 28, 12, []int{at + 32}},
		{"too short", 35, 3, 32, 4, nil},
		{"nothing good", 36, 0, 0, 4, nil},
		{"too many good", 36, 0, 33, 4, nil},
		{"beyond what is good", 36, 31, 28, 12, nil},
		{"an odd block", 36, 3, 32, 5, nil},
		{"a late block", 36, 3, 32, 16, nil},
	} {
		a, b := words(c.words)
		counters(a, c.words, c.next, c.good, c.block)
		counters(b, c.words, c.next, c.good, c.block)
		if got := findGenerators(a, b); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	a, b := words(36)
	counters(a, 36, 3, 32, 4)
	counters(b, 36, 2, 32, 4)
	if got := findGenerators(a, b); got != nil {
		t.Errorf("counters differ: %v", got)
	}
	if got := findGenerators(a[:at+100], b); got != nil {
		t.Errorf("cut: %v", got)
	}
}

func FuzzFindGenerators(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, 8192), bytes.Repeat([]byte{2}, 8192))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, at := range findGenerators(a, b) {
			if at < 0 || at+generatorSize > min(len(a), len(b)) {
				t.Errorf("%d of %d", at, len(a))
			}
		}
	})
}

package sandbox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// waiting returns the module's only instance, which no event has.
func waiting(t testing.TB, m *Module) *instance {
	t.Helper()
	m.current().pool.mu.Lock()
	defer m.current().pool.mu.Unlock()
	if len(m.current().pool.idle) != 1 {
		t.Fatalf("%d instances wait", len(m.current().pool.idle))
	}
	return m.current().pool.idle[0]
}

// waitingCount is how many there are.
func waitingCount(m *Module) int {
	m.current().pool.mu.Lock()
	defer m.current().pool.mu.Unlock()
	return len(m.current().pool.idle)
}

// clean says how an instance differs from its snapshot.
func (i *instance) clean() error {
	memory, ok := i.guest.Memory().Read(0, i.guest.Memory().Size())
	if !ok || !bytes.Equal(memory, i.snapshot.image.Bytes()) {
		return fmt.Errorf("memory of %d bytes differs from the image of %d", len(memory), len(i.snapshot.image.Bytes()))
	}
	for n, g := range i.globals {
		if g.Get() != i.snapshot.globals[n] {
			return fmt.Errorf("global %d is %d and was %d", n, g.Get(), i.snapshot.globals[n])
		}
	}
	if i.depth != nil && i.depth.Get() != i.fullDepth {
		return fmt.Errorf("depth is %d of %d", i.depth.Get(), i.fullDepth)
	}
	return nil
}

// randomGuest initialises itself and handles events by scribbling, growing and setting globals, and may trap or recurse in the middle.
func randomGuest(r *rand.Rand) []byte {
	m, i := w.NewGuest()
	pages := 1 + r.Int32N(6)
	m.Memory(uint32(pages))
	for range r.IntN(4) {
		m.Data(r.Uint32N(uint32(pages)*pageSize-100), bytes.Repeat([]byte{byte(1 + r.IntN(255))}, 1+r.IntN(99)))
	}
	globals := make([]uint32, 1+r.IntN(3))
	for n := range globals {
		globals[n] = m.Global(w.I32, w.I32Const(r.Int32()))
	}
	scribbles := func() []byte {
		var code []byte
		size := pages * pageSize
		for range r.IntN(300) {
			switch r.IntN(12) {
			case 0:
				grow := r.Int32N(5)
				code = slices.Concat(code, w.I32Const(grow), w.MemoryGrow(), w.Drop())
				size += grow * pageSize
			case 1:
				code = slices.Concat(code, w.I32Const(r.Int32()), w.GlobalSet(globals[r.IntN(len(globals))]))
			case 2:
				at := r.Int32N(size)
				code = slices.Concat(code, w.I32Const(at), w.I32Const(r.Int32()), w.I32Const(r.Int32N(size-at)), w.MemoryFill())
			default:
				code = slices.Concat(code, w.I32Const(r.Int32N(size-4)), w.I32Const(r.Int32()), w.Store())
			}
		}
		return code
	}
	down := m.Next()
	m.Unexported("down", nil, nil, 0, w.Call(down))
	m.Func(abi.ExportInitialize, nil, nil, 0, scribbles())
	end := [][]byte{{}, {}, w.Unreachable(), w.Call(down), append(w.Call(i.Reply, 0, -1, 5), w.Drop()...)}[r.IntN(5)]
	return m.Handle(scribbles(), end, w.I32Const(0)).Bytes()
}

// After every event an instance is what it was before the first.
func TestResetProof(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	guests := 60
	if raceDetector {
		guests = 20
	}
	for seed := range guests {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			m, err := r.Load(t.Context(), randomGuest(rand.New(rand.NewPCG(uint64(seed), 0))), Settings{})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.InitError(); err != nil {
				t.Fatal(err)
			}
			image := bytes.Clone(m.current().snapshot.Load().image.Bytes())
			for n := range 5 {
				res := m.Invoke(t.Context(), testEvent(), &fakeHost{})
				if res.Class != "" && res.Class != ClassTrap {
					t.Fatalf("%+v", res)
				}
				if waitingCount(m) == 0 && res.Class == ClassTrap {
					continue // an instance whose stack overflowed is not kept
				}
				i := waiting(t, m)
				if err := i.clean(); err != nil {
					t.Fatalf("after event %d: %v", n, err)
				}
				if n == 2 {
					m.current().tidy(time.Now().Add(trimAfter+time.Second), patient(false))
					if err := i.clean(); err != nil || !i.trimmed {
						t.Fatalf("trimmed %v, %v", i.trimmed, err)
					}
				}
			}
			if !bytes.Equal(image, m.current().snapshot.Load().image.Bytes()) {
				t.Error("the image has changed")
			}
		})
	}
}

// keeper counts the places where its secret lies, in all of its memory and a global, and then hides it in each page and in the global.
func keeper() []byte {
	const secret, count, at = 0x5ec12e70, 0, 1
	m, i := w.NewGuest()
	global := m.Global(w.I32, w.I32Const(0))
	add := func(local uint32, n int32) []byte {
		return slices.Concat(w.LocalGet(local), w.I32Const(n), w.Add(), w.LocalSet(local))
	}
	inMemory := slices.Concat(w.LocalGet(at), w.MemorySize(), w.I32Const(pageSize), []byte{0x6c}, w.LessU()) // i32.mul
	return m.Handle(
		w.I32Const(3), w.MemoryGrow(), w.Drop(),
		w.While(
			w.LocalGet(at), w.Load(), w.I32Const(secret), w.Equal(), w.If(add(count, 1)),
			add(at, 4), inMemory,
		),
		w.GlobalGet(global), w.I32Const(secret), w.Equal(), w.If(add(count, 1)),
		w.I32Const(16), w.LocalGet(count), w.Store(), w.Call(i.Reply, abi.ReplyData, 16, 4), w.Drop(),
		w.I32Const(0), w.LocalSet(at),
		w.While(w.LocalGet(at), w.I32Const(secret), w.Store(), add(at, 2048), inMemory),
		w.I32Const(secret), w.GlobalSet(global),
		w.I32Const(0),
	).Bytes()
}

func TestSecretsEndWithTheirEvent(t *testing.T) {
	t.Parallel()
	m := load(t, keeper(), Settings{})
	none := []byte{0, 0, 0, 0}
	for range 10 {
		if res := m.Invoke(t.Context(), testEvent(), &fakeHost{}); !bytes.Equal(res.Data, none) {
			t.Fatalf("found % x (%s)", res.Data, res.Reason)
		}
	}
	i := waiting(t, m)
	for n := range 2 { // without resets the guest does find it
		i.begin(within(t, time.Minute), delivery{event: testEvent(), host: &fakeHost{}, started: time.Now()})
		if err := i.inv.run(); err != nil || bytes.Equal(i.inv.reply, none) != (n == 0) {
			t.Errorf("run %d: found % x (%v)", n, i.inv.reply, err)
		}
	}
}

// A guest that was stopped in the middle is as good as new.
func TestInstancesSurvive(t *testing.T) {
	t.Parallel()
	for name, code := range map[string][]byte{
		"loop":          append(w.Forever(), w.Unreachable()...),
		"trap":          w.Unreachable(),
		"wild pointer":  w.Load(),
		"too much fill": slices.Concat(w.I32Const(0), w.I32Const(1), w.I32Const(-1), w.MemoryFill()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// An event with data writes and ends badly, one without replies with what is there.
			m, i := w.NewGuest()
			prefix := [][]byte{w.Call(i.EventLen, 0, int32(abi.PartData)), w.If(w.I32Const(64), w.I32Const(7), w.Store(), w.I32Const(2), w.MemoryGrow(), w.Drop(), w.I32Const(-1), code, w.Drop())}
			if name == "loop" {
				prefix[1] = w.If(w.I32Const(64), w.I32Const(7), w.Store(), code)
			}
			if name == "trap" || name == "too much fill" {
				prefix[1] = w.If(w.I32Const(64), w.I32Const(7), w.Store(), w.I32Const(2), w.MemoryGrow(), w.Drop(), code)
			}
			module := load(t, m.Handle(append(prefix, w.Call(i.Reply, abi.ReplyData, 64, 4), w.Drop(), w.I32Const(0))...).Bytes(), Settings{})
			var first *instance
			for range 3 {
				if res := module.Invoke(within(t, 20*time.Millisecond), testEvent(), &fakeHost{}); res.Class != ClassDeadline && res.Class != ClassTrap {
					t.Fatalf("%+v", res)
				}
				if first == nil {
					first = waiting(t, module)
				}
				empty := &event.Event{ID: "1", Source: "/s", Type: "t", Data: []byte{}}
				if res := module.Invoke(t.Context(), empty, &fakeHost{}); res.Class != "" || !bytes.Equal(res.Data, make([]byte, 4)) {
					t.Fatalf("%+v", res)
				}
			}
			if waiting(t, module) != first {
				t.Error("it was another instance")
			}
		})
	}
}

// Many events at once, of which some are killed, while instances are trimmed and closed.
func TestHammer(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	var modules []*Module
	for _, wasm := range [][]byte{keeper(), w.Echo(), w.Loops(), w.Traps()} {
		m, err := r.Load(t.Context(), wasm, Settings{Instances: 3})
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, m)
	}
	events := 60
	if raceDetector {
		events = 15
	}
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for k := range events {
				m := modules[(n+k)%len(modules)]
				timeout := time.Minute
				if m == modules[2] {
					timeout = time.Millisecond
				}
				res := m.Invoke(within(t, timeout), testEvent(), &fakeHost{})
				want := map[*Module]string{modules[0]: "", modules[1]: "", modules[2]: ClassDeadline, modules[3]: ClassTrap}[m]
				if res.Class != want || m == modules[0] && !bytes.Equal(res.Data, make([]byte, 4)) {
					t.Errorf("%+v", res)
				}
				if k%7 == n%7 {
					m.current().tidy(time.Now().Add(time.Duration(k%3)*closeAfter/2), patient(false))
				}
			}
		})
	}
	group.Wait()
	for _, m := range modules {
		idle := m.current().pool.close()
		if len(idle) > 3 {
			t.Errorf("%d instances", len(idle))
		}
		for _, i := range idle {
			if err := i.clean(); err != nil {
				t.Error(err)
			}
			m.current().discard(i)
		}
	}
}

// Nothing that an event left for its result may change with the next event.
func TestResultsAreCopies(t *testing.T) {
	t.Parallel()
	m := load(t, w.Echo(), Settings{})
	emits := load(t, w.Emits("a.b", `{"type":"one","data":{"a":"b"},"subject":"`+string(bytes.Repeat([]byte("x"), 100))+`"}`), Settings{})
	first := m.Invoke(t.Context(), testEvent(), &fakeHost{})
	emitted := emits.Invoke(t.Context(), testEvent(), &fakeHost{})
	memory := waiting(t, emits).memory.Bytes()
	for i := range memory { // as the next event might
		memory[i] = 0xee
	}
	other := testEvent()
	other.Data = []byte("other")
	m.Invoke(t.Context(), other, &fakeHost{})
	e := emitted.Emitted[0]
	if string(first.Data) != "hello" || e.Topic != "a.b" || e.Event.Type != "one" || e.Event.Subject != string(bytes.Repeat([]byte("x"), 100)) || string(e.Event.Data) != `{"a":"b"}` {
		t.Errorf("%q %+v", first.Data, e)
	}
}

package sandbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/event"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// wasiProbe is a probe with one more import.
func wasiProbe(name string, in ...byte) (p *probe, f uint32) {
	m, i := w.NewGuest()
	m.Memory(34)
	f = m.Import(moduleWASI, name, in, []byte{w.I32})
	return &probe{Module: m, Imports: i}, f
}

// subscription is a clock subscription of poll_oneoff.
func subscription(user byte, clock uint32, d time.Duration, flags byte) []byte {
	b := make([]byte, subscriptionSize)
	b[0], b[40] = user, flags
	binary.LittleEndian.PutUint32(b[16:], clock)
	binary.LittleEndian.PutUint64(b[24:], uint64(d))
	return b
}

// sleeper is a guest that sleeps.
func sleeper(d time.Duration) []byte {
	p, poll := wasiProbe("poll_oneoff", w.I32, w.I32, w.I32, w.I32)
	p.Data(probeSpace, subscription(1, clockMonotonic, d, 0))
	return p.Handle(w.Call(poll, probeSpace, probeSpace+100, 1, probeSpace+200)).Bytes()
}

// command is a WASI command that writes to stdout and stderr, then exits.
func command(stdout, stderr string, exit ...int32) []byte {
	m := w.New()
	m.Memory(40)
	write := m.Import(moduleWASI, "fd_write", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I32})
	quit := m.Import(moduleWASI, "proc_exit", []byte{w.I32}, nil)
	const at = 0x1000
	m.Data(16, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, at), uint32(len(stdout))))
	m.Data(24, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(at+len(stdout))), uint32(len(stderr))))
	m.Data(at, []byte(stdout+stderr))
	code := [][]byte{w.Call(write, fdStdout, 16, 1, 0), w.Drop(), w.Call(write, fdStderr, 24, 1, 0), w.Drop()}
	for _, e := range exit {
		code = append(code, w.Call(quit, e))
	}
	m.Func(abi.ExportStart, nil, nil, 0, code...)
	return m.Bytes()
}

func TestCommandVerdicts(t *testing.T) {
	t.Parallel()
	panicked := "starting\npanic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:5 +0x2\n"
	for _, c := range []struct {
		name                  string
		wasm                  []byte
		class, reason, stdout string
		log                   []string
	}{
		{"returns", command("hi", ""), "", "", "hi", nil},
		{"exit 0", command("hi", "note\n", 0), "", "", "hi", []string{"INFO note"}},
		{"exit 65", command("hi", "no such order\n", 65), ClassRejected, "no such order", "hi", []string{"INFO no such order"}},
		{"exit 1", command("", "first\n last \n\n", 1), ClassError, "last", "", []string{"INFO first", "INFO  last ", "INFO "}},
		{"exit 1, no newline", command("", "first\r\nlast", 1), ClassError, "last", "", []string{"INFO first", "INFO last"}},
		{"exit 7 in silence", command("", "", 7), ClassError, "the program exited with code 7 and wrote nothing to stderr", "", nil},
		{"exit -1", command("", "", -1), ClassError, "the program exited with code 4294967295 and wrote nothing to stderr", "", nil},
		{"panic", command("", panicked, 2), ClassError, "panic: boom", "", []string{
			"INFO starting", "ERROR panic: boom", "ERROR ", "ERROR goroutine 1 [running]:", "ERROR main.main()", "ERROR \t/src/main.go:5 +0x2"}},
		{"Rust panic", command("", "thread 'main' panicked at 'boom', src/main.rs:2:5\nnote: run with\n", 101), ClassError, "thread 'main' panicked at 'boom', src/main.rs:2:5", "", []string{
			"ERROR thread 'main' panicked at 'boom', src/main.rs:2:5", "ERROR note: run with"}},
		{"Rust panic since 1.89", command("", "\nthread 'main' (1) panicked at src/main.rs:2:5:\nboom\nnote: run with\n", 101), ClassError, "thread 'main' (1) panicked at src/main.rs:2:5: boom", "", []string{
			"INFO ", "ERROR thread 'main' (1) panicked at src/main.rs:2:5:", "ERROR boom", "ERROR note: run with"}},
		{"stdout too long", command(strings.Repeat("x", abi.MaxReply), "x", 0), "", "", strings.Repeat("x", abi.MaxReply), []string{"INFO x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := load(t, c.wasm, Settings{})
			if m.Kind() != KindCommand {
				t.Errorf("kind %q", m.Kind())
			}
			h := &fakeHost{}
			res := m.Invoke(t.Context(), testEvent(), h)
			if res.Class != c.class || res.Reason != c.reason || string(res.Data) != c.stdout || !slices.Equal(h.lines, c.log) {
				t.Errorf("%s %q, stdout %.40q, log %q", res.Class, res.Reason, res.Data, h.lines)
			}
		})
	}
}

func TestCommandStdoutLimit(t *testing.T) {
	t.Parallel()
	m := w.New()
	m.Memory(40)
	write := m.Import(moduleWASI, "fd_write", []byte{w.I32, w.I32, w.I32, w.I32}, []byte{w.I32})
	m.Data(16, []byte{0, 0, 0, 0, 0, 0, 16, 0}) // 1 MiB from 0 on
	m.Func(abi.ExportStart, nil, nil, 0, w.Call(write, fdStdout, 16, 1, 0), w.If(w.Unreachable()), w.Call(write, fdStdout, 16, 1, 0), w.I32Const(wasiFbig), w.Sub(), w.If(w.Unreachable()))
	res := invoke(t, m.Bytes(), testEvent(), &fakeHost{})
	if want := "the program wrote more than 1048576 bytes to stdout"; res.Class != ClassError || res.Reason != want {
		t.Errorf("%s %q", res.Class, res.Reason)
	}
}

func TestCommandInput(t *testing.T) {
	t.Parallel()
	// Copies stdin to stdout in pieces of 100 bytes.
	m := w.New()
	fdParams := []byte{w.I32, w.I32, w.I32, w.I32}
	read := m.Import(moduleWASI, "fd_read", fdParams, []byte{w.I32})
	write := m.Import(moduleWASI, "fd_write", fdParams, []byte{w.I32})
	m.Data(16, []byte{0, 1, 0, 0, 100, 0, 0, 0, 0, 1, 0, 0})
	m.Func(abi.ExportStart, nil, nil, 0, w.While(
		w.Call(read, fdStdin, 16, 1, 8), w.If(w.Unreachable()),
		w.I32Const(28), w.I32Const(8), w.Load(), w.Store(), // the second vector is as long as what was read
		w.Call(write, fdStdout, 24, 1, 12), w.If(w.Unreachable()),
		w.I32Const(8), w.Load(),
	))
	module := load(t, m.Bytes(), Settings{})
	plain := testEvent()
	http := testEvent()
	http.Request = []byte(`{"method":"GET","path":"/a b"}`)
	for _, e := range []*event.Event{plain, http} {
		res := module.Invoke(t.Context(), e, &fakeHost{})
		if res.Class != "" {
			t.Fatal(res.Reason)
		}
		var got map[string]json.RawMessage
		if err := json.Unmarshal(res.Data, &got); err != nil {
			t.Fatalf("%v: %s", err, res.Data)
		}
		if string(got["id"]) != `"e1"` || string(got["data"]) != `"hello"` || string(got["evokehttp"]) != string(e.Request) {
			t.Errorf("%s", res.Data)
		}
		if res.Bill.BytesIn != int64(len(res.Data)) || res.Bill.BytesOut != res.Bill.BytesIn {
			t.Errorf("bill %+v", res.Bill)
		}
	}
}

func TestProcExitInAHandler(t *testing.T) {
	t.Parallel()
	guest := func(code int32, in string) []byte {
		m := w.New()
		quit := m.Import(moduleWASI, "proc_exit", []byte{w.I32}, nil)
		if in == abi.ExportInitialize {
			m.Func(in, nil, nil, 0, w.Call(quit, code))
			return m.Handle(w.I32Const(0)).Bytes()
		}
		return m.Handle(w.Call(quit, code), w.I32Const(0)).Bytes()
	}
	for _, c := range []struct {
		wasm          []byte
		class, reason string
	}{
		{guest(0, abi.ExportHandle), ClassExit, "exited with code 0"},
		{guest(3, abi.ExportHandle), ClassExit, "exited with code 3"},
		{guest(-0x10000001, abi.ExportHandle), ClassExit, "exited with code 4026531839"}, // the engine's own number for a deadline
		{guest(2, abi.ExportInitialize), ClassInit, "_initialize: exited with code 2"},
	} {
		if res := invoke(t, c.wasm, testEvent(), &fakeHost{}); res.Verdict != abi.Failed || res.Class != c.class || res.Reason != c.reason {
			t.Errorf("%s %q, want %q", res.Class, res.Reason, c.reason)
		}
	}
}

func TestOutputBecomesLogLines(t *testing.T) {
	t.Parallel()
	l := &guestLog{host: &fakeHost{}}
	for _, s := range []string{"a", "b\nc\r\n", "\n", "d"} {
		l.writeStdout([]byte(s))
	}
	l.writeStderr([]byte("e"))
	l.flush()
	l.flush()
	l.writeStdout(bytes.Repeat([]byte("x"), maxPartialLine+1))
	want := []string{"INFO ab", "INFO c", "INFO ", "INFO d", "INFO e", "INFO " + strings.Repeat("x", maxPartialLine)}
	if got := l.host.(*fakeHost).lines; !slices.Equal(got, want) {
		t.Errorf("%.60q", got)
	}
}

func TestArgumentsAndEnvironment(t *testing.T) {
	t.Parallel()
	s := Settings{Function: "checkout", Revision: 7, Env: map[string]string{"Z": "", "A": "1", "EVOKE_REVISION": "forged"}}
	for name, want := range map[string][]string{
		"args": {"checkout"}, "environ": {"A=1", "EVOKE_FUNCTION=checkout", "EVOKE_REVISION=7", "Z="},
	} {
		p, get := wasiProbe(name+"_get", w.I32, w.I32)
		sizes := p.Import(moduleWASI, name+"_sizes_get", []byte{w.I32, w.I32}, []byte{w.I32})
		text := strings.Join(want, "\x00") + "\x00"
		p.expect(0, w.Call(sizes, 0, 4))
		p.expect(int32(len(want)), w.I32Const(0), w.Load())
		p.expect(int32(len(text)), w.I32Const(4), w.Load())
		p.expect(0, w.Call(get, 16, probeSpace))
		p.expect(probeSpace, w.I32Const(16), w.Load())
		p.expect(0, w.Call(p.Reply, abi.ReplyData, probeSpace, int32(len(text))))
		p.expect(wasiFault, w.Call(get, outside, probeSpace))
		p.expect(wasiFault, w.Call(get, 16, outside-1))
		p.expect(wasiFault, w.Call(sizes, outside-3, 4))
		p.expect(wasiFault, w.Call(sizes, 0, -1))
		if res := p.check(t, s, testEvent(), &fakeHost{}); string(res.Data) != text {
			t.Errorf("%s: %q", name, res.Data)
		}
	}
}

func TestClocksAndRandom(t *testing.T) {
	t.Parallel()
	p, now := wasiProbe("clock_time_get", w.I32, w.I64, w.I32)
	res := p.Import(moduleWASI, "clock_res_get", []byte{w.I32, w.I32}, []byte{w.I32})
	random := p.Import(moduleWASI, "random_get", []byte{w.I32, w.I32}, []byte{w.I32})
	at := func(clock, ptr int32) []byte {
		return slices.Concat(w.I32Const(clock), w.I64Const(0), w.I32Const(ptr), w.Call(now))
	}
	p.expect(0, at(clockRealtime, probeSpace))
	p.expect(0, w.Call(p.Reply, 0, probeSpace, 8))
	for _, clock := range []int32{clockMonotonic, 2, clockThread} {
		p.expect(0, at(clock, probeSpace))
		p.expect(0, w.Call(res, clock, probeSpace))
		p.expect(1, w.I32Const(probeSpace), w.Load())
	}
	p.expect(wasiInval, at(4, probeSpace))
	p.expect(wasiInval, w.Call(res, -1, probeSpace))
	p.expect(wasiFault, at(0, outside-7))
	p.expect(0, w.Call(random, probeSpace, 200_000))
	p.expect(0, w.Call(p.Reply, 0, probeSpace+100_000, 16))
	p.expect(wasiFault, w.Call(random, outside-5, 6))
	before := time.Now()
	got := p.check(t, Settings{}, testEvent(), &fakeHost{})
	ns := time.Unix(0, int64(binary.LittleEndian.Uint64(got.Data)))
	if ns.Before(before) || ns.After(time.Now()) {
		t.Errorf("clock says %s", ns)
	}
	if bytes.Equal(got.Data[8:], make([]byte, 16)) {
		t.Error("random bytes are all zero")
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()
	fd := func(user, tag byte, fd uint32) []byte {
		b := subscription(user, fd, 0, 0)
		b[8] = tag
		return b
	}
	const out, count = probeSpace + 0x1000, 64
	for _, c := range []struct {
		name string
		subs [][]byte
		want []byte // user data, errno and type of each event
	}{
		{"sleeps", [][]byte{subscription(1, clockMonotonic, time.Millisecond, 0)}, []byte{1, 0, 0}},
		{"shortest of two", [][]byte{subscription(1, 0, time.Hour, 0), subscription(2, 0, 1, 0)}, []byte{2, 0, 0}},
		{"absolute and over", [][]byte{subscription(1, clockRealtime, 1, pollAbsolute)}, []byte{1, 0, 0}},
		{"unknown clock", [][]byte{subscription(1, 99, 1, 0)}, []byte{1, wasiInval, 0}},
		{"descriptors", [][]byte{fd(1, 1, 0), fd(2, 2, 1), fd(3, 2, 9), subscription(4, 0, time.Hour, 0)}, []byte{1, 0, 1, 2, 0, 2, 3, wasiBadf, 2}},
		{"unknown kind", [][]byte{fd(1, 7, 0)}, []byte{1, wasiInval, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, poll := wasiProbe("poll_oneoff", w.I32, w.I32, w.I32, w.I32)
			p.Data(probeSpace, slices.Concat(c.subs...))
			n := int32(len(c.want) / 3)
			p.expect(0, w.Call(poll, probeSpace, out, int32(len(c.subs)), count))
			p.expect(n, w.I32Const(count), w.Load())
			p.expect(0, w.Call(p.Reply, 0, out, n*pollEventSize))
			p.expect(wasiInval, w.Call(poll, probeSpace, out, 0, count))
			p.expect(wasiInval, w.Call(poll, probeSpace, out, 0x05555556, count)) // times 48 it overflows to a small number
			p.expect(wasiFault, w.Call(poll, outside-40, out, 1, count))
			p.expect(wasiFault, w.Call(poll, probeSpace, outside-31, 1, count))
			res := p.check(t, Settings{}, testEvent(), &fakeHost{})
			var got []byte
			for e := range slices.Chunk(res.Data, pollEventSize) {
				got = append(got, e[0], e[8], e[10])
			}
			if !bytes.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestVectorsAreChecked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"fd_write", "fd_read"} {
		p, f := wasiProbe(name, w.I32, w.I32, w.I32, w.I32)
		fd := int32(fdStdin)
		if name == "fd_write" {
			fd = fdStderr
		}
		p.Data(16, []byte{0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0})
		p.expect(0, w.Call(f, fd, 32, 1, 0))
		p.expect(wasiFault, w.Call(f, fd, 16, 1, 0))            // a buffer outside
		p.expect(wasiFault, w.Call(f, fd, outside-7, 1, 0))     // the list outside
		p.expect(wasiFault, w.Call(f, fd, 32, 1, outside-3))    // the result outside
		p.expect(wasiInval, w.Call(f, fd, 32, maxVectors+1, 0)) // too many
		p.expect(wasiInval, w.Call(f, fd, 32, 1<<29, 0))        // times 8 it overflows to 0
		for _, other := range []int32{3, -1, fdStdin + fdStderr - fd} {
			p.expect(wasiBadf, w.Call(f, other, 32, 1, 0))
		}
		p.check(t, Settings{}, testEvent(), &fakeHost{})
	}
}

// No files and no sockets, whatever is asked for.
func TestEveryOtherWASIFunction(t *testing.T) {
	t.Parallel()
	r := newRuntime(t)
	for name, f := range r.imports[moduleWASI] {
		want := map[string]int32{"sched_yield": wasiOK, "proc_raise": wasiNosys, "poll_oneoff": wasiInval, "clock_res_get": wasiInval, "clock_time_get": wasiInval}
		code, ok := want[name]
		switch {
		case name == "proc_exit", name == "random_get", strings.HasPrefix(name, "args_"), strings.HasPrefix(name, "environ_"):
			continue
		case !ok:
			code = wasiBadf
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, index := wasiProbe(name, f.sig.params...)
			var call []byte
			for _, t := range f.sig.params { // a large number for all, which as a descriptor is not open
				if t == w.I64 {
					call = append(call, w.I64Const(1000)...)
				} else {
					call = append(call, w.I32Const(1_000_000)...)
				}
			}
			if name == "poll_oneoff" {
				call = slices.Concat(w.I32Const(0), w.I32Const(0), w.I32Const(-1), w.I32Const(0))
			}
			p.expect(code, call, w.Call(index))
			p.check(t, Settings{}, testEvent(), &fakeHost{})
		})
	}
	for name, want := range map[string]int32{"fd_close": wasiOK, "fd_sync": wasiOK, "fd_seek": wasiSpipe, "fd_tell": wasiSpipe, "sock_shutdown": wasiNosock} {
		f := r.imports[moduleWASI][name]
		stack := []uint64{fdStdout, 0, 0, 0}
		f.call(call{}, stack)
		if int32(stack[0]) != want {
			t.Errorf("%s of stdout: %d", name, stack[0])
		}
	}
	if n := len(r.imports[moduleWASI]); n != 46 {
		t.Errorf("%d functions, preview 1 has 46", n)
	}
}

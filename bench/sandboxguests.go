package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

// guests are the functions that are measured. Each replies, but for what testdata/loop and testdata/c say of short events.
type guests struct {
	loop  []byte // testdata/loop
	sdk   []byte // testdata/sdkloop
	order []byte // testdata/order
	c     []byte // testdata/c/loop.c
	c4m   []byte // the same with 4 MiB of memory
}

// buildSandbox builds what is measured and what it is measured against.
func (s *session) buildSandbox(ctx context.Context) (sandboxBuilt, error) {
	root, err := sources(ctx)
	if err != nil {
		return sandboxBuilt{}, err
	}
	s.say("building the runtime and functions; the first time takes minutes")
	testdata := filepath.Join(root, "bench", "testdata")
	b := sandboxBuilt{runtime: filepath.Join(s.dir, "runtime"), plugin: filepath.Join(testdata, "c", "extism.wasm")}
	if err := buildProgram(ctx, root, "runtime", b.runtime); err != nil {
		return sandboxBuilt{}, err
	}
	for folder, to := range map[string]*[]byte{"loop": &b.guests.loop, "sdkloop": &b.guests.sdk, "order": &b.guests.order} {
		out := filepath.Join(s.dir, folder+".wasm")
		if err := buildGuest(ctx, filepath.Join(testdata, folder), out); err != nil {
			return sandboxBuilt{}, err
		}
		if *to, err = os.ReadFile(out); err != nil {
			return sandboxBuilt{}, err
		}
	}
	for file, to := range map[string]*[]byte{"loop.wasm": &b.guests.c, "loop4m.wasm": &b.guests.c4m} {
		if *to, err = os.ReadFile(filepath.Join(testdata, "c", file)); err != nil {
			return sandboxBuilt{}, err
		}
	}
	b.extism = s.buildOptionalPeer(ctx, root, "extism", "the rows of Extism")
	return b, nil
}

// loopData makes a guest change 1 KiB and reply with it.
func loopData() []byte { return payload() }

// callData makes testdata/loop call its host.
func callData() []byte { return []byte{0} }

// quietData makes testdata/loop do nothing.
func quietData() []byte { return spinData(1) }

// spinData makes testdata/c take that many rounds in a loop.
func spinData(rounds uint32) []byte { return binary.LittleEndian.AppendUint32(nil, rounds) }

// orderData is an order of about 1 KiB.
func orderData() []byte {
	var b strings.Builder
	b.WriteString(`{"id":"order-2041","customer":"c-77310","currency":"EUR","address":{"street":"Long Lane 12","city":"Bergen","code":"5003"},"lines":[`)
	for i := range 11 {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"sku":"SKU-%05d","name":"An article with a name, size %d","quantity":%d,"cents":%d}`, 7919*i, i, 1+i%3, 1099+100*i)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// busyGuests do not end by themselves for a long time, each in another way.
func busyGuests() []named[[]byte] {
	const pages = 1000
	fill := wasmtest.New()
	fill.Memory(pages)
	fill.Handle(slices.Repeat(slices.Concat(wasmtest.I32Const(0), wasmtest.I32Const(1), wasmtest.I32Const(pages<<16-1), wasmtest.MemoryFill()), 2000),
		wasmtest.I32Const(0))
	return []named[[]byte]{
		{"loop", wasmtest.Loops()}, {"recursion", recursive()}, {"sleep", sleeper(time.Hour)}, {"fill", fill.Bytes()}, {"straight", straight()},
	}
}

// named is a value of a list with names, in the order of the rows.
type named[T any] struct {
	name  string
	value T
}

// recursive computes a Fibonacci number by calling itself twice.
func recursive() []byte {
	m := wasmtest.New()
	self := m.Next()
	call := func(minus int32) []byte {
		return slices.Concat(wasmtest.LocalGet(0), wasmtest.I32Const(minus), wasmtest.Sub(), wasmtest.Call(self))
	}
	m.Unexported("fib", []byte{wasmtest.I32}, []byte{wasmtest.I32}, 0,
		wasmtest.LocalGet(0), wasmtest.I32Const(2), wasmtest.LessU(), wasmtest.If(wasmtest.I32Const(1), wasmtest.Return()), call(1), call(2), wasmtest.Add())
	return m.Handle(wasmtest.Call(self, 60)).Bytes()
}

// straight runs long functions that have no loop.
func straight() []byte {
	m := wasmtest.New()
	step := slices.Concat(wasmtest.I32Const(0), wasmtest.I32Const(0), wasmtest.Load(), wasmtest.I32Const(1), wasmtest.Add(), wasmtest.Store())
	long := m.Unexported("straight", nil, nil, 0, slices.Repeat(step, 2000))
	longer := m.Unexported("longer", nil, nil, 0, slices.Repeat(wasmtest.Call(long), 1000))
	return m.Handle(slices.Repeat(wasmtest.Call(longer), 1000), wasmtest.I32Const(0)).Bytes()
}

// sleeper sleeps by WASI's poll_oneoff on the monotonic clock.
func sleeper(d time.Duration) []byte {
	const subscription, event, count = 0x100, 0x200, 0x300
	m := wasmtest.New()
	i32 := wasmtest.I32
	poll := m.Import("wasi_snapshot_preview1", "poll_oneoff", []byte{i32, i32, i32, i32}, []byte{i32})
	raw := make([]byte, 48)
	raw[16] = 1                                          // the monotonic clock
	binary.LittleEndian.PutUint64(raw[24:32], uint64(d)) // from now
	m.Data(subscription, raw)
	return m.Handle(wasmtest.Call(poll, subscription, event, 1, count)).Bytes()
}

// bottomless recurses until somebody ends it. Each call has a number of values that must outlive the next one.
func bottomless(values uint32) []byte {
	m := wasmtest.New()
	self := m.Next()
	var keep, use [][]byte
	for i := range values {
		keep = append(keep, wasmtest.LocalGet(0), wasmtest.I32Const(int32(i)), wasmtest.Add(), wasmtest.LocalSet(1+i))
		use = append(use, wasmtest.LocalGet(1+i), wasmtest.Add())
	}
	m.Unexported("down", []byte{wasmtest.I32}, []byte{wasmtest.I32}, values,
		slices.Concat(keep...), wasmtest.LocalGet(0), wasmtest.I32Const(1), wasmtest.Add(), wasmtest.Call(self), slices.Concat(use...))
	return m.Handle(wasmtest.I32Const(0), wasmtest.Call(self)).Bytes()
}

// variant is the same function under another digest. It differs in the name of one function, which is part of what the engine compiles: what differed in
// data alone would share its code.
func variant(wasm []byte, n int) []byte {
	name := fmt.Sprintf("variant%d", n)
	names := wasmtest.Section(1, slices.Concat([]byte{1, 0, byte(len(name))}, []byte(name)))
	return slices.Concat(wasm, wasmtest.Section(0, slices.Concat([]byte("\x04name"), names)))
}

package rewrite_test

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// overflowBytes is what the host may allocate for a guest that runs out of stack.
const overflowBytes = 2 << 20

// recursions are ways to fill the native stack. run takes how deep to go, or never ends.
func recursions() map[string]wat {
	many := make([]byte, 1000)
	for i := range many {
		many[i] = i64
	}
	// live keeps n values of locals alive over a call and uses them afterwards.
	live := func(n, first int, call []byte) (code []byte) {
		for i := range n {
			code = append(code, cat(get(0), []byte{0xad, 0x42}, s(i+3), []byte{0x7c}, set(first+i))...)
		}
		code = append(code, call...)
		for i := range n {
			code = append(code, cat(get(first+i), []byte{0xa7, 0x6a})...)
		}
		return code
	}
	more := cat(get(0), constI32(1), []byte{0x6a})
	sig := fn{params: []byte{i32}, results: []byte{i32}}
	def := func(name string, locals, code []byte) fn {
		return fn{name: name, params: sig.params, results: sig.results, locals: locals, code: code}
	}
	indirect := cat(more, constI32(0), []byte{0x11, 0, 0})
	// renamed gives one local a new value for each of many calls, each kept over its call: the compiler needs a slot for every one.
	var renamed []byte
	for range 2000 {
		renamed = append(renamed, cat(get(0), call(1), get(0), []byte{0x6a}, set(0))...)
	}
	var pressure []byte // all values are alive at once without any call between them
	for i := range 300 {
		pressure = append(pressure, cat(get(0), constI32(i), []byte{0x6c})...)
	}
	pressure = append(pressure, repeat(299, 0x6a)...)
	var rolling []byte // 20 locals change all the time
	for i := range 4000 {
		rolling = append(rolling, cat(get(1+i%20), get(1+(i+7)%20), []byte{0x6a}, get(0), []byte{0x6a}, set(1+i%20))...)
	}
	// places are jumped to as in functions of Go's compiler, and change locals that are all needed in the end.
	const places = 300
	jump := cat(get(0), set(1), []byte{0x03, 0x40}, repeat(places, 0x02, 0x40), get(1), []byte{0x0e}, u(places))
	for i := range places + 1 {
		jump = append(jump, u(min(i, places-1))...)
	}
	for i := range places {
		jump = append(jump, cat([]byte{0x0b}, get(2+i%12), get(2+i*7%12), []byte{0x6a}, set(2+i%12))...)
		if to := min(i+1+i%50, places-1); to > i {
			jump = append(jump, cat(get(0), constI32(1<<(i%5)), []byte{0x71, 0x04, 0x40}, constI32(to), set(1), []byte{0x0c}, u(places-i), []byte{0x0b})...)
		}
		if i%10 == 0 {
			jump = append(jump, cat(get(2+i%12), call(1), set(2+i%12))...)
		}
	}
	jump = append(jump, cat(more, call(0), set(1), []byte{0x0b}, get(1))...)
	for i := range 12 {
		jump = append(jump, cat(get(2+i), []byte{0x6a})...)
	}
	return map[string]wat{
		"jumps":    {funcs: []fn{def("run", repeat(13, i32), jump), def("", nil, cat(get(0), constI32(7), []byte{0x6c}, repeat(20, 0x41, 0, 0x1a)))}},
		"small":    {funcs: []fn{def("run", nil, cat(more, call(0), get(0), []byte{0x6a}))}},
		"mutual":   {funcs: []fn{def("run", nil, cat(more, call(1), get(0), []byte{0x6a})), def("", nil, cat(more, call(0), get(0), []byte{0x6a}))}},
		"indirect": {funcs: []fn{def("run", nil, cat(indirect, get(0), []byte{0x6a}))}, table: []uint32{0}},
		"locals":   {funcs: []fn{def("run", many, live(1000, 1, cat(more, call(0))))}},
		"operands": {funcs: []fn{def("run", nil, cat(pressure, more, call(0), []byte{0x6a}))}},
		"stacked":  {funcs: []fn{def("run", nil, cat(products(300), more, call(0), repeat(300, 0x6a)))}},
		"renamed":  {funcs: []fn{def("run", nil, cat(renamed, more, call(0))), def("", nil, cat(get(0), constI32(7), []byte{0x6c}))}},
		"rolling":  {funcs: []fn{def("run", repeat(20, i32), cat(rolling, more, call(0), get(3), []byte{0x6a}))}},
		"tail": {funcs: []fn{{name: "run", params: []byte{i32}, results: []byte{i32}, code: cat(get(0), repeat(9, 0x41, 1), []byte{0x12, 1})},
			{params: repeat(10, i32), results: []byte{i32}, code: cat(get(0), repeat(9, 0x41, 1), []byte{0x12, 1})}}},
	}
}

func products(n int) (code []byte) {
	for i := range n {
		code = append(code, cat(get(0), constI32(i), []byte{0x6c})...)
	}
	return code
}

func TestOverflowTakesLittleOfTheHost(t *testing.T) {
	for name, c := range recursions() {
		t.Run(name, func(t *testing.T) {
			rt, m := newRuntime(t)
			m.limit = 100_000
			mod, err := instantiate(rt, c.bytes(), wazero.NewModuleConfig())
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = mod.ExportedFunction("run").Call(context.Background(), 1)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), errOverflow.Error()) || strings.Contains(err.Error(), "wasm error") {
				t.Fatalf("error %v", err)
			}
			took := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d KiB", took>>10)
			if took > overflowBytes {
				t.Errorf("the host allocated %d KiB", took>>10)
			}
		})
	}
}

package sandbox

import (
	"encoding/binary"
	"testing"
	"time"

	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// counter counts its events in memory and in a global and replies with both. It traps on events without data, having counted them.
func counter() []byte {
	m, i := w.NewGuest()
	m.Memory(4)
	count := m.Global(w.I32, w.I32Const(0))
	const at = 0x20000
	return m.Handle(
		w.I32Const(at), w.I32Const(at), w.Load(), w.I32Const(1), w.Add(), w.Store(),
		w.GlobalGet(count), w.I32Const(1), w.Add(), w.GlobalSet(count),
		w.I32Const(at+4), w.GlobalGet(count), w.Store(),
		w.Call(i.EventLen, 0, int32(abi.PartData)), w.If(w.Call(i.Reply, abi.ReplyData, at, 8), w.Drop(), w.I32Const(0), w.Return()),
		w.Unreachable(),
	).Bytes()
}

func TestReuse(t *testing.T) {
	t.Parallel()
	run := func(m *Module, data string) [2]uint32 {
		t.Helper()
		e := testEvent()
		e.Data = []byte(data)
		res := m.Invoke(t.Context(), e, &fakeHost{})
		if data == "" {
			if res.Class != ClassTrap {
				t.Fatalf("%+v", res)
			}
			return [2]uint32{}
		}
		if res.Class != "" || len(res.Data) != 8 {
			t.Fatalf("%+v", res)
		}
		return [2]uint32{binary.LittleEndian.Uint32(res.Data), binary.LittleEndian.Uint32(res.Data[4:])}
	}
	fresh := load(t, counter(), Settings{})
	reused := load(t, counter(), Settings{Reuse: true})
	for n := range uint32(3) {
		if got := run(fresh, "x"); got != [2]uint32{1, 1} {
			t.Errorf("event %d of a fresh instance counts %d", n, got)
		}
		if got := run(reused, "x"); got != [2]uint32{n + 1, n + 1} {
			t.Errorf("event %d of a reused instance counts %d", n, got)
		}
	}
	reused.current().tidy(time.Now().Add(trimAfter+time.Second), patient(false)) // would take memory from those that may lose it
	if got := run(reused, "x"); got != [2]uint32{4, 4} {
		t.Errorf("an idle instance forgot: %d", got)
	}
	run(reused, "")
	if got := run(reused, "x"); got != [2]uint32{1, 1} {
		t.Errorf("after a trap it goes on with %d", got)
	}
}

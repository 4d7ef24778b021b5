package scheduler

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/sandbox/wasmtest"
)

// capability is a capability that a scripted guest calls.
type capability struct{ op, request string }

// scripted is a guest that calls one capability after the other, replies with what each answered, and ends with a verdict.
func scripted(verdict int32, steps ...capability) []byte {
	m, i := wasmtest.NewGuest()
	const text, answer = 0x1000, 0x40000
	m.Memory(40)
	var code [][]byte
	at := int32(text)
	put := func(s string) int32 {
		m.Data(uint32(at), []byte(s))
		at += int32(len(s))
		return at - int32(len(s))
	}
	for _, s := range steps {
		op, request := put(s.op), put(s.request)
		code = append(code,
			wasmtest.Call(i.Call, op, int32(len(s.op)), request, int32(len(s.request))), wasmtest.LocalSet(0),
			wasmtest.I32Const(0), wasmtest.LocalGet(0), wasmtest.I64Const(-1), wasmtest.Call(i.CallWait), wasmtest.WrapI64(), wasmtest.Store(),
			wasmtest.I32Const(4), wasmtest.LocalGet(0), wasmtest.I32Const(0), wasmtest.I32Const(answer), wasmtest.I32Const(2<<20), wasmtest.Call(i.CallRead), wasmtest.Store(),
			wasmtest.Call(i.Reply, 0, 0, 8), wasmtest.Drop(),
			wasmtest.I32Const(0), wasmtest.I32Const(answer), wasmtest.I32Const(4), wasmtest.Load(), wasmtest.Call(i.Reply), wasmtest.Drop(),
			wasmtest.LocalGet(0), wasmtest.Call(i.CallClose), wasmtest.Drop(),
		)
	}
	return m.Handle(append(code, wasmtest.I32Const(verdict))...).Bytes()
}

// answers are what a scripted guest replies, a line each: the status and the text.
func answers(t *testing.T, r Reply) string {
	t.Helper()
	if r.Class != "" {
		t.Fatalf("%s: %s", r.Class, r.Error)
	}
	var lines []string
	for b := r.Data; len(b) > 0; {
		n := binary.LittleEndian.Uint32(b[4:])
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %s", binary.LittleEndian.Uint32(b), b[8:8+n])))
		b = b[8+n:]
	}
	return strings.Join(lines, "\n")
}

// pair is the form of requests that have two parts: the length of the first, and both.
func pair(first, second string) string {
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(first)))) + first + second
}

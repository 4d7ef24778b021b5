package sandbox

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// scriptState is where things are in the snapshot of a script.
type scriptState struct {
	Context  uint32  `json:"context"` // of the engine
	Slots    uint32  `json:"slots"`   // room for the arguments of a call, then for a length
	Random   uint32  `json:"random"`  // state of Math.random
	Handle   jsValue `json:"handle"`  // functions of the prelude
	Settle   jsValue `json:"settle"`
	Answered jsValue `json:"answered"`
	Explain  jsValue `json:"explain"`
	Where    jsValue `json:"where"`
}

const (
	maxArguments = 5
	lengthSlot   = maxArguments * 8
	slotsSize    = lengthSlot + 8
)

// check lets no number of a file reach outside of a memory.
func (s *scriptState) check(size int) error {
	if int64(s.Slots)+slotsSize > int64(size) || int64(s.Random)+8 > int64(size) {
		return errDamaged
	}
	return nil
}

// jsValue is a JSValue of QuickJS as it is on 32-bit machines: its tag in the upper half, unless it is a double.
type jsValue uint64

// Tags, see quickjs.h.
const (
	tagString    = -7
	tagRope      = -6 // a string that is still in pieces
	tagObject    = -1
	tagInt       = 0
	tagNull      = 2
	tagUndefined = 3
	tagException = 6
)

const jsUndefined jsValue = tagUndefined << 32

func (v jsValue) tag() int32 { return int32(v >> 32) }
func (v jsValue) int() int32 { return int32(uint32(v)) }

func jsInt(n int) jsValue { return jsValue(uint32(n)) }

// engine calls an export of the engine. It may be used inside of a host function that the engine has called: the arguments have been read by then.
func (i *instance) engine(name string, arguments ...uint64) (uint64, error) {
	n := copy(i.stack[:], arguments)
	err := i.function(name).CallWithStack(&i.inv, i.stack[:max(n, 1)])
	return i.stack[0], err
}

// view is n bytes of the guest's memory, which a script that broke out of the engine may have pointed anywhere.
func (i *instance) view(at, n uint64) ([]byte, error) {
	memory := i.memory.Bytes()
	if at > uint64(len(memory)) || n > uint64(len(memory))-at {
		return nil, &trapError{fmt.Sprintf("the engine speaks of %d bytes at address %d, outside of memory (%d bytes)", n, at, len(memory))}
	}
	return memory[at : at+n], nil
}

// put copies bytes into memory of the engine, with a zero behind them. Nobody frees it: what an event allocates goes with its reset.
func (i *instance) put(b []byte) (uint64, error) {
	at, err := i.engine("wasm_malloc", uint64(len(b)+1))
	if err != nil {
		return 0, err
	}
	if at = uint64(uint32(at)); at == 0 {
		return 0, newScriptError(outOfMemory)
	}
	to, err := i.view(at, uint64(len(b)+1))
	if err != nil {
		return 0, err
	}
	copy(to, b)
	to[len(b)] = 0
	return at, nil
}

// forget frees what put has put, if it is worth a call.
func (i *instance) forget(at uint64, size int) error {
	const worth = 16 << 10
	if size < worth {
		return nil
	}
	_, err := i.engine("wasm_free", at)
	return err
}

// call calls a function of the prelude. A thrown exception is a value with that tag.
func (i *instance) call(s *scriptState, f jsValue, arguments ...jsValue) (jsValue, error) {
	slots, err := i.view(uint64(s.Slots), slotsSize)
	if err != nil {
		return 0, err
	}
	for n, a := range arguments {
		binary.LittleEndian.PutUint64(slots[8*n:], uint64(a))
	}
	v, err := i.engine("JS_Call", uint64(s.Context), uint64(f), uint64(jsUndefined), uint64(len(arguments)), uint64(s.Slots))
	return jsValue(v), err
}

// text is what a string of JavaScript holds. It is good until the guest runs on. What is no string is refused: making it one would run code of the script's, inside of
// a host function as it may be, and that could call the same export again.
func (i *instance) text(s *scriptState, v jsValue) ([]byte, error) {
	if v.tag() != tagString && v.tag() != tagRope {
		return nil, newScriptError("the script has changed what the runtime needs: a string is none")
	}
	at, err := i.engine("JS_ToCStringLen2", uint64(s.Context), uint64(s.Slots+lengthSlot), uint64(v), 0)
	if err != nil {
		return nil, err
	}
	if uint32(at) == 0 {
		return nil, newScriptError(outOfMemory)
	}
	return i.counted(s, at)
}

// buffer is what an ArrayBuffer holds.
func (i *instance) buffer(s *scriptState, v jsValue) ([]byte, error) {
	at, err := i.engine("JS_GetArrayBuffer", uint64(s.Context), uint64(s.Slots+lengthSlot), uint64(v))
	if err != nil {
		return nil, err
	}
	if uint32(at) == 0 { // it is empty, or pretends to be one
		return nil, nil
	}
	return i.counted(s, at)
}

// binary is what an ArrayBuffer or a Uint8Array holds, nothing for all else.
func (i *instance) binary(s *scriptState, v jsValue) ([]byte, error) {
	is, err := i.engine("JS_IsArrayBuffer", uint64(v))
	if err != nil {
		return nil, err
	}
	if uint32(is) != 0 {
		return i.buffer(s, v)
	}
	at, err := i.engine("JS_GetUint8Array", uint64(s.Context), uint64(s.Slots+lengthSlot), uint64(v))
	if err != nil || uint32(at) == 0 {
		return nil, err
	}
	return i.counted(s, at)
}

func (i *instance) counted(s *scriptState, at uint64) ([]byte, error) {
	length, err := i.view(uint64(s.Slots)+lengthSlot, 4)
	if err != nil {
		return nil, err
	}
	return i.view(uint64(uint32(at)), uint64(binary.LittleEndian.Uint32(length)))
}

// newText makes a string of JavaScript.
func (i *instance) newText(s *scriptState, b []byte) (jsValue, error) {
	at, err := i.put(b)
	if err != nil {
		return 0, err
	}
	v, err := i.engine("JS_NewStringLen", uint64(s.Context), at, uint64(len(b)))
	if err != nil {
		return 0, err
	}
	return jsValue(v), i.forget(at, len(b))
}

// newBuffer makes an ArrayBuffer.
func (i *instance) newBuffer(s *scriptState, b []byte) (jsValue, error) {
	at, err := i.put(b)
	if err != nil {
		return 0, err
	}
	v, err := i.engine("JS_NewArrayBufferCopy", uint64(s.Context), at, uint64(len(b)))
	if err != nil {
		return 0, err
	}
	return jsValue(v), i.forget(at, len(b))
}

// reseed gives Math.random a state that no other event has.
func (i *instance) reseed(s *scriptState) error {
	state, err := i.view(uint64(s.Random), 8)
	if err == nil {
		binary.LittleEndian.PutUint64(state, rand.Uint64()|1) // the generator stays at 0 when it is 0
	}
	return err
}

// afterSeed is the state of QuickJS's generator when a context has been made: seeded by the time in microseconds, and used once.
func afterSeed(microseconds uint64) uint64 {
	x := microseconds
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	return x
}

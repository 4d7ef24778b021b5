// Command stateful is a native function in plain Go against the imports of docs/abi.md alone. It emits an event of the same key with 512 bytes of what it got,
// which is text that JSON takes as it is, and sets a state entry to 256 bytes of it.
package main

import "unsafe"

//go:wasmimport evoke_v1 event_read
func eventRead(ev, part, off uint32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 emit
func emit(topic unsafe.Pointer, topicLen uint32, event unsafe.Pointer, eventLen uint32) int32

//go:wasmimport evoke_v1 call
func call(op unsafe.Pointer, opLen uint32, request unsafe.Pointer, requestLen uint32) int32

//go:wasmimport evoke_v1 call_close
func callClose(handle int32) int32

const (
	partData    = 0
	partSubject = 19
	outputSize  = 512
	stateSize   = 256
	rejected    = 2
)

var (
	topic = []byte("out")
	set   = []byte("state.set")

	data    [1024]byte
	subject [256]byte
	output  []byte
	// A state.set request is the length of the name, the name, the value.
	state = [4 + 4 + stateSize]byte{4, 0, 0, 0, 'l', 'a', 's', 't'}
)

func main() {}

//go:wasmexport evoke_handle
func handle() int32 {
	n := eventRead(0, partData, 0, unsafe.Pointer(&data), uint32(len(data)))
	key := eventRead(0, partSubject, 0, unsafe.Pointer(&subject), uint32(len(subject)))
	if n < outputSize || key < 1 {
		return rejected
	}
	output = append(output[:0], `{"specversion":"1.0","type":"dev.evoke.bench","datacontenttype":"text/plain","subject":"`...)
	output = append(output, subject[:key]...)
	output = append(output, `","data":"`...)
	output = append(output, data[:outputSize]...)
	output = append(output, `"}`...)
	if emit(unsafe.Pointer(&topic[0]), uint32(len(topic)), unsafe.Pointer(&output[0]), uint32(len(output))) < 0 {
		return rejected
	}
	copy(state[8:], data[:stateSize])
	h := call(unsafe.Pointer(&set[0]), uint32(len(set)), unsafe.Pointer(&state), uint32(len(state)))
	if h < 0 {
		return rejected
	}
	callClose(h)
	return 0
}

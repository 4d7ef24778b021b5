// Command loop is a native function in plain Go against the imports of docs/abi.md alone, with nothing between them and what is measured. It changes every
// byte of an event's data and replies with it. Data of one byte makes it call the host instead, data of four bytes do nothing.
package main

import "unsafe"

//go:wasmimport evoke_v1 event_read
func eventRead(ev, part, off uint32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 reply
func reply(part uint32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport evoke_v1 call
func call(op unsafe.Pointer, opLen uint32, request unsafe.Pointer, requestLen uint32) int32

var (
	data [1024]byte
	op   = [...]byte{'b', 'e', 'n', 'c', 'h'}
)

func main() {}

//go:wasmexport evoke_handle
func handle() int32 {
	n := eventRead(0, 0, 0, unsafe.Pointer(&data), uint32(len(data)))
	switch n {
	case 1:
		call(unsafe.Pointer(&op), uint32(len(op)), nil, 0)
		return 0
	case 4:
		return 0
	}
	for i := range data[:n] {
		data[i]++
	}
	reply(0, unsafe.Pointer(&data), uint32(n))
	return 0
}

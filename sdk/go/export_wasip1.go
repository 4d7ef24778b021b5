//go:build wasip1

package evoke

import (
	"time"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

//go:wasmexport evoke_init
func evokeInit() int32 {
	if registered == nil {
		host.Log(abi.LevelError, "the function has no handler; call evoke.Handle or evoke.HandleBatch in an init function (main is never called)")
		return 1
	}
	warm()
	return 0
}

// warm does before the snapshot what would else be done for the first time in every event: the allocator gets a place for small objects of each size, with
// and without pointers, and the parser of times its tables.
func warm() {
	const largest = 2048 // bytes
	for n := 1; n <= largest; {
		b := append([]byte(nil), make([]byte, n)...) // as many as fit into the place for n
		n, sink = cap(b)+1, b
	}
	for n := 1; n <= largest/8; {
		b := append([]*byte(nil), make([]*byte, n)...)
		n, sink = cap(b)+1, b
	}
	sink, _ = time.Parse(time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z")
	sink = nil
}

var sink any // keeps the compiler from leaving allocations out

//go:wasmexport evoke_handle
func evokeHandle() int32 { return registered() }

//go:build wasip1

package evoke

import (
	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

//go:wasmexport evoke_init
func evokeInit() int32 {
	if registered == nil {
		host.Log(abi.LevelError, "the function has no handler; call evoke.Handle in an init function (main is never called)")
		return 1
	}
	return 0
}

//go:wasmexport evoke_handle
func evokeHandle() int32 { return Deliver(registered) }

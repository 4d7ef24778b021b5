package sandbox

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/evoke-run/evoke/sdk/abi"
)

const maxOperation = 64 // bytes of an operation's name; longer ones are unknown

// calls are the open handles of a delivery. A call runs to its end inside `call`, so every open handle has its answer.
type calls struct {
	last int32
	open []answered // in the order they were started
}

type answered struct {
	handle   int32
	status   int32
	reported bool // call_wait(-1) has named it
	answer   []byte
}

func (c *calls) find(handle int32) *answered {
	if i := slices.IndexFunc(c.open, func(a answered) bool { return a.handle == handle }); i >= 0 {
		return &c.open[i]
	}
	return nil
}

func (c *calls) add(status int32, answer []byte) int32 {
	c.last++
	c.open = append(c.open, answered{handle: c.last, status: status, answer: answer})
	return c.last
}

// any returns the oldest call that no wait for any call has returned yet, else the oldest.
func (c *calls) any() *answered {
	if i := slices.IndexFunc(c.open, func(a answered) bool { return !a.reported }); i >= 0 {
		return &c.open[i]
	}
	if len(c.open) > 0 {
		return &c.open[0]
	}
	return nil
}

func callStart(c call, stack []uint64) {
	name, request := c.memory.bytes(stack[0], stack[1]), c.memory.bytes(stack[2], stack[3])
	op := string(name[:min(len(name), maxOperation+1)])
	if c.phase == initialising && op != abi.OpConfigGet {
		panic(&trapError{fmt.Sprintf("%s: %q may not be called during %s", c.memory.function, op, c.during)})
	}
	if len(c.calls.open) >= abi.MaxCalls || c.calls.last == math.MaxInt32 || len(request) > abi.MaxRequest {
		set(stack, abi.TooLarge)
		return
	}
	c.bill.BytesOut += int64(len(request))
	status, answer := c.operate(op, slices.Clone(request))
	if c.Err() != nil {
		panic(errStopped) // the host gave up because the time was over; the guest has nothing more to say
	}
	set(stack, c.calls.add(status, answer))
}

// operate answers config.get and leaves everything else to the host.
func (inv *invocation) operate(op string, request []byte) (status int32, answer []byte) {
	switch {
	case len(op) > maxOperation:
		return abi.StatusNotFound, nil
	case op == abi.OpConfigGet:
		v, ok := inv.program.settings.Env[string(request)]
		if !ok {
			return abi.StatusNotFound, nil
		}
		return abi.StatusOK, []byte(v)
	case op == abi.OpStateSet || op == abi.OpStateDelete:
		return inv.writeState(op, request)
	}
	return inv.callHost(op, request)
}

// callHost runs a capability. Its time is not the guest's.
func (inv *invocation) callHost(op string, request []byte) (status int32, answer []byte) {
	defer inv.back(time.Now())
	inv.instance.memory.Leave()
	return inv.host.Call(inv.Context, op, request)
}

// writeState keeps state writes and emitted events together under their limit. A malformed request is the host's to refuse.
func (inv *invocation) writeState(op string, request []byte) (status int32, answer []byte) {
	name, size := string(request), len(request)
	if op == abi.OpStateSet {
		name = stateName(request)
		size = max(0, len(request)-4) // without the length of the name
	}
	if !inv.effects.fits(size, name) {
		return abi.StatusTooLarge, nil
	}
	status, answer = inv.callHost(op, request)
	if status >= 200 && status < 300 {
		inv.effects.write(name, size)
	}
	return status, answer
}

func stateName(request []byte) string {
	if len(request) < 4 {
		return ""
	}
	n := binary.LittleEndian.Uint32(request)
	return string(request[4:][:min(uint64(n), uint64(len(request)-4))])
}

func callWait(c call, stack []uint64) {
	handle := int32(stack[0])
	var a *answered
	if handle == -1 {
		a = c.calls.any()
	} else {
		a = c.calls.find(handle)
	}
	if a == nil {
		stack[0] = result(i64, int64(abi.Invalid))
		return
	}
	a.reported = true
	stack[0] = uint64(a.handle)<<32 | uint64(uint32(a.status))
}

func callLen(c call, stack []uint64) {
	if a := c.calls.find(int32(stack[0])); a != nil {
		set(stack, int32(len(a.answer)))
		return
	}
	set(stack, abi.Invalid)
}

func callRead(c call, stack []uint64) {
	to := c.memory.bytes(stack[2], stack[3])
	if a := c.calls.find(int32(stack[0])); a != nil {
		set(stack, c.copyIn(to, a.answer, uint32(stack[1])))
		return
	}
	set(stack, abi.Invalid)
}

func callClose(c call, stack []uint64) {
	handle := int32(stack[0])
	before := len(c.calls.open)
	c.calls.open = slices.DeleteFunc(c.calls.open, func(a answered) bool { return a.handle == handle })
	if len(c.calls.open) == before {
		set(stack, abi.Invalid)
		return
	}
	set(stack, 0)
}

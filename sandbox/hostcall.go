package sandbox

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/evoke-run/evoke/sdk/abi"
)

const maxOperation = 64 // bytes of an operation's name; longer ones are unknown

// calls are the open handles of a delivery. What takes no time runs to its end inside `call`; the others are in the background.
type calls struct {
	last       int32
	open       []opened    // in the order they were started
	background *background // nil before the first call that takes long
}

// opened is one open handle.
type opened struct {
	handle   int32
	op       string
	what     string // of a script's, in its words
	status   int32
	reported bool // a wait has named it
	answer   []byte
	running  *running // nil when it has its answer
	held     bool     // its answer is among background.held
}

func (c *calls) find(handle int32) *opened {
	if i := slices.IndexFunc(c.open, func(o opened) bool { return o.handle == handle }); i >= 0 {
		o := &c.open[i]
		o.look()
		return o
	}
	return nil
}

func (c *calls) add(o opened) int32 {
	c.last++
	o.handle = c.last
	c.open = append(c.open, o)
	return c.last
}

// any returns the oldest call with an answer that no wait has named yet, else one that runs, else the oldest.
func (c *calls) any() *opened {
	var other *opened
	for i := range c.open {
		switch o := &c.open[i]; {
		case o.look() && !o.reported:
			return o
		case other == nil || o.running != nil && other.running == nil:
			other = o
		}
	}
	return other
}

func callStart(c call, stack []uint64) {
	name, request := c.memory.bytes(stack[0], stack[1]), c.memory.bytes(stack[2], stack[3])
	op := string(name[:min(len(name), maxOperation+1)])
	if c.phase == initialising && op != abi.OpConfigGet {
		panic(&trapError{fmt.Sprintf("%s: %q may not be called during %s", c.memory.function, op, c.during)})
	}
	set(stack, c.startCall(op, slices.Clone(request[:min(len(request), abi.MaxRequest+1)]))) // of more than may be asked for, as much as shows that
}

// startCall starts a capability, in the background when it takes long, and returns its handle; abi.TooLarge when there is no room for it.
func (inv *invocation) startCall(op string, request []byte) (handle int32) {
	if len(inv.calls.open) >= abi.MaxCalls || inv.calls.last == math.MaxInt32 || len(request) > abi.MaxRequest {
		return abi.TooLarge
	}
	inv.bill.BytesOut += int64(len(request))
	if run := inv.takesLong(op, request); run != nil {
		return inv.calls.add(opened{op: op, running: inv.begin(run)})
	}
	status, answer := inv.operate(op, request)
	if inv.Err() != nil {
		panic(errStopped) // the host gave up because the time was over; the guest has nothing more to say
	}
	return inv.calls.add(opened{op: op, status: status, answer: answer})
}

// takesLong asks the host, for what it knows.
func (inv *invocation) takesLong(op string, request []byte) func(context.Context, func(int) bool) (int32, []byte) {
	switch {
	case len(op) > maxOperation, op == abi.OpConfigGet, op == abi.OpStateGet, op == abi.OpStateSet, op == abi.OpStateDelete:
		return nil
	}
	return inv.host.Begin(op, request)
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
	o := c.calls.wanted(handle)
	if o != nil && o.running != nil {
		var err error
		if o, err = c.await(handle, int64(stack[1])); err != nil {
			panic(err)
		}
		if o == nil {
			stack[0] = result(i64, int64(abi.Absent))
			return
		}
	}
	if o == nil {
		stack[0] = result(i64, int64(abi.Invalid))
		return
	}
	o.reported = true
	stack[0] = uint64(o.handle)<<32 | uint64(uint32(o.status))
}

// wanted is what a wait for a handle, or with -1 for any, is about; nil = there is nothing.
func (c *calls) wanted(handle int32) *opened {
	if handle == -1 {
		return c.any()
	}
	return c.find(handle)
}

func callLen(c call, stack []uint64) {
	switch o := c.calls.find(int32(stack[0])); {
	case o == nil:
		set(stack, abi.Invalid)
	case o.running != nil:
		set(stack, abi.Absent)
	default:
		set(stack, int32(len(o.answer)))
	}
}

func callRead(c call, stack []uint64) {
	to := c.memory.bytes(stack[2], stack[3])
	switch o := c.calls.find(int32(stack[0])); {
	case o == nil:
		set(stack, abi.Invalid)
	case o.running != nil:
		set(stack, abi.Absent)
	default:
		set(stack, c.copyIn(to, o.answer, uint32(stack[1])))
	}
}

func callClose(c call, stack []uint64) {
	o := c.calls.find(int32(stack[0]))
	if o == nil {
		set(stack, abi.Invalid)
		return
	}
	c.calls.close(o)
	set(stack, 0)
}

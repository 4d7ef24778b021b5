package sandbox

import (
	"bytes"
	"encoding/json"
	"math"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// evokeFuncs are the functions of module evoke_v1.
func evokeFuncs() []hostFunc {
	one := []api.ValueType{i32}
	wide := []api.ValueType{i64}
	return []hostFunc{
		{name: "event_count", sig: signature{nil, one}, call: eventCount},
		{name: "event_len", sig: signature{params("ii"), one}, call: eventLen},
		{name: "event_read", sig: signature{params("iiiii"), one}, call: eventRead},
		{name: "reply", sig: signature{params("iii"), one}, call: reply},
		{name: "emit", sig: signature{params("iiii"), one}, call: emit},
		{name: "verdict", sig: signature{params("iilii"), one}, call: verdict},
		{name: "log", sig: signature{params("iii"), nil}, init: true, call: logLine},
		{name: "call", sig: signature{params("iiii"), one}, init: true, call: callStart},
		{name: "call_wait", sig: signature{params("il"), wide}, init: true, call: callWait},
		{name: "call_len", sig: signature{params("i"), one}, init: true, call: callLen},
		{name: "call_read", sig: signature{params("iiii"), one}, init: true, call: callRead},
		{name: "call_close", sig: signature{params("i"), one}, init: true, call: callClose},
		{name: "deadline_ms", sig: signature{nil, wide}, call: deadlineMs},
	}
}

// set puts an i32 result on the stack.
func set(stack []uint64, v int32) { stack[0] = api.EncodeI32(v) }

func eventCount(c call, stack []uint64) { set(stack, int32(c.count())) }

func eventLen(c call, stack []uint64) {
	b, code := c.part(uint32(stack[0]), uint32(stack[1]))
	if code == 0 {
		code = int32(len(b))
	}
	set(stack, code)
}

func eventRead(c call, stack []uint64) {
	to := c.memory.bytes(stack[3], stack[4])
	b, code := c.part(uint32(stack[0]), uint32(stack[1]))
	if code == 0 {
		code = c.copyIn(to, b, uint32(stack[2]))
	}
	set(stack, code)
}

// copyIn copies what from holds after offset and counts it.
func (c call) copyIn(to, from []byte, offset uint32) int32 {
	n := copy(to, from[min(int64(offset), int64(len(from))):])
	c.bill.BytesIn += int64(n)
	return int32(n)
}

const lastPart = uint32(abi.PartPath)

// part returns a part of an event, or a code below 0.
func (inv *invocation) part(ev, part uint32) ([]byte, int32) {
	if uint64(ev) >= uint64(inv.count()) || part > lastPart || part > uint32(abi.PartRequest) && part < uint32(abi.PartID) {
		return nil, abi.Invalid
	}
	d := inv.at(int(ev))
	if !d.built[part] {
		d.parts[part] = buildPart(d.event, abi.Part(part))
		d.built[part] = true
	}
	if b := d.parts[part]; b != nil {
		return b, 0
	}
	return nil, abi.Absent
}

// buildPart returns nil for a part the event does not have. What it returns is only ever copied from.
func buildPart(e *event.Event, part abi.Part) []byte {
	switch part {
	case abi.PartData:
		return e.Data
	case abi.PartAttributes:
		return e.AttributesJSON()
	case abi.PartEvent:
		b, _ := e.MarshalJSON() // cannot fail: the event is its own encoder
		return b
	case abi.PartRequest:
		return e.Request
	case abi.PartMethod, abi.PartPath:
		return requestMember(e.Request, part)
	}
	v, ok := e.Attribute(attributeNames[part-abi.PartID])
	if !ok {
		return nil
	}
	return bytesOf(v)
}

// attributeNames are the parts from PartID on.
var attributeNames = [...]string{"id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "partitionkey"}

func requestMember(request []byte, part abi.Part) []byte {
	if request == nil {
		return nil
	}
	var members struct{ Method, Path string }
	if err := json.Unmarshal(request, &members); err != nil {
		return nil // the gateway wrote it; a guest only sees that there is none
	}
	if part == abi.PartMethod {
		return []byte(members.Method)
	}
	return []byte(members.Path)
}

func reply(c call, stack []uint64) {
	b := c.memory.bytes(stack[1], stack[2])
	switch uint32(stack[0]) {
	case abi.ReplyData:
		set(stack, c.appendReply(b))
	case abi.ReplyJSON:
		set(stack, c.setReplyJSON(b))
	default:
		set(stack, abi.Invalid)
	}
}

func (inv *invocation) appendReply(b []byte) int32 {
	if len(inv.reply)+len(b) > abi.MaxReply {
		return abi.TooLarge
	}
	inv.reply = append(inv.reply, b...)
	inv.bill.BytesOut += int64(len(b))
	return 0
}

func (inv *invocation) setReplyJSON(b []byte) int32 {
	if len(b) > abi.MaxReply {
		return abi.TooLarge
	}
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '{' || !json.Valid(b) {
		return abi.Invalid
	}
	inv.json = bytes.Clone(b)
	inv.bill.BytesOut += int64(len(b))
	return 0
}

func verdict(c call, stack []uint64) {
	reason := c.memory.bytes(stack[3], stack[4])
	ev, retryAfter := int32(stack[0]), int64(stack[2])
	if ev < -1 || int(ev) >= c.count() || retryAfter < -1 {
		set(stack, abi.Invalid)
		return
	}
	said := delivered{verdictSet: true, verdict: abi.Verdict(int32(stack[1])), retryAfter: -1}
	said.reason = cutText(string(reason[:min(len(reason), abi.MaxReason+utf8.UTFMax)]), abi.MaxReason)
	if retryAfter >= 0 {
		said.retryAfter = time.Duration(min(retryAfter, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	if ev >= 0 {
		c.at(int(ev)).say(&said)
	} else {
		for i := range c.count() {
			c.at(i).say(&said)
		}
	}
	set(stack, 0)
}

// say takes over a verdict; the last one counts.
func (d *delivered) say(said *delivered) {
	d.verdictSet, d.verdict, d.retryAfter, d.reason = true, said.verdict, said.retryAfter, said.reason
}

func deadlineMs(c call, stack []uint64) {
	deadline, _ := c.Deadline() // Invoke has set one
	stack[0] = uint64(max(0, time.Until(deadline).Milliseconds()))
}

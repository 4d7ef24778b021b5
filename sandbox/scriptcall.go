package sandbox

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/evoke-run/evoke/sdk/abi"
)

// capability calls one of the host's for a script. The answer begins with a letter: v and the value, n when there is none, or e and what is wrong.
func (c call) capability(op, name, value string) string {
	if c.phase != handling {
		return "e" + op + " may not be called before there is an event"
	}
	request := []byte(name)
	if op == abi.OpStateSet {
		request = append(binary.LittleEndian.AppendUint32(nil, uint32(len(name))), name+value...)
	}
	if len(request) > abi.MaxRequest {
		return "e" + refusal(op, name, abi.StatusTooLarge, nil)
	}
	c.bill.BytesOut += int64(len(request))
	status, answer := c.operate(op, request)
	if c.Err() != nil {
		panic(errStopped) // the host gave up because the time was over
	}
	c.bill.BytesIn += int64(len(answer))
	switch {
	case status == abi.StatusNotFound && op == abi.OpStateGet:
		return "n"
	case status < 200 || status > 299:
		return "e" + refusal(op, name, status, answer)
	case !utf8.Valid(answer):
		return fmt.Sprintf("e%s %q: the value is not text in UTF-8, which is all that scripts read", op, name)
	}
	return "v" + string(answer)
}

// refusal says why a capability did not do what it was asked for, in the host's words when it has some.
func refusal(op, name string, status int32, answer []byte) string {
	why := strings.ToValidUTF8(string(answer), "\uFFFD")
	switch {
	case why != "":
	case status == abi.StatusTooLarge:
		why = "too large; docs/abi.md, section 9, has the limits"
	default:
		why = fmt.Sprintf("it failed with status %d", status)
	}
	return fmt.Sprintf("%s %q: %s", op, cutText(name, maxFunctionName), why)
}

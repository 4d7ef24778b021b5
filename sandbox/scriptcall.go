package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/sdk/abi"
)

// capability calls one of the host's for a script. The answer begins with a letter: v and the value, n when there is none, or e and what is wrong.
func (c call) capability(op, name, value string) string {
	if c.phase != handling {
		return "e" + op + c.tooEarly()
	}
	request := []byte(name)
	if op == abi.OpStateSet || op == abi.OpStateList {
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
	case op == abi.OpStateList:
		answer = namesJSON(answer, status == abi.StatusPartial)
	}
	if !utf8.Valid(answer) {
		return fmt.Sprintf("e%s %q: the value is not text in UTF-8, which is all that scripts read", op, name)
	}
	return "v" + string(answer)
}

// namesJSON is the answer of state.list as scripts read it. A name that is not text comes alone, to be refused as that.
func namesJSON(answer []byte, more bool) []byte {
	list := struct {
		Names []string `json:"names"`
		More  bool     `json:"more"` // there are others behind the last
	}{[]string{}, more}
	for len(answer) > 0 {
		name, rest, ok := abi.CutText(answer)
		if !ok || !utf8.ValidString(name) {
			return []byte(name)
		}
		list.Names, answer = append(list.Names, name), rest
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // texts
	}
	return b
}

// refusal says why a capability did not do what it was asked for.
func refusal(op, name string, status int32, answer []byte) string {
	return fmt.Sprintf("%s %q: %s", op, cutText(name, maxFunctionName), why(status, answer))
}

// why is in the host's words when it has some.
func why(status int32, answer []byte) string {
	switch text := strings.ToValidUTF8(string(answer), "\uFFFD"); {
	case text != "":
		return text
	case status == abi.StatusTooLarge:
		return "too large; docs/abi.md, section 9, has the limits"
	}
	return fmt.Sprintf("it failed with status %d", status)
}

// tooEarly refuses what only an event may have done.
func (c call) tooEarly() string {
	if c.phase == warming {
		return " is not possible in the warm-up"
	}
	return " is not possible before there is an event; move it into the handler"
}

// startScriptCall starts a capability that takes its time. The answer is its handle, or e and what is wrong. What it is about is for people.
func (c call) startScriptCall(op string, head, body []byte, what string) string {
	if c.phase != handling {
		return "eit" + c.tooEarly()
	}
	size, handle := 4+len(head)+len(body), int32(-1)
	if size <= abi.MaxRequest {
		handle = c.startCall(op, append(abi.AppendText(make([]byte, 0, size), string(head)), body...))
	}
	if handle < 0 {
		return fmt.Sprintf("ea request may have %d bytes, this one has %d", abi.MaxRequest, size)
	}
	c.calls.find(handle).what = cutText(what, maxFunctionName)
	return strconv.Itoa(int(handle))
}

// cancelScriptCall gives up a call, if it is still open.
func (c call) cancelScriptCall(handle string) {
	n, _ := strconv.ParseInt(handle, 10, 32) // 0 is no handle
	if o := c.calls.find(int32(n)); o != nil {
		c.calls.close(o)
	}
}

// handAnswers gives the script the answers that have come. It says whether there were any.
func (inv *invocation) handAnswers(s *scriptState) (were bool, err error) {
	for {
		o := inv.calls.any()
		if o == nil || o.running != nil {
			return were, nil
		}
		answer := *o
		inv.calls.close(o)
		if err := inv.handAnswer(s, &answer); err != nil {
			return were, err
		}
		were = true
	}
}

// handAnswer settles the promise of a call, see the prelude's answered: the answer in two parts, and of which kind the second one is.
func (inv *invocation) handAnswer(s *scriptState, o *opened) error {
	i := inv.instance
	inv.bill.BytesIn += int64(len(o.answer))
	head, body, ok := "", []byte(nil), false
	if o.status == abi.StatusOK {
		head, body, ok = abi.CutText(o.answer)
	}
	if !ok {
		head, body = why(o.status, o.answer), nil
	}
	text, err := i.newText(s, []byte(head))
	if err != nil {
		return err
	}
	value, kind, err := i.newData(s, answered(o.op, head, body))
	if err != nil {
		return err
	}
	v, err := i.call(s, s.Answered, jsInt(int(o.handle)), jsInt(int(o.status)), text, value, jsInt(kind))
	if err == nil && v.tag() == tagException {
		err = i.thrown(s)
	}
	return err
}

// answered is the second part of an answer as an event would have it: the reply of a function says what it is, or is what it looks like; a response is bytes.
func answered(op, head string, body []byte) *event.Event {
	e := &event.Event{Data: body, DataContentType: "application/octet-stream"}
	switch {
	case op != abi.OpInvoke:
		return e
	case len(body) == 0:
		return &event.Event{}
	}
	var says struct {
		Type    string      `json:"datacontenttype"`
		Headers [][2]string `json:"headers"`
	}
	_ = json.Unmarshal([]byte(head), &says) // what cannot be read says nothing
	for _, h := range says.Headers {
		if strings.EqualFold(h[0], "content-type") {
			says.Type = h[1]
		}
	}
	switch {
	case says.Type != "":
		e.DataContentType = says.Type
	case json.Valid(body):
		e.DataContentType = "application/json"
	case utf8.Valid(body):
		e.DataContentType = "text/plain"
	}
	return e
}

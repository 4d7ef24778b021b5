//go:build !wasip1

package evoketest

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/internal/abi"
)

// delivery is the host side of one delivery; its methods are the host functions of docs/abi.md.
type delivery struct {
	rt       *Runtime
	key      string
	events   []delivered
	deadline time.Time

	reply     []byte
	replyJSON []byte
	emitted   []Emitted
	effects   int
	logs      []Line
	writes    map[string][]byte // nil deletes
	listed    int               // names

	calls   sync.Mutex // goroutines of the handler may call
	answers []*answer  // by handle - 1
	open    int
	fetches int
	running sync.WaitGroup
	ended   chan struct{} // has room for one: a call has ended since somebody looked
}

// delivered is one event of a delivery, and what became of it.
type delivered struct {
	parts map[int32][]byte // an absent one is not there

	verdict    Verdict
	reason     string
	retryAfter time.Duration
}

type answer struct {
	status   int32
	body     []byte
	reported bool          // a wait has named it
	done     chan struct{} // closed when it has ended; nil = it ended at once
	cancel   context.CancelFunc
}

func (a *answer) runs() bool {
	if a.done == nil {
		return false
	}
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

var verdicts = map[int32]Verdict{abi.Done: Done, abi.Failed: Failed, abi.Rejected: Rejected}

func partsOf(e *evoke.Event, req *evoke.Request) map[int32][]byte {
	parts := map[int32][]byte{}
	attributes := map[string]any{"specversion": "1.0"}
	for name, v := range e.Extensions() {
		attributes[name] = v
	}
	text := func(part int32, name, value string) {
		if value != "" {
			parts[part], attributes[name] = []byte(value), value
		}
	}
	text(abi.PartID, "id", e.ID)
	text(abi.PartSource, "source", e.Source)
	text(abi.PartType, "type", e.Type)
	text(abi.PartSubject, "subject", e.Subject)
	text(abi.PartDataContentType, "datacontenttype", e.DataContentType)
	text(abi.PartDataSchema, "dataschema", e.DataSchema)
	text(abi.PartPartitionKey, "partitionkey", e.Extension("partitionkey"))
	if !e.Time.IsZero() {
		text(abi.PartTime, "time", e.Time.Format(time.RFC3339Nano))
	}
	parts[abi.PartAttributes] = mustJSON(attributes)
	if data := e.Data(); data != nil {
		parts[abi.PartData] = data
	}
	if req != nil {
		parts[abi.PartRequest] = mustJSON(req)
		parts[abi.PartMethod], parts[abi.PartPath] = []byte(req.Method), []byte(req.Path)
	}
	return parts
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("evoketest: the event cannot be written as JSON: %v", err))
	}
	return b
}

func (d *delivery) EventCount() int32 { return int32(len(d.events)) }

func (d *delivery) EventLen(ev, part int32) int32 {
	if ev < 0 || ev >= d.EventCount() || part < 0 || part > abi.PartPath {
		return abi.Invalid
	}
	b, ok := d.events[ev].parts[part]
	if !ok {
		return abi.Absent
	}
	return int32(len(b))
}

func (d *delivery) EventRead(ev, part int32, off uint32, b []byte) int32 {
	n := d.EventLen(ev, part)
	if n < 0 {
		return n
	}
	return int32(copy(b, d.events[ev].parts[part][min(off, uint32(n)):]))
}

func (d *delivery) Reply(part int32, b []byte) int32 {
	switch part {
	case abi.ReplyData:
		if len(d.reply)+len(b) > abi.MaxReply {
			return abi.TooLarge
		}
		d.reply = append(d.reply, b...)
		return 0
	case abi.ReplyJSON:
		var meta struct {
			Status  int         `json:"status"`
			Headers [][2]string `json:"headers"`
		}
		if json.Unmarshal(b, &meta) != nil || meta.Status != 0 && (meta.Status < 200 || meta.Status > 599) {
			return abi.Invalid
		}
		d.replyJSON = append([]byte(nil), b...)
		return 0
	}
	return abi.Invalid
}

func (d *delivery) Emit(topic string, event []byte) int32 {
	if !d.mayEmit(topic) {
		return abi.Denied
	}
	if len(d.emitted) >= abi.MaxEmitted || len(event) > 1<<20 || d.effects+len(event) > abi.MaxEffects {
		return abi.TooLarge
	}
	e, ok := parse(event)
	if !ok {
		return abi.Invalid
	}
	if e.ID == "" {
		e.ID = fmt.Sprintf("test.%d", len(d.emitted))
	}
	if e.Source == "" {
		e.Source = "/ns/default/functions/test"
	}
	d.effects += len(event)
	d.emitted = append(d.emitted, Emitted{topic, e})
	return int32(len(d.emitted) - 1)
}

func (d *delivery) mayEmit(topic string) bool {
	if d.rt.AllowEmit == nil {
		return true
	}
	for _, pattern := range d.rt.AllowEmit {
		if matches(strings.Split(pattern, "."), strings.Split(topic, ".")) {
			return true
		}
	}
	return false
}

func matches(pattern, topic []string) bool {
	for i, p := range pattern {
		if p == ">" {
			return i < len(topic)
		}
		if i >= len(topic) || p != "*" && p != topic[i] {
			return false
		}
	}
	return len(pattern) == len(topic)
}

// parse reads structured CloudEvents JSON.
func parse(b []byte) (*evoke.Event, bool) {
	var in struct {
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		Subject         string          `json:"subject"`
		Time            time.Time       `json:"time"`
		DataContentType string          `json:"datacontenttype"`
		DataSchema      string          `json:"dataschema"`
		Data            json.RawMessage `json:"data"`
		DataBase64      string          `json:"data_base64"`
	}
	var all map[string]any
	if json.Unmarshal(b, &in) != nil || json.Unmarshal(b, &all) != nil || in.Type == "" {
		return nil, false
	}
	e := evoke.NewEvent(in.Type, nil)
	data := []byte(in.Data)
	if in.DataBase64 != "" {
		var err error
		if data, err = base64.StdEncoding.DecodeString(in.DataBase64); err != nil {
			return nil, false
		}
	}
	if data != nil {
		e.SetData(in.DataContentType, data)
	}
	e.ID, e.Source, e.Subject, e.Time = in.ID, in.Source, in.Subject, in.Time
	e.DataContentType, e.DataSchema = in.DataContentType, in.DataSchema
	for _, known := range []string{
		"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64",
	} {
		delete(all, known)
	}
	for name, v := range all {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return nil, false
		}
		if n, ok := v.(float64); ok {
			v = int(n)
		}
		e.SetExtension(name, v)
	}
	return e, true
}

func (d *delivery) Verdict(ev, verdict int32, retryAfterMs int64, reason string) int32 {
	if ev < 0 || ev >= d.EventCount() {
		return abi.Invalid
	}
	e := &d.events[ev]
	e.verdict, e.reason, e.retryAfter = verdicts[verdict], reason, -1
	if retryAfterMs >= 0 {
		e.retryAfter = time.Duration(retryAfterMs) * time.Millisecond
	}
	return 0
}

func (d *delivery) Log(level int32, line string) { d.logs = append(d.logs, Line{int(level), line}) }

func (d *delivery) Call(op string, req []byte) int32 {
	d.calls.Lock()
	defer d.calls.Unlock()
	if d.open >= abi.MaxCalls || len(req) > abi.MaxRequest {
		return abi.TooLarge
	}
	a := &answer{}
	if op == abi.OpHTTPFetch {
		d.fetch(a, append([]byte(nil), req...))
	} else {
		a.status, a.body = d.do(op, req)
	}
	d.open++
	d.answers = append(d.answers, a)
	return int32(len(d.answers))
}

func (d *delivery) do(op string, req []byte) (status int32, body []byte) {
	switch op {
	case abi.OpConfigGet:
		v, ok := d.rt.Config[string(req)]
		if !ok {
			return abi.StatusNotFound, nil
		}
		return abi.StatusOK, []byte(v)
	case abi.OpSecretGet:
		v, ok := d.rt.Secrets[string(req)]
		if !ok {
			return abi.StatusDenied, nil
		}
		return abi.StatusOK, []byte(v)
	case abi.OpStateGet, abi.OpStateSet, abi.OpStateDelete:
		return d.state(op, req)
	case abi.OpStateList:
		return d.list(req)
	case abi.OpInvoke:
		return d.invoke(req)
	}
	return abi.StatusNotFound, nil
}

func (d *delivery) state(op string, req []byte) (status int32, body []byte) {
	name, value := string(req), []byte(nil)
	if op == abi.OpStateSet {
		n := binary.LittleEndian.Uint32(req)
		name, value = string(req[4:4+n]), append([]byte{}, req[4+n:]...)
	}
	switch {
	case d.rt.DenyState:
		return abi.StatusDenied, nil
	case d.key == "":
		return abi.StatusNoKey, nil
	case name == "" || len(name) > abi.MaxStateName:
		return abi.StatusInvalid, nil
	case len(value) > abi.MaxStateValue || d.effects+len(value) > abi.MaxEffects:
		return abi.StatusTooLarge, nil
	case op == abi.OpStateGet:
		return d.get(name)
	}
	if d.writes == nil {
		d.writes = map[string][]byte{}
	}
	d.writes[name] = value
	d.effects += len(value)
	return abi.StatusNoContent, nil
}

func (d *delivery) get(name string) (status int32, value []byte) {
	v, written := d.writes[name]
	if !written {
		v = d.rt.State[d.key][name]
	}
	if v == nil {
		return abi.StatusNotFound, nil
	}
	return abi.StatusOK, v
}

func (d *delivery) invoke(req []byte) (status int32, body []byte) {
	n := binary.LittleEndian.Uint32(req)
	name := string(req[4 : 4+n])
	e, ok := parse(req[4+n:])
	switch {
	case d.rt.Invoke == nil:
		return abi.StatusDenied, []byte("the test's Runtime has no Invoke")
	case !ok:
		return abi.StatusInvalid, []byte("the event is not valid")
	}
	answer, err := d.rt.Invoke(name, e)
	var failed *evoke.InvokeError
	switch {
	case errors.As(err, &failed):
		return int32(failed.Status), []byte(failed.Reason)
	case err != nil:
		return abi.StatusInternal, []byte(err.Error())
	}
	var attributes []byte
	if answer.Attributes != nil {
		attributes = mustJSON(answer.Attributes)
	}
	return abi.StatusOK, append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(attributes))), attributes...), answer.Data...)
}

// list answers with a page.
func (d *delivery) list(req []byte) (status int32, body []byte) {
	n := binary.LittleEndian.Uint32(req)
	prefix, after := string(req[4:4+n]), string(req[4+n:])
	switch {
	case d.rt.DenyState:
		return abi.StatusDenied, nil
	case d.key == "":
		return abi.StatusNoKey, nil
	case len(prefix) > abi.MaxStateName:
		return abi.StatusInvalid, nil
	}
	there := maps.Clone(d.rt.State[d.key])
	if there == nil {
		there = map[string][]byte{}
	}
	maps.Copy(there, d.writes)
	maps.DeleteFunc(there, func(name string, value []byte) bool {
		return value == nil || !strings.HasPrefix(name, prefix) || after != "" && name <= after
	})
	names, status := slices.Sorted(maps.Keys(there)), int32(abi.StatusOK)
	if len(names) > abi.MaxStatePage {
		names, status = names[:abi.MaxStatePage], abi.StatusPartial
	}
	if d.listed += 1 + len(names); d.listed > abi.MaxStateNames {
		return abi.StatusTooLarge, nil
	}
	for _, name := range names {
		body = append(binary.LittleEndian.AppendUint32(body, uint32(len(name))), name...)
	}
	return status, body
}

// answer needs calls.
func (d *delivery) answer(handle int32) *answer {
	if handle < 1 || int(handle) > len(d.answers) {
		return nil
	}
	return d.answers[handle-1]
}

// wanted is what a wait for a handle, or with -1 for any, is about; nil = there is nothing.
func (d *delivery) wanted(handle int32) (int32, *answer) {
	d.calls.Lock()
	defer d.calls.Unlock()
	if handle != -1 {
		return handle, d.answer(handle)
	}
	found, other := int32(0), int32(0)
	for i, a := range d.answers {
		switch {
		case a == nil:
		case !a.runs() && !a.reported && found == 0:
			found = int32(i + 1)
		case other == 0 || a.runs() && !d.answers[other-1].runs():
			other = int32(i + 1)
		}
	}
	if found == 0 {
		found = other
	}
	return found, d.answer(found)
}

func (d *delivery) CallWait(handle int32, timeoutMs int64) int64 {
	until := d.deadline
	if at := time.Now().Add(time.Duration(timeoutMs) * time.Millisecond); timeoutMs >= 0 && at.Before(until) {
		until = at
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for {
		h, a := d.wanted(handle)
		switch {
		case a == nil:
			return abi.Invalid
		case !a.runs():
			d.calls.Lock()
			defer d.calls.Unlock()
			a.reported = true
			return int64(h)<<32 | int64(a.status)
		}
		select {
		case <-d.ended:
		case <-timer.C:
			return abi.Absent
		}
	}
}

func (d *delivery) CallLen(handle int32) int32 {
	d.calls.Lock()
	defer d.calls.Unlock()
	switch a := d.answer(handle); {
	case a == nil:
		return abi.Invalid
	case a.runs():
		return abi.Absent
	default:
		return int32(len(a.body))
	}
}

func (d *delivery) CallRead(handle int32, off uint32, b []byte) int32 {
	d.calls.Lock()
	defer d.calls.Unlock()
	switch a := d.answer(handle); {
	case a == nil:
		return abi.Invalid
	case a.runs():
		return abi.Absent
	default:
		return int32(copy(b, a.body[min(int(off), len(a.body)):]))
	}
}

func (d *delivery) CallClose(handle int32) int32 {
	d.calls.Lock()
	defer d.calls.Unlock()
	a := d.answer(handle)
	if a == nil {
		return abi.Invalid
	}
	if a.cancel != nil {
		a.cancel()
	}
	d.answers[handle-1] = nil
	d.open--
	return 0
}

// end cancels what still runs and waits for it.
func (d *delivery) end() {
	d.calls.Lock()
	for _, a := range d.answers {
		if a != nil && a.cancel != nil {
			a.cancel()
		}
	}
	d.calls.Unlock()
	d.running.Wait()
}

func (d *delivery) DeadlineMs() int64 { return max(0, time.Until(d.deadline).Milliseconds()) }

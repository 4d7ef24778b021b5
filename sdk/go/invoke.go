package evoke

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// Answer is what an invoked function replied.
type Answer struct {
	// Data is the reply's data, nil when there is none.
	Data []byte
	// Attributes are what the reply says of itself, such as its type and its datacontenttype; nil when it says nothing.
	Attributes map[string]any
}

// Decode reads the data, which is JSON, into what v points to.
func (a Answer) Decode(v any) error {
	if err := json.Unmarshal(a.Data, v); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// InvokeError says why an invoked function gave no answer.
type InvokeError struct {
	Function string
	// Status is 403 when the manifest does not allow it, 404 when there is no such function, 422 when it rejected the event, 429 when there is no room for it, 500 when
	// it failed, 502 when it trapped, 503 when it cannot run now, 504 when its time was over, and 508 when it is under way already or the chain is too long.
	Status int
	Reason string
}

func (e *InvokeError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("invoke %s: status %d", e.Function, e.Status)
	}
	return fmt.Sprintf("invoke %s: %s", e.Function, e.Reason)
}

// Unwrap makes errors.Is find ErrDenied and ErrInvalid.
func (e *InvokeError) Unwrap() error {
	switch e.Status {
	case abi.StatusDenied:
		return ErrDenied
	case abi.StatusInvalid:
		return ErrInvalid
	}
	return nil
}

// Invoke runs another function on an event and waits for its answer. The manifest lists which (allow: { invoke: [price] }). It runs inside this delivery: under the same
// key and within the same deadline, and what it emits and writes becomes real together with what this handler does, if that returns without an error. A function that
// is waiting for what it invoked cannot be invoked again.
//
// The error is an [*InvokeError] when the function did not answer. What it did is then undone, and the handler may go on.
func Invoke(function string, e *Event) (Answer, error) {
	text, err := e.marshal()
	if err != nil {
		return Answer{}, &opError{op: "invoke", name: function, err: err}
	}
	req := make([]byte, 0, 4+len(function)+len(text))
	req = binary.LittleEndian.AppendUint32(req, uint32(len(function)))
	status, b := host.Do(abi.OpInvoke, append(append(req, function...), text...))
	switch {
	case status < 0:
		return Answer{}, callError("invoke", function, status)
	case status != abi.StatusOK:
		return Answer{}, &InvokeError{Function: function, Status: int(status), Reason: string(b)}
	}
	n := 4 + binary.LittleEndian.Uint32(b)
	a := Answer{}
	if n > 4 {
		if err := json.Unmarshal(b[4:n], &a.Attributes); err != nil {
			return Answer{}, &opError{op: "read the answer of", name: function, err: err}
		}
	}
	if int(n) < len(b) {
		a.Data = b[n:]
	}
	return a, nil
}

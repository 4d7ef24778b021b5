package evoke

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// GetState reads a value of the function's state under the key of the event; false when there is none. A handler reads what it wrote before.
// Names have 1 to 512 bytes.
func GetState(name string) (value []byte, ok bool, err error) {
	status, value := host.Do(abi.OpStateGet, []byte(name))
	if status == abi.StatusNotFound {
		return nil, false, nil
	}
	if status != abi.StatusOK {
		return nil, false, stateError("read state", name, status)
	}
	if value == nil {
		value = []byte{}
	}
	return value, true, nil
}

// SetState writes a value of at most 256 KiB. It becomes real when and if the handler returns without an error. When another event changed what this
// one read or wrote, the runtime runs the handler again; it never sees the clash.
func SetState(name string, value []byte) error {
	req := make([]byte, 0, 4+len(name)+len(value))
	req = binary.LittleEndian.AppendUint32(req, uint32(len(name)))
	req = append(append(req, name...), value...)
	if status, _ := host.Do(abi.OpStateSet, req); status != abi.StatusNoContent {
		return stateError("write state", name, status)
	}
	return nil
}

// DeleteState removes a value, when and if the handler returns without an error. It is no error when there is none.
func DeleteState(name string) error {
	if status, _ := host.Do(abi.OpStateDelete, []byte(name)); status != abi.StatusNoContent {
		return stateError("delete state", name, status)
	}
	return nil
}

// ListState lists the names of the values under the key of the event that begin with prefix, in the order of their bytes, at most 10,000 in a delivery. A handler sees
// what it wrote before, and is run again when another event creates, changes or deletes one of them meanwhile.
func ListState(prefix string) (names []string, err error) {
	for after := ""; ; after = names[len(names)-1] {
		req := make([]byte, 0, 4+len(prefix)+len(after))
		req = binary.LittleEndian.AppendUint32(req, uint32(len(prefix)))
		status, answer := host.Do(abi.OpStateList, append(append(req, prefix...), after...))
		if status != abi.StatusOK && status != abi.StatusPartial {
			return nil, listError(prefix, status)
		}
		for len(answer) >= 4 {
			n := binary.LittleEndian.Uint32(answer)
			names, answer = append(names, string(answer[4:4+n])), answer[4+n:]
		}
		if status == abi.StatusOK {
			return names, nil
		}
	}
}

func listError(prefix string, status int32) error {
	switch status {
	case abi.StatusTooLarge:
		return &opError{"list state", prefix, "a delivery lists at most 10,000 names", ErrTooLarge}
	case abi.StatusInvalid:
		return &opError{"list state", prefix, "a prefix has at most 512 bytes", ErrInvalid}
	}
	return stateError("list state", prefix, status)
}

// GetStateJSON reads a value that SetStateJSON wrote into what v points to; false, and v untouched, when there is none.
func GetStateJSON(name string, v any) (ok bool, err error) {
	b, ok, err := GetState(name)
	if !ok || err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, &opError{op: "read state", name: name, err: err}
	}
	return true, nil
}

// SetStateJSON writes the JSON form of v; see SetState.
func SetStateJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return &opError{op: "write state", name: name, err: err}
	}
	return SetState(name, b)
}

// Config reads an entry of the function's env in the manifest; false when there is none.
func Config(name string) (value string, ok bool, err error) {
	switch status, b := host.Do(abi.OpConfigGet, []byte(name)); status {
	case abi.StatusOK:
		return string(b), true, nil
	case abi.StatusNotFound:
		return "", false, nil
	default:
		return "", false, callError("read config", name, status)
	}
}

// Secret reads a secret that the function lists under secrets: in the manifest; false when it is not set. It is as it is now: a new value comes with the next event.
func Secret(name string) (value string, ok bool, err error) {
	switch status, b := host.Do(abi.OpSecretGet, []byte(name)); status {
	case abi.StatusOK:
		return string(b), true, nil
	case abi.StatusNotFound:
		return "", false, nil
	case abi.StatusDenied:
		return "", false, &opError{"read secret", name, "add it to secrets of this function in fn.yaml", ErrDenied}
	default:
		return "", false, callError("read secret", name, status)
	}
}

func stateError(op, name string, status int32) error {
	switch status {
	case abi.StatusDenied:
		return &opError{op, name, "add state: true to allow of this function in fn.yaml", ErrDenied}
	case abi.StatusNoKey:
		return &opError{op, name, "state belongs to a key: set partitionkey or subject, or key: on the http trigger", ErrNoKey}
	case abi.StatusTooLarge:
		return &opError{op, name, "a value has at most 256 KiB, and the effects of a delivery 4 MiB", ErrTooLarge}
	case abi.StatusInvalid:
		return &opError{op, name, "a name has 1 to 512 bytes of UTF-8", ErrInvalid}
	}
	return callError(op, name, status)
}

func callError(op, name string, status int32) error {
	switch status {
	case abi.StatusDenied:
		return &opError{op: op, name: name, err: ErrDenied}
	case abi.TooLarge:
		return &opError{op, name, "a request has at most 1 MiB, and 64 calls can be open", ErrTooLarge}
	case abi.Closed:
		return &opError{op: op, name: name, err: errors.New("the event is over")}
	case abi.Absent:
		return &opError{op: op, name: name, err: errors.New("no answer before the deadline")}
	default:
		return &opError{op: op, name: name, err: errors.New("status " + strconv.Itoa(int(status)))}
	}
}

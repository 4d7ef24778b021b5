package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/evoke-run/evoke/sandbox/web"
)

// hostValue is what a script gives to the host, and gets from it.
type hostValue struct {
	kind  valueKind
	bytes []byte // of a script's argument that is binary: its own memory, good until the host function returns
	box   uint64
}

type valueKind int

const (
	valueNone   valueKind = iota // undefined
	valueText                    // a string
	valueBinary                  // an ArrayBuffer; as an argument a Uint8Array, too
	valueBoxed                   // what the engine has made, by the address of its box
)

func textValue(s string) hostValue { return hostValue{kind: valueText, bytes: []byte(s)} }

// argument is the nth of the values at an address.
func (i *instance) argument(values uint64, n int) (hostValue, error) {
	boxed, err := i.view(values+4*uint64(n), 4)
	if err != nil {
		return hostValue{}, err
	}
	v, err := i.unbox(uint64(binary.LittleEndian.Uint32(boxed)))
	if err != nil {
		return hostValue{}, err
	}
	switch v.tag() {
	case tagUndefined:
		return hostValue{}, nil
	case tagObject:
		b, err := i.binary(i.script, v)
		return hostValue{kind: valueBinary, bytes: b}, err
	}
	b, err := i.text(i.script, v)
	return hostValue{kind: valueText, bytes: b}, err
}

// boxed makes a value for the engine to take over.
func (i *instance) boxed(v hostValue) (uint64, error) {
	switch v.kind {
	case valueNone:
		return i.engine("qjs_get_undefined")
	case valueBoxed:
		return v.box, nil
	}
	at, err := i.put(v.bytes)
	if err != nil {
		return 0, err
	}
	make := "qjs_new_string"
	if v.kind == valueBinary {
		make = "qjs_new_array_buffer"
	}
	box, err := i.engine(make, at, uint64(len(v.bytes)))
	if err != nil {
		return 0, err
	}
	return box, i.forget(at, len(v.bytes))
}

// webGroup runs the file of a group of web globals. What it throws, because there is no more memory or time, is thrown where it was asked for.
func (i *instance) webGroup(name string) (hostValue, error) {
	source, err := web.Source(name)
	if err != nil {
		return hostValue{}, err
	}
	at, err := i.put(source)
	if err != nil {
		return hostValue{}, err
	}
	file, err := i.put([]byte("evoke:" + name))
	if err != nil {
		return hostValue{}, err
	}
	// The export may be running already, further up: a function of wazero's is good for one call at a time, so this is another one.
	stack := [...]uint64{at, uint64(len(source)), file, evalScript}
	if err := i.guest.ExportedFunction("qjs_eval").CallWithStack(&i.inv, stack[:]); err != nil {
		return hostValue{}, err
	}
	made := stack[0]
	_, err = i.engine("wasm_free", at) // or it would be in the snapshot
	return hostValue{kind: valueBoxed, box: made}, err
}

// webCall does work for a group of web globals. When it fails there is no answer, and the prelude asks what the problem is.
func (c call) webCall(op string, arguments []hostValue) hostValue {
	w := web.Call{Stop: func() bool { return c.Err() != nil }, Event: c.phase != initialising}
	for _, a := range arguments {
		w.Arguments = append(w.Arguments, a.bytes)
	}
	r, err := w.Do(op)
	if c.Err() != nil {
		panic(errStopped)
	}
	var problem *web.Exception
	switch {
	case errors.As(err, &problem):
		b, err := json.Marshal([]string{problem.Name, problem.Message})
		if err != nil {
			panic(err) // strings
		}
		c.webProblem = string(b)
		return hostValue{}
	case err != nil:
		panic(&trapError{err.Error()})
	case r.Text:
		return hostValue{kind: valueText, bytes: r.Bytes}
	}
	return hostValue{kind: valueBinary, bytes: r.Bytes}
}

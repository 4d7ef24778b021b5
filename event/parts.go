package event

import "fmt"

// FromParts is a valid event of its JSON and of that of the HTTP request that it was; nil = it was none.
func FromParts(text, request []byte) (*Event, error) {
	e := &Event{}
	if err := e.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	e.Request = request
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if n := e.Size(); n > MaxSize {
		return nil, fmt.Errorf("it has %d bytes, the limit is %d", n, MaxSize)
	}
	return e, nil
}

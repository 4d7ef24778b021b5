package evoke

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/evoke-run/evoke/sdk/go/internal/abi"
	"github.com/evoke-run/evoke/sdk/go/internal/host"
)

// Event is a CloudEvent: the one a handler gets, or one to Emit (see NewEvent). The zero value of a field means that the event does not have it.
type Event struct {
	ID     string
	Source string
	Type   string

	Subject         string
	Time            time.Time
	DataContentType string
	DataSchema      string

	received   int32 // 1 + its number in the delivery; 0 for an event that was made here
	data       []byte
	hasData    bool // data is loaded, or set
	isJSON     bool // data was made by this package and is valid JSON
	err        error
	extensions map[string]any
	request    *Request
}

// receive reads the attributes of an event of the delivery. Everything else is read when it is asked for.
func receive(number int32) *Event {
	e := &Event{received: number + 1}
	e.ID, e.Source, e.Type = e.attribute(abi.PartID), e.attribute(abi.PartSource), e.attribute(abi.PartType)
	e.Subject = e.attribute(abi.PartSubject)
	e.DataContentType, e.DataSchema = e.attribute(abi.PartDataContentType), e.attribute(abi.PartDataSchema)
	e.Time, _ = time.Parse(time.RFC3339Nano, e.attribute(abi.PartTime)) // the runtime has checked it; an absent one stays zero
	return e
}

// attribute is an attribute of an event that was received; one that was made here has none but its fields.
func (e *Event) attribute(part int32) string {
	if e.received == 0 {
		return ""
	}
	return host.Text(e.received-1, part)
}

// part reads a part of an event that was received; one that was made here has none.
func (e *Event) part(part int32) ([]byte, bool) {
	if e.received == 0 {
		return nil, false
	}
	return host.Part(e.received-1, part)
}

// NewEvent makes an event to Emit. Data is nil for none, []byte (application/octet-stream), string (text/plain), or anything that encoding/json can
// encode. What cannot be encoded is an error of Emit. Set more fields as you like; Emit fills in ID, Source and Time.
func NewEvent(typ string, data any) *Event {
	e := &Event{Type: typ}
	switch data := data.(type) {
	case nil:
	case []byte:
		e.SetData("application/octet-stream", data)
	case string:
		e.SetData("text/plain; charset=utf-8", []byte(data))
	default:
		b, err := json.Marshal(data)
		e.SetData("application/json", b)
		e.isJSON, e.err = true, err
	}
	return e
}

// SetData sets the data and its content type.
func (e *Event) SetData(contentType string, data []byte) {
	e.DataContentType, e.data, e.hasData, e.isJSON, e.err = contentType, data, true, false, nil
}

// Data is the payload as it came; nil when there is none.
func (e *Event) Data() []byte {
	if !e.hasData {
		e.data, _ = e.part(abi.PartData)
	}
	e.hasData = true
	return e.data
}

// Decode reads the payload, which is JSON, into the value v points to. Data that is not JSON stays so: think of Reject.
func (e *Event) Decode(v any) error {
	if err := json.Unmarshal(e.Data(), v); err != nil {
		return &opError{op: "decode the data of event", name: e.ID, err: err}
	}
	return nil
}

// Key is what orders events and holds state: the partitionkey extension, else the subject, else "".
func (e *Event) Key() string {
	if k := e.Extension("partitionkey"); k != "" {
		return k
	}
	return e.Subject
}

// Extension is the value of an extension attribute in its text form; "" when the event does not have it.
func (e *Event) Extension(name string) string {
	if name == "partitionkey" && e.extensions == nil {
		return e.attribute(abi.PartPartitionKey) // without parsing the rest
	}
	switch v := e.Extensions()[name].(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int32:
		return strconv.Itoa(int(v))
	default:
		return ""
	}
}

// Extensions are the extension attributes; values are string, bool or int32. To change them use SetExtension.
func (e *Event) Extensions() map[string]any {
	if e.extensions != nil {
		return e.extensions
	}
	e.extensions = map[string]any{}
	attributes, ok := e.part(abi.PartAttributes)
	if !ok {
		return e.extensions
	}
	_ = json.Unmarshal(attributes, &e.extensions) // the runtime made it
	for name, v := range e.extensions {
		switch n, number := v.(float64); {
		case isAttribute(name):
			delete(e.extensions, name)
		case number:
			e.extensions[name] = int32(n)
		}
	}
	return e.extensions
}

// SetExtension sets an extension attribute. Names have lower-case letters and digits only. The value is a string, a bool, an int or an int32; "" and
// nil remove the attribute.
func (e *Event) SetExtension(name string, value any) {
	m := e.Extensions()
	switch v := value.(type) {
	case nil:
		delete(m, name)
		return
	case string:
		if v == "" {
			delete(m, name)
			return
		}
	case int:
		if int(int32(v)) == v {
			value = int32(v)
		}
	}
	m[name] = value
}

func isAttribute(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema":
		return true
	}
	return false
}

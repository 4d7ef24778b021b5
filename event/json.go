package event

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/evoke-run/evoke/wire"
)

// MarshalJSON writes the event in the CloudEvents JSON format. Data of a JSON content type is embedded byte for byte,
// other UTF-8 text becomes a string, anything else data_base64.
func (e *Event) MarshalJSON() ([]byte, error) {
	b := e.appendAttributes(make([]byte, 0, 256+len(e.Data)))
	if e.Data != nil {
		b = e.appendData(append(b[:len(b)-1], ','))
		b = append(b, '}')
	}
	return b, nil
}

// AttributesJSON is all attributes and extensions as one JSON object, without the data (docs/abi.md, part 1).
func (e *Event) AttributesJSON() []byte { return e.appendAttributes(nil) }

func (e *Event) appendAttributes(b []byte) []byte {
	b = append(b, `{"specversion":"1.0"`...)
	for _, name := range [...]string{"id", "source", "type", "subject", "time", "datacontenttype", "dataschema"} {
		if v, ok := e.Attribute(name); ok {
			b = appendMember(b, name, v)
		}
	}
	for _, x := range e.Extensions {
		if x.Kind == String {
			b = appendMember(b, x.Name, x.Value)
			continue
		}
		b = append(wire.AppendJSON(append(b, ','), x.Name), ':')
		b = append(b, x.Value...)
	}
	return append(b, '}')
}

func (e *Event) appendData(b []byte) []byte {
	switch {
	case isJSON(e.DataContentType) && json.Valid(e.Data):
		return append(append(b, `"data":`...), e.Data...)
	case !isJSON(e.DataContentType) && utf8.Valid(e.Data):
		return wire.AppendJSON(append(b, `"data":`...), string(e.Data))
	default:
		b = append(b, `"data_base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, e.Data)
		return append(b, '"')
	}
}

func appendMember(b []byte, name, value string) []byte {
	return wire.AppendJSON(append(wire.AppendJSON(append(b, ','), name), ':'), value)
}

// HasJSON says whether the data is declared to be JSON. No content type means JSON.
func (e *Event) HasJSON() bool { return isJSON(e.DataContentType) }

// isJSON follows the CloudEvents JSON format: no content type means JSON, and so does any whose subtype is json or ends with +json.
func isJSON(contentType string) bool {
	if contentType == "" || contentType == "application/json" {
		return true
	}
	t, _, _ := strings.Cut(contentType, ";")
	_, subtype, ok := strings.Cut(strings.TrimRight(t, " \t"), "/")
	return ok && (strings.EqualFold(subtype, "json") || len(subtype) > 5 && strings.EqualFold(subtype[len(subtype)-5:], "+json"))
}

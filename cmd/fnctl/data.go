package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxData is a little more than the largest event, so that the server has the last word.
const maxData = 32 << 20

// readData takes the value of -d: the text itself, @file, or - for stdin.
func (c *cli) readData(flag string) ([]byte, error) {
	switch {
	case flag == "-":
		return readAll(c.in, "stdin")
	case strings.HasPrefix(flag, "@"):
		f, err := os.Open(flag[1:])
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("data of -d %s: %w", flag, err), try: "-d @FILE with a file that is there, -d - for stdin, or -d with the data itself"}
		}
		defer f.Close() // only read
		return readAll(f, flag[1:])
	}
	return []byte(flag), nil
}

func readAll(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxData+1))
	if err != nil {
		return nil, fmt.Errorf("read data from %s: %w", name, err)
	}
	if len(b) > maxData {
		return nil, usagef("an event that names where the data is", "data from %s has more than %s", name, size(maxData))
	}
	return b, nil
}

// eventFlags are the attributes that invoke and emit share.
type eventFlags struct {
	data                                string
	hasData                             bool
	typ, source, subject, key, id, time string
	contentType                         string
	ext                                 []string
	delay, at                           string
}

// build makes a structured CloudEvent. Attributes that were not given are left for the server to fill in.
func (f *eventFlags) build(data []byte) (json.RawMessage, error) {
	ev := map[string]any{"specversion": "1.0"}
	for name, v := range map[string]string{
		"type": f.typ, "source": f.source, "subject": f.subject, "partitionkey": f.key, "id": f.id, "time": f.time,
		"evokedelay": f.delay, "evokedeliverat": f.at,
	} {
		if v != "" {
			ev[name] = v
		}
	}
	for _, pair := range f.ext {
		name, v, ok := strings.Cut(pair, "=")
		if !ok || !isExtension(name) {
			return nil, usagef("--ext tenant=acme", "--ext %q is not NAME=VALUE with a name of lower-case letters and digits", pair)
		}
		if isAttribute(name) {
			return nil, usagef("", "--ext %s: %s is an attribute and no extension; those that may be set have flags of their own", pair, name)
		}
		if _, taken := ev[name]; taken {
			return nil, usagef("", "--ext %s: %s has a value already", pair, name)
		}
		ev[name] = extensionValue(v)
	}
	if f.hasData {
		if err := f.setData(ev, data); err != nil {
			return nil, err
		}
	}
	return json.Marshal(ev)
}

// setData writes data the way its content type asks for.
func (f *eventFlags) setData(ev map[string]any, data []byte) error {
	contentType := f.contentType
	if contentType == "" {
		contentType = guessType(data)
	}
	ev["datacontenttype"] = contentType
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return usagef("--content-type application/json", "--content-type %q: %w", contentType, err)
	}
	isJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	switch {
	case isJSON && !json.Valid(data):
		return usagef("--content-type text/plain, or correct the data", "the data is not valid JSON: %s", jsonFault(data))
	case isJSON:
		ev["data"] = json.RawMessage(data)
	case utf8.Valid(data):
		ev["data"] = string(data)
	default:
		ev["data_base64"] = data // encoding/json writes bytes as base64
	}
	return nil
}

func guessType(data []byte) string {
	switch {
	case json.Valid(data):
		return "application/json"
	case utf8.Valid(data):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// jsonFault says where JSON breaks.
func jsonFault(data []byte) string {
	var v any
	return fmt.Sprint(json.Unmarshal(data, &v))
}

func isExtension(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

func isAttribute(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "partitionkey":
		return true
	}
	return false
}

// extensionValue keeps the types CloudEvents has in JSON: booleans, 32-bit integers, text.
func extensionValue(v string) any {
	switch v {
	case "true":
		return true
	case "false":
		return false
	}
	if n, err := strconv.ParseInt(v, 10, 32); err == nil && strconv.FormatInt(n, 10) == v {
		return n
	}
	return v
}

// newID is random; nobody sends the same event twice by accident.
func newID() string { return rand.Text() }

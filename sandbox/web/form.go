package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"mime"
	"net/textproto"
	"strings"
)

const (
	maxFormParts = 1000     // of a form
	maxPartHead  = 64 << 10 // bytes of the headers of one
)

// formPart is one entry of a form: what its header says, and where its content is.
type formPart struct {
	Name     string  `json:"name"`
	Filename *string `json:"filename,omitempty"`
	Type     string  `json:"type,omitempty"`
	From     int     `json:"from"`
	To       int     `json:"to"`
}

// formParts finds the parts of a multipart/form-data body (0) with a boundary (1). The result is JSON, a list of formPart.
func formParts(c *Call) (Result, error) {
	body, line := c.argument(0), append([]byte("\r\n--"), c.argument(1)...)
	parts := []formPart{}
	at := 0
	if !bytes.HasPrefix(body, line[2:]) {
		if at = bytes.Index(body, line); at < 0 {
			return Result{}, fail("SyntaxError", "the boundary %q is not in the body", c.word(1))
		}
		at += 2
	}
	for at += len(line) - 2; !bytes.HasPrefix(body[at:], []byte("--")); {
		head := bytes.Index(body[at:], []byte("\r\n\r\n"))
		end := bytes.Index(body[min(len(body), at+max(0, head)+2):], line)
		if head < 0 || end < 0 {
			return Result{}, fail("SyntaxError", "the body breaks off in part %d", len(parts)+1)
		}
		if head > maxPartHead {
			return Result{}, fail("SyntaxError", "the headers of part %d have more than %d bytes", len(parts)+1, maxPartHead)
		}
		p, err := readPart(body[at : at+head+4])
		if err != nil {
			return Result{}, fail("SyntaxError", "part %d: %v", len(parts)+1, err)
		}
		p.From = at + head + 4
		p.To = max(p.From, at+head+2+end)
		at += head + 2 + end + len(line)
		if parts = append(parts, p); len(parts) > maxFormParts {
			return Result{}, fail("SyntaxError", "it has more than %d parts", maxFormParts)
		}
	}
	b, err := json.Marshal(parts)
	return Result{Bytes: b, Text: true}, err
}

// readPart reads the header of a part, from the end of the boundary on.
func readPart(b []byte) (formPart, error) {
	_, b, _ = bytes.Cut(b, []byte("\r\n"))
	head, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(b))).ReadMIMEHeader()
	if err != nil {
		return formPart{}, err
	}
	kind, params, err := mime.ParseMediaType(head.Get("Content-Disposition"))
	name, named := params["name"]
	if err != nil || kind != "form-data" || !named {
		return formPart{}, fail("SyntaxError", "its Content-Disposition is no form-data with a name")
	}
	unescape := strings.NewReplacer("%0A", "\n", "%0D", "\r", "%22", `"`)
	p := formPart{Name: unescape.Replace(name), Type: head.Get("Content-Type")}
	if file, ok := params["filename"]; ok {
		file = unescape.Replace(file)
		p.Filename = &file
	}
	return p, nil
}

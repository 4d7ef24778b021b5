package wire

import (
	"bytes"
	"encoding/json"
)

// AppendJSON appends a JSON string. It is encoding/json's without the escapes for HTML; bytes that are not UTF-8 become U+FFFD.
func AppendJSON(b []byte, s string) []byte {
	if isPlain(s) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// isPlain says that a string stands in JSON as it is, as most do.
func isPlain(s string) bool {
	for i := range len(s) {
		if ch := s[i]; ch < 0x20 || ch >= 0x80 || ch == '"' || ch == '\\' {
			return false
		}
	}
	return true
}

package evoke

import "unicode/utf8"

// appendString appends a JSON string; bytes that are not UTF-8 become U+FFFD. It is here because encoding/json is most of the size of a function that
// does not use it otherwise.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	if isPlain(s) {
		return append(append(b, s...), '"')
	}
	for _, r := range s { // yields U+FFFD for bytes that are not UTF-8
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20 || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// isPlain says whether a string stands in JSON as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if ch := s[i]; ch < 0x20 || ch >= 0x7f || ch == '"' || ch == '\\' {
			return false
		}
	}
	return true
}

func quote(s string) string { return string(appendString(nil, s)) }

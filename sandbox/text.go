package sandbox

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

// cutText makes s valid UTF-8 of at most n bytes, cut between characters.
func cutText(s string, n int) string {
	s = strings.ToValidUTF8(cutBytes(s, n), "\uFFFD")
	return cutBytes(s, n) // the replacement is longer than what it replaces
}

func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for back := 0; back < utf8.UTFMax && back <= n; back++ {
		if utf8.RuneStart(s[n-back]) {
			return s[:n-back]
		}
	}
	return s[:n]
}

// bytesOf is s without a copy, for reading only; not nil.
func bytesOf(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

package sandbox

import (
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// cutText makes s valid UTF-8 of at most n bytes, cut between characters.
func cutText(s string, n int) string {
	s = strings.ToValidUTF8(cutBytes(s, n), "\uFFFD")
	return cutBytes(s, n) // the replacement is longer than what it replaces
}

// printable makes what a module is called, or calls things, harmless for the terminals that messages are read on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
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

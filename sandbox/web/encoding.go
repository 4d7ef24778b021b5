package web

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// encodeText gives the bytes of a string, which is well-formed.
func encodeText(c *Call) (Result, error) { return Result{Bytes: c.argument(0)}, nil }

// decodeText decodes bytes (0) that are encoded (1) in one of the names that TextDecoder has. With the third argument "fatal" it refuses what is not.
func decodeText(c *Call) (Result, error) {
	decode := map[string]func([]byte) ([]byte, bool){
		"utf-8": decodeUTF8, "windows-1252": decode1252,
		"utf-16le": func(b []byte) ([]byte, bool) { return decodeUTF16(b, binary.LittleEndian) },
		"utf-16be": func(b []byte) ([]byte, bool) { return decodeUTF16(b, binary.BigEndian) },
	}[c.word(1)]
	if decode == nil {
		return Result{}, fail("NotSupportedError", "no decoder of %q", c.word(1))
	}
	text, valid := decode(c.argument(0))
	if !valid && c.word(2) == "fatal" {
		return Result{}, fail("EncodingError", "the data is not %s", c.word(1))
	}
	return Result{Bytes: text, Text: true}, nil
}

// decodeUTF8 puts U+FFFD in place of each sequence that cannot become a character, as far as it could have: https://encoding.spec.whatwg.org/#utf-8-decoder.
func decodeUTF8(b []byte) (text []byte, valid bool) {
	if utf8.Valid(b) {
		return b, true
	}
	text = make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = brokenUTF8(b)
		}
		text = utf8.AppendRune(text, r)
		b = b[size:]
	}
	return text, false
}

// brokenUTF8 is how many bytes belong to the sequence that b begins with and that breaks off or is none.
func brokenUTF8(b []byte) int {
	low, high, more := byte(0x80), byte(0xbf), 0
	switch lead := b[0]; {
	case lead >= 0xc2 && lead <= 0xdf:
		more = 1
	case lead >= 0xe0 && lead <= 0xef:
		more = 2
		if lead == 0xe0 {
			low = 0xa0
		} else if lead == 0xed {
			high = 0x9f // no surrogates
		}
	case lead >= 0xf0 && lead <= 0xf4:
		more = 3
		if lead == 0xf0 {
			low = 0x90
		} else if lead == 0xf4 {
			high = 0x8f // nothing beyond U+10FFFF
		}
	}
	n := 1
	for ; n <= more && n < len(b) && b[n] >= low && b[n] <= high; n++ {
		low, high = 0x80, 0xbf
	}
	return n
}

func decodeUTF16(b []byte, order binary.ByteOrder) (text []byte, valid bool) {
	valid = len(b)%2 == 0
	units := make([]uint16, 0, len(b)/2+1)
	for ; len(b) > 1; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	if !valid {
		units = append(units, 0xdc00) // half a unit is as wrong as half a pair
	}
	for n := 0; n < len(units); n++ {
		r := rune(units[n])
		if utf16.IsSurrogate(r) {
			r = utf8.RuneError
			if n+1 < len(units) {
				r = utf16.DecodeRune(rune(units[n]), rune(units[n+1]))
			}
			if r == utf8.RuneError {
				valid = false
			} else {
				n++
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return text, valid
}

// high1252 are the characters of 0x80 to 0x9f in windows-1252, which is also what the web means by latin1.
var high1252 = [32]rune{
	0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f,
	0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
}

func decode1252(b []byte) (text []byte, valid bool) {
	text = make([]byte, 0, len(b))
	for _, c := range b {
		r := rune(c)
		if c >= 0x80 && c < 0xa0 {
			r = high1252[c-0x80]
		}
		text = utf8.AppendRune(text, r)
	}
	return text, true
}

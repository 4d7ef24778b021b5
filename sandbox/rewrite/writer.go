package rewrite

// appendU appends an unsigned LEB128 number.
func appendU(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// appendS appends a signed LEB128 number.
func appendS(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// appendName appends bytes with their length before them.
func appendName[T string | []byte](b []byte, s T) []byte {
	return append(appendU(b, uint32(len(s))), s...)
}

// appendSection appends a section, unless it has no entries.
func appendSection(b []byte, id byte, entries int, content []byte) []byte {
	if entries == 0 {
		return b
	}
	head := appendU(nil, uint32(entries))
	b = appendU(append(b, id), uint32(len(head)+len(content)))
	return append(append(b, head...), content...)
}

package rewrite

// reader reads the binary format. The first fault sticks: what is read afterwards is zero, so callers check once per loop or section.
type reader struct {
	b    []byte
	pos  int
	base int // offset of b in the module, for messages
	err  *Error
}

// fail keeps the first error and ends the input.
func (r *reader) fail(err *Error) {
	if r.err == nil {
		r.err = err
	}
	r.pos = len(r.b)
}

func (r *reader) at() int { return r.base + r.pos }

func (r *reader) more() bool { return r.err == nil && r.pos < len(r.b) }

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail(broken(r.at(), "it ends in the middle of something"))
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

// bytes shares memory with the input.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail(broken(r.at(), "%d bytes are announced and %d follow", n, len(r.b)-r.pos))
		return nil
	}
	v := r.b[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return v
}

// sized is a reader of a piece with its length before it.
func (r *reader) sized() reader {
	n := r.u32()
	at := r.at()
	return reader{b: r.bytes(n), base: at, err: r.err}
}

func (r *reader) name() string { return string(r.bytes(r.u32())) }

// u32 reads an unsigned LEB128 number of at most 5 bytes.
func (r *reader) u32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 {
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	start := r.at()
	var v uint32
	for shift := uint(0); shift < 35; shift += 7 {
		c := r.byte()
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			if shift == 28 && c > 0x0f {
				break
			}
			return v
		}
	}
	r.fail(broken(start, "a number does not fit 32 bits"))
	return 0
}

// signed reads a signed LEB128 number of at most the given bits.
func (r *reader) signed(bits uint) int64 {
	start := r.at()
	var v int64
	for shift := uint(0); shift < bits; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c >= 0x80 {
			continue
		}
		if left := bits - shift; left < 7 {
			// The unused bits of the last byte repeat the sign.
			if sign := int8(c<<1) >> 1 >> (left - 1); sign != 0 && sign != -1 {
				break
			}
		}
		if shift+7 < 64 {
			v = v << (64 - shift - 7) >> (64 - shift - 7)
		}
		return v
	}
	r.fail(broken(start, "a number does not fit %d bits", bits))
	return 0
}

// count reads the length of a vector whose elements take at least one byte each, so that no length makes us allocate more than the input's size.
func (r *reader) count() int {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail(broken(r.at(), "%d entries are announced and %d bytes follow", n, len(r.b)-r.pos))
		return 0
	}
	return int(n)
}

// end fails when bytes are left over.
func (r *reader) end(what string) *Error {
	if r.err == nil && r.pos != len(r.b) {
		r.fail(broken(r.at(), "%d bytes follow the end of %s", len(r.b)-r.pos, what))
	}
	return r.err
}

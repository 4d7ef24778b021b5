package partition

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// chunkBits: a chunk of a bitmap covers 1,024 offsets in 128 bytes.
const (
	chunkBits  = 10
	chunkWords = 1 << chunkBits / 64
)

type chunk [chunkWords]uint64

// pending is the set of offsets that a trigger has to settle: one bit each, so that millions waiting cost next to nothing.
type pending struct {
	chunks map[uint64]*chunk
	order  []uint64 // keys of chunks, sorted
	dirty  map[uint64]struct{}
	count  int
}

func locate(offset uint64) (chunkID uint64, word int, bit uint64) {
	return offset >> chunkBits, int(offset&(1<<chunkBits-1)) / 64, 1 << (offset % 64)
}

func (p *pending) has(offset uint64) bool {
	id, word, bit := locate(offset)
	c := p.chunks[id]
	return c != nil && c[word]&bit != 0
}

func (p *pending) add(offset uint64) {
	id, word, bit := locate(offset)
	c := p.chunks[id]
	if c == nil {
		c = new(chunk)
		p.insert(id, c)
	}
	if c[word]&bit == 0 {
		c[word] |= bit
		p.count++
		put(&p.dirty, id, struct{}{})
	}
}

func (p *pending) insert(id uint64, c *chunk) {
	put(&p.chunks, id, c)
	if n := len(p.order); n == 0 || p.order[n-1] < id {
		p.order = append(p.order, id)
		return
	}
	i, _ := slices.BinarySearch(p.order, id)
	p.order = slices.Insert(p.order, i, id)
}

func (p *pending) remove(offset uint64) {
	id, word, bit := locate(offset)
	c := p.chunks[id]
	if c == nil || c[word]&bit == 0 {
		return
	}
	c[word] &^= bit
	p.count--
	put(&p.dirty, id, struct{}{})
	if *c == (chunk{}) {
		delete(p.chunks, id)
		i, _ := slices.BinarySearch(p.order, id)
		p.order = slices.Delete(p.order, i, i+1)
	}
}

// next is the first offset of the set that is not below from.
func (p *pending) next(from uint64) (offset uint64, ok bool) {
	first, word, _ := locate(from)
	i, _ := slices.BinarySearch(p.order, first)
	for ; i < len(p.order); i++ {
		id := p.order[i]
		c := p.chunks[id]
		start, mask := 0, ^uint64(0)
		if id == first {
			start, mask = word, ^uint64(0)<<(from%64)
		}
		for w := start; w < chunkWords; w++ {
			if b := c[w] & mask; b != 0 {
				return id<<chunkBits | uint64(w)<<6 | uint64(bits.TrailingZeros64(b)), true
			}
			mask = ^uint64(0)
		}
	}
	return 0, false
}

// flush writes the chunks that changed, under keys of the kind that begin with the fields.
func (p *pending) flush(s *store, kind byte, fields ...uint64) {
	for id := range p.dirty {
		key := s.key(kind, append(slices.Clip(fields), id)...)
		c := p.chunks[id]
		if c == nil {
			s.keep(s.batch.Delete(key, nil))
			continue
		}
		value := make([]byte, 0, 8*chunkWords)
		for _, w := range c {
			value = binary.LittleEndian.AppendUint64(value, w)
		}
		s.put(key, value)
	}
	clear(p.dirty)
}

// drop deletes what is stored of the set, also chunks that were emptied since the last flush.
func (p *pending) drop(s *store, kind byte, fields ...uint64) {
	clear(p.chunks)
	for _, id := range p.order {
		put(&p.dirty, id, struct{}{})
	}
	p.flush(s, kind, fields...)
	p.order, p.count = nil, 0
}

func (p *pending) load(id uint64, value []byte) error {
	if len(value) != 8*chunkWords {
		return fmt.Errorf("bitmap chunk %d has %d bytes, not %d", id, len(value), 8*chunkWords)
	}
	c := new(chunk)
	for i := range c {
		c[i] = binary.LittleEndian.Uint64(value[8*i:])
		p.count += bits.OnesCount64(c[i])
	}
	p.insert(id, c)
	return nil
}

package sandbox

import (
	"bytes"
	"encoding/binary"
)

// Layout of Go's ChaCha8 generator (internal/chacha8rand.State) in a Go guest's memory: 32 words of output, 4 words of seed, then three counters of 32
// bits: the next word, how many words of output are good, and the block.
const (
	generatorSize  = (32 + 4) * 8
	generatorWords = 32
	generatorBlock = 16
)

// findGenerators returns the addresses of Go's random generators in a memory, by comparing it with one that differs only in the random bytes it was
// initialised with. The output and seed of a generator are then two strangers in each of their 36 words, and its counters, which hold small numbers,
// agree. Anything else that differs (seeds of maps, keys of hashes) is left alone: what was built with them depends on them.
func findGenerators(a, b []byte) []int {
	const word, page = 8, 4096
	var found []int
	size := min(len(a), len(b)) / page * page
	run := 0 // bytes that differed word by word up to here
	for at := 0; at < size; at += word {
		if run == 0 && at%page == 0 {
			for at < size && bytes.Equal(a[at:at+page], b[at:at+page]) {
				at += page
			}
			if at == size {
				break
			}
		}
		if binary.LittleEndian.Uint64(a[at:]) != binary.LittleEndian.Uint64(b[at:]) {
			run += word
			continue
		}
		if run >= generatorSize && countersAt(a[at:size]) && bytes.Equal(a[at:min(at+12, size)], b[at:min(at+12, size)]) {
			found = append(found, at-generatorSize)
		}
		run = 0
	}
	return found
}

func countersAt(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	next, good, block := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	return good > 0 && good <= generatorWords && next <= good && block < generatorBlock && block%4 == 0
}

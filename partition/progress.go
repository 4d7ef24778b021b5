package partition

import "github.com/evoke-run/evoke/wire"

func (p progress) append(b []byte, attempts []Attempt) []byte {
	b = wire.AppendUvarint(b, uint64(p.generation))
	b = wire.AppendUvarint(b, uint64(p.attempts))
	b = wire.AppendU64(b, uint64(p.first))
	b = wire.AppendU64(b, uint64(p.next))
	return appendAttempts(b, attempts)
}

func readProgress(b []byte) (progress, []Attempt, error) {
	r := wire.NewReader(b)
	p := progress{generation: uint32(r.Uvarint()), attempts: int(r.Uvarint()), first: int64(r.U64()), next: int64(r.U64())}
	attempts := readList(&r, readAttempt)
	return p, attempts, r.Close()
}

func appendAttempts(b []byte, attempts []Attempt) []byte {
	b = wire.AppendUvarint(b, uint64(len(attempts)))
	for i := range attempts {
		b = attempts[i].append(b)
	}
	return b
}

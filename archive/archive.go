// Package archive is the format of a backup: one stream of blocks, each with its checksum, so that what was damaged or cut off is found before it is used.
//
//	"EVOKEBAK"  version u8
//	block × n   kind u8, length u32, payload, checksum u32
//
// Numbers are little-endian. The checksum is CRC-32C of the number of the block (u64, from 0 on), its kind, its length and its payload, so that blocks cannot change
// places either. The last block is of kind End. docs/backup.md says what the blocks of a backup hold.
package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Version is the format that Writer writes and Reader reads.
const Version = 1

// MaxBlock is the largest payload in bytes.
const MaxBlock = 32 << 20

const magic = "EVOKEBAK"

// Kind says what a block holds.
type Kind byte

// The kinds of version 1, in the order in which they come.
const (
	Header    Kind = 'H' // once: what the backup is of
	Registry  Kind = 'R' // keys of the registry
	Module    Kind = 'M' // a part of a module's bytes
	Partition Kind = 'P' // a partition begins
	State     Kind = 'S' // entries of its state
	Log       Kind = 'L' // records of its log
	End       Kind = 'E' // once: the backup is whole
)

// What can be wrong with an archive. Errors say at which byte.
var (
	ErrForeign = errors.New("not a backup")
	ErrNewer   = errors.New("a newer program wrote this backup")
	ErrCut     = errors.New("the backup is cut off")
	ErrDamaged = errors.New("the backup is damaged")
)

// Writer writes an archive.
type Writer struct {
	out   *bufio.Writer
	block uint64
}

// NewWriter begins an archive. out stays the caller's.
func NewWriter(out io.Writer) (*Writer, error) {
	w := &Writer{out: bufio.NewWriterSize(out, 256<<10)}
	if _, err := w.out.WriteString(magic + string(rune(Version))); err != nil {
		return nil, fmt.Errorf("write backup: %w", err)
	}
	return w, nil
}

// Block writes one block.
func (w *Writer) Block(kind Kind, payload []byte) error {
	if len(payload) > MaxBlock {
		return fmt.Errorf("write backup: a block of kind %c has %d bytes, the limit is %d", kind, len(payload), MaxBlock)
	}
	head := header(kind, len(payload))
	sum := checksum(w.block, head, payload)
	w.block++
	for _, part := range [...][]byte{head, payload, binary.LittleEndian.AppendUint32(nil, sum)} {
		if _, err := w.out.Write(part); err != nil {
			return fmt.Errorf("write backup: %w", err)
		}
	}
	return nil
}

// Close writes the end. Without it the archive counts as cut off.
func (w *Writer) Close() error {
	if err := w.Block(End, nil); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return nil
}

const headerSize = 1 + 4

func header(kind Kind, n int) []byte {
	return binary.LittleEndian.AppendUint32([]byte{byte(kind)}, uint32(n))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(block uint64, head, payload []byte) uint32 {
	sum := crc32.Checksum(binary.LittleEndian.AppendUint64(nil, block), castagnoli)
	return crc32.Update(crc32.Update(sum, castagnoli, head), castagnoli, payload)
}

// Reader reads an archive block by block.
type Reader struct {
	in    *bufio.Reader
	block uint64
	at    int64 // bytes read
	ended bool
}

// NewReader checks the beginning of an archive: ErrForeign, ErrNewer.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 256<<10)}
	start := make([]byte, len(magic)+1)
	n, err := io.ReadFull(r.in, start)
	if got := start[:min(n, len(magic))]; string(got) != magic[:len(got)] {
		return nil, fmt.Errorf("%w: it does not begin with %s", ErrForeign, magic)
	}
	if err != nil {
		return nil, r.broken(err)
	}
	if v := start[len(magic)]; v != Version {
		return nil, fmt.Errorf("%w: it has format %d, this program reads format %d; use the program that wrote it, or a newer one", ErrNewer, v, Version)
	}
	r.at = int64(len(start))
	return r, nil
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// Next returns the next block, and io.EOF behind the block of kind End, which it does not return. The payload is the caller's.
func (r *Reader) Next() (Kind, []byte, error) {
	if r.ended {
		return 0, nil, io.EOF
	}
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return 0, nil, r.broken(err)
	}
	kind, n := Kind(head[0]), binary.LittleEndian.Uint32(head[1:])
	if n > MaxBlock {
		return 0, nil, r.damaged("a block of %d bytes", n)
	}
	body := make([]byte, n+4)
	if _, err := io.ReadFull(r.in, body); err != nil {
		return 0, nil, r.broken(err)
	}
	payload := body[:n:n]
	if checksum(r.block, head, payload) != binary.LittleEndian.Uint32(body[n:]) {
		return 0, nil, r.damaged("wrong checksum")
	}
	r.at += int64(headerSize + len(body))
	r.block++
	if kind == End {
		r.ended = true
		if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
			return 0, nil, r.damaged("something follows its end")
		}
		return 0, nil, io.EOF
	}
	return kind, payload, nil
}

// broken is the error of a read that did not get what it asked for.
func (r *Reader) broken(err error) error {
	if isEnd(err) {
		return fmt.Errorf("%w: block %d, at byte %d, is not all there", ErrCut, r.block, r.at)
	}
	return fmt.Errorf("read backup at byte %d: %w", r.at, err)
}

func (r *Reader) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: block %d at byte %d: %s", ErrDamaged, r.block, r.at, fmt.Sprintf(format, args...))
}

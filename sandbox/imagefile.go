package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/evoke-run/evoke/sandbox/rewrite"
	"github.com/evoke-run/evoke/sdk/abi"
)

// imageFormat is part of every key, so that files of another format are never read.
const imageFormat = "1"

// savedSnapshot is a snapshot as a file says it: this as JSON behind its length, then the bytes of all runs one after the other, before everything the
// SHA-256 of the rest. Zeros are left out.
type savedSnapshot struct {
	Size       int           `json:"size"`
	Runs       [][2]int      `json:"runs"` // offset and length of bytes that are not all zero
	Globals    []uint64      `json:"globals"`
	Generators []int         `json:"generators"`
	Mono       time.Duration `json:"mono"` // the guest's monotonic clock at the end
	Drew       bool          `json:"drew"`
}

// imageKey names what a snapshot follows from: what runs, what it can see, and who runs it.
func (m *Module) imageKey(wasm []byte, rewritten *rewrite.Result) string {
	h := sha256.New()
	before, after := sha256.Sum256(wasm), sha256.Sum256(rewritten.Wasm)
	for _, part := range []string{
		imageFormat, abi.Module, engineVersion(), string(before[:]), string(after[:]),
		fmt.Sprint(m.memory), string(m.seed), strings.Join(m.args, "\x00"), strings.Join(m.environ, "\x00"),
	} {
		_ = binary.Write(h, binary.LittleEndian, uint64(len(part))) // a hash takes everything
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func engineVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				return d.Version
			}
		}
	}
	return ""
}

// savedImage returns the snapshot of an earlier run, or nil. A damaged file is the same as none: the snapshot can be made again.
func (m *Module) savedImage() *snapshot {
	if m.runtime.imageDir == "" {
		return nil
	}
	path := filepath.Join(m.runtime.imageDir, m.imageFile)
	s, err := m.readImage(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.runtime.logger.Warn("cannot use a saved snapshot, making it again", slog.String("function", m.settings.Function), slog.String("file", path), slog.Any("err", err))
	}
	return s
}

// saveImage keeps a snapshot for the next start. It is worth a warning only.
func (m *Module) saveImage(s *snapshot) {
	if m.runtime.imageDir == "" {
		return
	}
	path := filepath.Join(m.runtime.imageDir, m.imageFile)
	if err := writeWhole(path, encodeImage(s)); err != nil {
		m.runtime.logger.Warn("cannot save a snapshot; it is made again at the next start", slog.String("function", m.settings.Function), slog.String("file", path), slog.Any("err", err))
	}
}

// writeWhole leaves the whole file or none. It is not synced: a file that a crash has torn does not match its checksum.
func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func encodeImage(s *snapshot) []byte {
	memory := s.image.Bytes()
	saved := savedSnapshot{Size: len(memory), Globals: s.globals, Generators: s.generators, Mono: s.mono, Drew: s.drew}
	size := 0
	const page = 4096
	zeros := make([]byte, page)
	for at := 0; at < len(memory); at += page {
		if bytes.Equal(memory[at:at+page], zeros) {
			continue
		}
		size += page
		if n := len(saved.Runs); n > 0 && saved.Runs[n-1][0]+saved.Runs[n-1][1] == at {
			saved.Runs[n-1][1] += page
			continue
		}
		saved.Runs = append(saved.Runs, [2]int{at, page})
	}
	head, err := json.Marshal(saved)
	if err != nil {
		panic(err) // numbers alone
	}
	out := make([]byte, sha256.Size, sha256.Size+4+len(head)+size)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(head)))
	out = append(out, head...)
	for _, r := range saved.Runs {
		out = append(out, memory[r[0]:r[0]+r[1]]...)
	}
	sum := sha256.Sum256(out[sha256.Size:])
	copy(out, sum[:])
	return out
}

func (m *Module) readImage(path string) (*snapshot, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	saved, memory, err := decodeImage(content, m.memory)
	if err != nil {
		return nil, err
	}
	if len(saved.Globals) != len(m.globals) {
		return nil, fmt.Errorf("it has %d globals, the module %d", len(saved.Globals), len(m.globals))
	}
	s := &snapshot{globals: saved.Globals, generators: saved.Generators, mono: saved.Mono, drew: saved.Drew}
	s.ahead = max(0, s.mono-m.runtime.uptime())
	if s.image, err = m.runtime.system.NewImage(memory); err != nil {
		return nil, err
	}
	return s, nil
}

var errDamaged = errors.New("the file is damaged")

// decodeImage trusts the checksum against accidents only: no number of the file reaches outside of the memory it describes.
func decodeImage(content []byte, limit int64) (saved savedSnapshot, memory []byte, err error) {
	const headAt = sha256.Size + 4
	if len(content) < headAt || sha256.Sum256(content[sha256.Size:]) != [sha256.Size]byte(content) {
		return saved, nil, errDamaged
	}
	n := uint64(binary.LittleEndian.Uint32(content[sha256.Size:]))
	if n > uint64(len(content)-headAt) {
		return saved, nil, errDamaged
	}
	if err := json.Unmarshal(content[headAt:headAt+n], &saved); err != nil {
		return saved, nil, errDamaged
	}
	if saved.Size < 0 || int64(saved.Size) > limit || saved.Size%pageSize != 0 {
		return saved, nil, errDamaged
	}
	rest := content[headAt+n:]
	memory = make([]byte, saved.Size)
	for _, r := range saved.Runs {
		if r[0] < 0 || r[1] < 0 || r[0] > saved.Size || r[1] > saved.Size-r[0] || r[1] > len(rest) {
			return saved, nil, errDamaged
		}
		copy(memory[r[0]:], rest[:r[1]])
		rest = rest[r[1]:]
	}
	for _, at := range saved.Generators {
		if at < 0 || at > saved.Size-generatorSize {
			return saved, nil, errDamaged
		}
	}
	return saved, memory, nil
}

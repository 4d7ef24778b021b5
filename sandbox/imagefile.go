package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/evoke-run/evoke/sandbox/linear"
	"github.com/evoke-run/evoke/sdk/abi"
)

// savedSnapshot is the head of a snapshot's file; the body has the bytes of all runs one after the other. Zeros are left out.
type savedSnapshot struct {
	Size       int           `json:"size"`
	Runs       [][2]int      `json:"runs"` // offset and length of bytes that are not all zero
	Globals    []uint64      `json:"globals"`
	Generators []int         `json:"generators"`
	Mono       time.Duration `json:"mono"` // the guest's monotonic clock at the end
	Script     *scriptState  `json:"script,omitempty"`
	Drew       bool          `json:"drew"`
	Cold       string        `json:"cold,omitempty"`
}

// imageKey names what a snapshot follows from: what runs, what it can see, and who runs it.
func (p *program) imageKey() string {
	h := sha256.New()
	parts := []string{
		fileFormat, abi.Module, p.module.key, fmt.Sprint(p.memory), string(p.seed), strings.Join(p.args, "\x00"), strings.Join(p.environ, "\x00"),
	}
	if p.script != nil {
		parts = append(parts, engineKey(), scriptKey())
	}
	if warm := p.settings.Warm; warm != nil {
		parts = append(parts, string(buildPart(warm, abi.PartEvent)), string(warm.Request))
	}
	for _, part := range parts {
		_ = binary.Write(h, binary.LittleEndian, uint64(len(part))) // a hash takes everything
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// engineVersion is found out once: the first event of every function that was out of memory asks for it.
var engineVersion = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/tetratelabs/wazero" {
				return d.Version
			}
		}
	}
	return ""
})

func (p *program) imagePath() string { return filepath.Join(p.runtime.imageDir, "image-"+p.imageKey()) }

// savedImage returns the snapshot of an earlier time, or nil. A damaged file is the same as none: the snapshot can be made again.
func (p *program) savedImage() *snapshot {
	if p.runtime.imageDir == "" || !p.resettable {
		return nil
	}
	path := p.imagePath()
	s, err := p.readImage(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.runtime.logger.Warn("cannot use a saved snapshot, making it again", slog.String("function", p.settings.Function), slog.String("file", path), slog.Any("err", err))
	}
	return s
}

// saveImage keeps a snapshot for the next time. It is worth a warning only.
func (p *program) saveImage(s *snapshot) {
	if p.runtime.imageDir == "" {
		return
	}
	path := p.imagePath()
	if err := writeWhole(path, encodeImage(s)); err != nil {
		p.runtime.logger.Warn("cannot save a snapshot; it is made again at the next start", slog.String("function", p.settings.Function), slog.String("file", path), slog.Any("err", err))
	}
}

func encodeImage(s *snapshot) []byte {
	memory := s.image.Bytes()
	saved := savedSnapshot{Size: len(memory), Globals: s.globals, Generators: s.generators, Mono: s.mono, Script: s.script, Drew: s.drew, Cold: s.cold}
	const page = 4096
	zeros := make([]byte, page)
	for at := 0; at < len(memory); at += page {
		if bytes.Equal(memory[at:at+page], zeros) {
			continue
		}
		if n := len(saved.Runs); n > 0 && saved.Runs[n-1][0]+saved.Runs[n-1][1] == at {
			saved.Runs[n-1][1] += page
			continue
		}
		saved.Runs = append(saved.Runs, [2]int{at, page})
	}
	runs := make([][]byte, len(saved.Runs))
	for i, r := range saved.Runs {
		runs[i] = memory[r[0] : r[0]+r[1]]
	}
	return seal(saved, runs...)
}

func (p *program) readImage(path string) (*snapshot, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	saved, parts, err := decodeImage(content, p.memory)
	if err != nil {
		return nil, err
	}
	if len(saved.Globals) != len(p.globals) {
		return nil, fmt.Errorf("it has %d globals, the module %d", len(saved.Globals), len(p.globals))
	}
	if (p.script != nil) != (saved.Script != nil) {
		return nil, errDamaged
	}
	s := &snapshot{script: saved.Script, globals: saved.Globals, generators: saved.Generators, mono: saved.Mono, drew: saved.Drew, cold: saved.Cold}
	s.ahead = max(0, s.mono-p.runtime.uptime())
	if s.image, err = p.runtime.system.NewImage(saved.Size, parts...); err != nil {
		return nil, err
	}
	return s, nil
}

// decodeImage lets no number of the file reach outside of the memory it describes. The parts share memory with content.
func decodeImage(content []byte, limit int64) (saved savedSnapshot, parts []linear.Part, err error) {
	rest, err := unseal(content, &saved)
	if err != nil {
		return saved, nil, err
	}
	if saved.Size < 0 || int64(saved.Size) > limit || saved.Size%pageSize != 0 {
		return saved, nil, errDamaged
	}
	for _, r := range saved.Runs {
		if r[0] < 0 || r[1] < 0 || r[0] > saved.Size || r[1] > saved.Size-r[0] || r[1] > len(rest) {
			return saved, nil, errDamaged
		}
		parts = append(parts, linear.Part{At: r[0], Bytes: rest[:r[1]]})
		rest = rest[r[1]:]
	}
	for _, at := range saved.Generators {
		if at < 0 || at > saved.Size-generatorSize {
			return saved, nil, errDamaged
		}
	}
	if saved.Script != nil && saved.Script.check(saved.Size) != nil {
		return saved, nil, errDamaged
	}
	return saved, parts, nil
}

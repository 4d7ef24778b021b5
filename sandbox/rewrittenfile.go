package sandbox

import (
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

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// savedModule is a rewritten module as a file says it: this as JSON behind its length, then the bytes of the segments, then the module, before everything the
// SHA-256 of the rest. Rewriting a Go function takes a tenth of a second, which a node with many would pay for each at every start.
type savedModule struct {
	Segments   [][2]uint32      `json:"segments"` // offset in memory and length
	Globals    []rewrite.Global `json:"globals"`
	Start      string           `json:"start"`
	MinPages   uint32           `json:"minPages"`
	MaxPages   uint32           `json:"maxPages"`
	Resettable bool             `json:"resettable"`
	WhyNot     string           `json:"whyNot"`
}

// rewritten returns the rewritten module, from the file of an earlier start if there is one.
func (r *Runtime) rewritten(wasm []byte) (*rewrite.Result, error) {
	if r.imageDir == "" {
		return rewriteModule(wasm)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d %s", imageFormat, rewrite.Version, maxModule, digestOf(wasm)))
	path := filepath.Join(r.imageDir, "module-"+hex.EncodeToString(sum[:]))
	content, err := os.ReadFile(path)
	if err == nil {
		var saved *rewrite.Result
		if saved, err = decodeModule(content); err == nil {
			return saved, nil
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		r.logger.Warn("cannot use a rewritten module of an earlier start, rewriting again", slog.String("file", path), slog.Any("err", err))
	}
	result, err := rewriteModule(wasm)
	if err != nil {
		return nil, err
	}
	if err := writeWhole(path, encodeModule(result)); err != nil {
		r.logger.Warn("cannot save a rewritten module; it is made again at the next start", slog.String("file", path), slog.Any("err", err))
	}
	return result, nil
}

func digestOf(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}

func encodeModule(r *rewrite.Result) []byte {
	saved := savedModule{Globals: r.Globals, Start: r.Start, MinPages: r.MinPages, MaxPages: r.MaxPages, Resettable: r.Resettable, WhyNot: r.WhyNot}
	size := len(r.Wasm)
	for _, d := range r.Data {
		saved.Segments = append(saved.Segments, [2]uint32{d.Offset, uint32(len(d.Bytes))})
		size += len(d.Bytes)
	}
	head, err := json.Marshal(saved)
	if err != nil {
		panic(err) // numbers and strings
	}
	out := make([]byte, sha256.Size, sha256.Size+4+len(head)+size)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(head)))
	out = append(out, head...)
	for _, d := range r.Data {
		out = append(out, d.Bytes...)
	}
	out = append(out, r.Wasm...)
	sum := sha256.Sum256(out[sha256.Size:])
	copy(out, sum[:])
	return out
}

// decodeModule trusts the checksum against accidents only; the compiler validates the module, and boot checks the segments.
func decodeModule(content []byte) (*rewrite.Result, error) {
	const headAt = sha256.Size + 4
	if len(content) < headAt || sha256.Sum256(content[sha256.Size:]) != [sha256.Size]byte(content) {
		return nil, errDamaged
	}
	n := uint64(binary.LittleEndian.Uint32(content[sha256.Size:]))
	if n > uint64(len(content)-headAt) {
		return nil, errDamaged
	}
	var saved savedModule
	if err := json.Unmarshal(content[headAt:headAt+n], &saved); err != nil {
		return nil, errDamaged
	}
	rest := content[headAt+n:]
	r := &rewrite.Result{
		Globals: saved.Globals, Start: saved.Start, MinPages: saved.MinPages, MaxPages: saved.MaxPages, Resettable: saved.Resettable, WhyNot: saved.WhyNot,
	}
	for _, s := range saved.Segments {
		if uint64(s[1]) > uint64(len(rest)) {
			return nil, errDamaged
		}
		r.Data = append(r.Data, rewrite.Segment{Offset: s[0], Bytes: rest[:s[1]:s[1]]})
		rest = rest[s[1]:]
	}
	r.Wasm = rest
	return r, nil
}

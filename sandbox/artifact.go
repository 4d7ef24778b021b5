package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

// artifact is what compiling has made of a module: the rewritten module, what was taken out of it, and in a file of the engine its machine code. It follows
// from the module's bytes and our versions alone, so it is kept: rewriting and compiling a Go function takes seconds.
//
//	IMAGES/module-KEY  the head below, then the rewritten module
//	IMAGES/data-KEY    data segments, needed only while there is no snapshot
//	CACHE/CODE         machine code
type artifact struct {
	head  artifactHead
	wasm  []byte
	fresh bool              // made just now, with its data
	data  []rewrite.Segment // of a fresh one; of others savedData has it
}

type artifactHead struct {
	Globals    []rewrite.Global `json:"globals"`
	Start      string           `json:"start"`
	MinPages   uint32           `json:"minPages"`
	MaxPages   uint32           `json:"maxPages"`
	Resettable bool             `json:"resettable"`
	WhyNot     string           `json:"whyNot"`
	Script     bool             `json:"script,omitempty"` // it is no module: the body is a script, and all else is the engine's
	Code       string           `json:"code"`             // file below the directory of compiled code; "" when the engine looks after that itself
}

func newArtifact(r *rewrite.Result, code string) *artifact {
	return &artifact{wasm: r.Wasm, data: r.Data, fresh: true, head: artifactHead{
		Globals: r.Globals, Start: r.Start, MinPages: r.MinPages, MaxPages: r.MaxPages, Resettable: r.Resettable, WhyNot: r.WhyNot, Code: code,
	}}
}

// checkMemory repeats what check asks, for a module that was checked under another limit.
func (h *artifactHead) checkMemory(limit int64) error {
	if int64(h.MinPages) > limit/pageSize {
		return refuseMemory(uint64(h.MinPages), limit)
	}
	return nil
}

// fileFormat is part of every key, so that files of another format are never read.
const fileFormat = "3"

// moduleKey names what an artifact follows from.
func moduleKey(digest string) string {
	return digestOf(fmt.Appendf(nil, "%s %d %s %d %s", fileFormat, rewrite.Version, engineVersion(), maxModule, digest))
}

func (r *Runtime) modulePath(key string) string { return filepath.Join(r.imageDir, "module-"+key) }
func (r *Runtime) dataPath(key string) string   { return filepath.Join(r.imageDir, "data-"+key) }

// artifact returns what compiling has made of a module, from the files of an earlier time if they are whole.
func (r *Runtime) artifact(ctx context.Context, m *Module, memory int64) (*artifact, error) {
	key := m.key
	if a := r.savedArtifact(key); a != nil {
		return a, a.head.checkMemory(memory)
	}
	wasm, err := m.source.Read()
	if err != nil {
		return nil, err
	}
	if isScript(wasm) {
		return r.scriptArtifact(key, wasm)
	}
	if _, err := r.check(wasm, memory); err != nil {
		return nil, err
	}
	return r.makeArtifact(ctx, key, wasm)
}

// makeArtifact rewrites a module that has been checked, and compiles it when that is done by another process.
func (r *Runtime) makeArtifact(ctx context.Context, key string, wasm []byte) (*artifact, error) {
	if r.compiler != nil {
		if err := r.compiler.compile(ctx, wasm, r.modulePath(key), r.dataPath(key)); err != nil {
			return nil, err
		}
		var a artifact
		var err error
		a.wasm, err = readSealed(r.modulePath(key), &a.head)
		return &a, err
	}
	rewritten, err := rewriteModule(wasm)
	if err != nil {
		return nil, err
	}
	a := newArtifact(rewritten, "")
	if r.imageDir != "" {
		if err := errors.Join(writeWhole(r.dataPath(key), sealData(rewritten.Data)), writeWhole(r.modulePath(key), seal(a.head, a.wasm))); err != nil {
			r.logger.Warn("cannot save a rewritten module; it is made again at the next start", slog.Any("err", err))
		}
	}
	return a, nil
}

// savedArtifact is nil when there is none or when a part of it is missing or damaged.
func (r *Runtime) savedArtifact(key string) *artifact {
	if r.imageDir == "" {
		return nil
	}
	var a artifact
	var err error
	if a.wasm, err = readSealed(r.modulePath(key), &a.head); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.logger.Warn("cannot use a rewritten module of an earlier time, making it again", slog.String("file", r.modulePath(key)), slog.Any("err", err))
		}
		return nil
	}
	if a.head.Script {
		return &a
	}
	if !r.hasCode(&a.head) || !isFile(r.dataPath(key)) {
		return nil
	}
	return &a
}

// hasCode says whether the machine code is where the engine will look for it.
func (r *Runtime) hasCode(h *artifactHead) bool {
	if r.compiler == nil {
		return true
	}
	return h.Code != "" && isFile(filepath.Join(r.cacheDir, h.Code))
}

// savedData reads the data segments again.
func (r *Runtime) savedData(key string) ([]rewrite.Segment, error) {
	var segments segmentsHead
	body, err := readSealed(r.dataPath(key), &segments)
	if err == nil {
		var data []rewrite.Segment
		if data, err = segments.split(body); err == nil {
			return data, nil
		}
	}
	// It is of no use without the other file, and both are made again next time.
	_ = os.Remove(r.modulePath(key))
	return nil, fmt.Errorf("read the data of a module: %w; try again: it is made anew", err)
}

// segmentsHead is how many segments a file of data has; the body has offset and length of each as two variable-length integers, then all their bytes.
type segmentsHead struct {
	Count int `json:"count"`
}

func sealData(data []rewrite.Segment) []byte {
	var index []byte
	parts := make([][]byte, 1, len(data)+1)
	for _, d := range data {
		index = binary.AppendUvarint(index, uint64(d.Offset))
		index = binary.AppendUvarint(index, uint64(len(d.Bytes)))
		parts = append(parts, d.Bytes)
	}
	parts[0] = index
	return seal(segmentsHead{len(data)}, parts...)
}

// split trusts no number of the file.
func (h segmentsHead) split(body []byte) ([]rewrite.Segment, error) {
	if h.Count < 0 || h.Count > len(body)/2 {
		return nil, errDamaged
	}
	data, lengths := make([]rewrite.Segment, h.Count), make([]uint64, h.Count)
	for i := range data {
		offset, n := binary.Uvarint(body)
		if n <= 0 || offset > 1<<32-1 {
			return nil, errDamaged
		}
		body = body[n:]
		length, n := binary.Uvarint(body)
		if n <= 0 {
			return nil, errDamaged
		}
		body = body[n:]
		data[i].Offset, lengths[i] = uint32(offset), length
	}
	for i, n := range lengths {
		if n > uint64(len(body)) {
			return nil, errDamaged
		}
		data[i].Bytes, body = body[:n:n], body[n:]
	}
	return data, nil
}

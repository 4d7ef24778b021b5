package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/evoke-run/evoke/archive"
	"github.com/evoke-run/evoke/registry"
)

// backupHeader is the first block of a backup, as JSON.
type backupHeader struct {
	Partitions int       `json:"partitions"`
	Base       uint64    `json:"base"` // what epochs and generations must be above
	Time       time.Time `json:"time"`
	Program    string    `json:"program"` // the release that wrote it
}

// Backup writes everything that this node keeps, as it is at one moment, while it goes on: all that was acknowledged before the call is in it. What it wrote is
// whole when it returns nil.
//
// The view of the partitions is taken before the registry is read: a trigger that partitions know of and the registry does not would be taken out of force by
// the restored node, and its events with it.
func (n *Node) Backup(ctx context.Context, out io.Writer) (err error) {
	view, err := n.table.View()
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	export, err := n.registry.Export(ctx)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	w, err := archive.NewWriter(out)
	if err != nil {
		return err
	}
	head := backupHeader{Partitions: view.Partitions(), Base: view.Base(), Time: time.Now().UTC(), Program: Version}
	if err := jsonBlock(w, archive.Header, head); err != nil {
		return err
	}
	for part := range slices.Chunk(export.Entries, 100) {
		if err := jsonBlock(w, archive.Registry, part); err != nil {
			return err
		}
	}
	if err := n.backupModules(w, export); err != nil {
		return err
	}
	if err := view.Write(w); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return w.Close()
}

func jsonBlock(w *archive.Writer, kind archive.Kind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return w.Block(kind, b)
}

// modulePart is how many bytes of a module one block has.
const modulePart = 8 << 20

// moduleBlock is a part of a module, as JSON; the last part says so.
type moduleBlock struct {
	Digest string `json:"digest"`
	Last   bool   `json:"last,omitempty"`
	Data   []byte `json:"data"`
}

func (n *Node) backupModules(w *archive.Writer, export registry.Export) error {
	for i, digest := range slices.Concat(export.Required, export.Old) {
		wasm, err := n.registry.Module(digest)
		if i >= len(export.Required) && errors.Is(err, registry.ErrNotFound) {
			n.log.Warn("the module of an old revision is not here; the backup goes on without it", "digest", digest)
			continue
		}
		if err != nil {
			return fmt.Errorf("back up: %w", err)
		}
		for last := false; !last; {
			part := wasm[:min(len(wasm), modulePart)]
			wasm = wasm[len(part):]
			last = len(wasm) == 0
			if err := jsonBlock(w, archive.Module, moduleBlock{Digest: digest, Last: last, Data: part}); err != nil {
				return err
			}
		}
	}
	return nil
}

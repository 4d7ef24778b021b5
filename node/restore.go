package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/evoke-run/evoke/archive"
	"github.com/evoke-run/evoke/eventlog/local"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
)

// restoring marks a data directory in which a restore has begun and not ended.
const restoring = "RESTORING"

// dataFolders are those that a backup fills; none of them may be there before.
func dataFolders() []string { return []string{"etcd", "modules", "log", "state"} }

// RestoreResult says what a restore has brought back.
type RestoreResult struct {
	Time       time.Time // of the backup
	Partitions int
	Modules    int
	Sealed     string // which secrets cannot be opened, a line each; "" = none
}

// Restore fills the data directory of a configuration, which must have no data yet, with a backup. When it fails it removes what it has made. It needs no other
// part of a node to run, and none may run there.
func Restore(ctx context.Context, c Config, in io.Reader, log *slog.Logger) (result RestoreResult, err error) {
	blocks, err := archive.NewReader(in) // before anything is made
	if err != nil {
		return result, err
	}
	l, err := lockDir(c.DataDir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	n := &Node{config: c, log: log}
	if err := n.beginRestore(); err != nil {
		return result, err
	}
	r := &restore{node: n, blocks: blocks}
	err = errors.Join(r.run(ctx), n.close())
	return r.result, errors.Join(err, n.endRestore(err == nil))
}

// beginRestore refuses a directory that holds data.
func (n *Node) beginRestore() error {
	if err := n.checkRestored(); err != nil {
		return err
	}
	for _, name := range dataFolders() {
		if _, err := os.Lstat(n.path(name)); err == nil {
			return fmt.Errorf("the data directory %s is not empty: it has %s; name an empty one with --data-dir, or move this one away", n.config.DataDir, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look into the data directory: %w", err)
		}
	}
	if err := n.markRestoring(); err != nil {
		return fmt.Errorf("begin restore: %w", err)
	}
	return nil
}

// markRestoring puts the mark on the disk before anything that it speaks of.
func (n *Node) markRestoring() error {
	f, err := os.Create(n.path(restoring))
	if err != nil {
		return err
	}
	dir, err := os.Open(n.config.DataDir)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close(), dir.Sync(), dir.Close())
}

// checkRestored refuses a data directory that holds a part of a backup only.
func (n *Node) checkRestored() error {
	_, err := os.Lstat(n.path(restoring))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the data directory: %w", err)
	}
	return fmt.Errorf("a restore into the data directory %s was interrupted; delete the directory and restore again", n.config.DataDir)
}

// endRestore removes the mark, which is the last thing of a restore that worked, or everything that was made.
func (n *Node) endRestore(worked bool) error {
	if !worked {
		var errs []error
		for _, name := range dataFolders() {
			errs = append(errs, os.RemoveAll(n.path(name)))
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("clean up after the restore: %w", err)
		}
	}
	if err := os.Remove(n.path(restoring)); err != nil {
		return fmt.Errorf("end restore: %w", err)
	}
	return nil
}

// restore is one run of Restore.
type restore struct {
	node   *Node
	blocks *archive.Reader
	result RestoreResult

	header     backupHeader
	entries    []registry.Entry
	module     bytes.Buffer // what has come of a module
	partitions *partition.Importer
}

func (r *restore) run(ctx context.Context) error {
	if err := r.readHeader(); err != nil {
		return err
	}
	if err := r.node.startRegistry(ctx); err != nil {
		return err
	}
	for {
		kind, payload, err := r.blocks.Next()
		if errors.Is(err, io.EOF) {
			return r.finish(ctx)
		}
		if err == nil {
			err = r.block(ctx, kind, payload)
		}
		if err != nil {
			return err
		}
	}
}

func (r *restore) readHeader() error {
	kind, payload, err := r.blocks.Next()
	if err != nil {
		return err
	}
	if kind != archive.Header {
		return fmt.Errorf("%w: it begins with a block of kind %c", archive.ErrDamaged, kind)
	}
	if err := json.Unmarshal(payload, &r.header); err != nil {
		return fmt.Errorf("%w: its header: %w", archive.ErrDamaged, err)
	}
	if have, want := r.header.Partitions, r.node.config.Partitions; have != want {
		return fmt.Errorf("the backup has %d partitions, this runtime is to have %d; restore and start with --partitions %d", have, want, have)
	}
	r.result.Time, r.result.Partitions = r.header.Time, r.header.Partitions
	return nil
}

func (r *restore) block(ctx context.Context, kind archive.Kind, payload []byte) error {
	switch kind {
	case archive.Registry:
		var part []registry.Entry
		if err := json.Unmarshal(payload, &part); err != nil {
			return fmt.Errorf("%w: keys of the registry: %w", archive.ErrDamaged, err)
		}
		r.entries = append(r.entries, part...)
		return nil
	case archive.Module:
		return r.modulePart(ctx, payload)
	}
	if r.partitions == nil {
		if err := r.openPartitions(); err != nil {
			return err
		}
	}
	return r.partitions.Block(kind, payload)
}

func (r *restore) modulePart(ctx context.Context, payload []byte) error {
	var part moduleBlock
	if err := json.Unmarshal(payload, &part); err != nil {
		return fmt.Errorf("%w: a module: %w", archive.ErrDamaged, err)
	}
	r.module.Write(part.Data)
	if !part.Last {
		return nil
	}
	defer r.module.Reset()
	if err := r.node.registry.PutModule(ctx, part.Digest, &r.module); err != nil {
		return err
	}
	r.result.Modules++
	return nil
}

func (r *restore) openPartitions() error {
	n := r.node
	log, err := local.Open(local.Options{
		Dir: n.path("log"), Partitions: r.header.Partitions, Logger: n.log, Fatal: n.fatal,
	})
	if err != nil {
		return err
	}
	n.onClose(log.Close)
	r.partitions, err = partition.NewImporter(partition.ImportOptions{Log: log, Dir: n.path("state"), Partitions: r.header.Partitions, Fatal: n.fatal})
	if err != nil {
		return err
	}
	n.onClose(r.partitions.Close)
	return nil
}

func (r *restore) finish(ctx context.Context) error {
	if r.partitions == nil {
		return fmt.Errorf("%w: it has no partitions", archive.ErrDamaged)
	}
	if err := r.partitions.Finish(); err != nil {
		return err
	}
	if err := r.node.registry.Import(ctx, r.entries, r.header.Base); err != nil {
		return err
	}
	r.result.Sealed = r.node.sealed(ctx)
	return nil
}

package partition

import (
	"bytes"
	"errors"

	"github.com/evoke-run/evoke/archive"
)

// This file is how nodes come and go: what their states begin with, who stands by, and who takes over.

// simBegin is what a node begins with: a directory, "" for an empty one, and what is known of the state in it if that was imported.
type simBegin struct {
	dir       string
	next      []uint64
	directory uint64
}

// simExport is the state of a node at some time, as another node that shares the log takes it over.
type simExport struct {
	archive   []byte
	next      []uint64 // per partition: the offset behind what it has
	directory uint64
}

// stepExport keeps an export for later. What has happened to the log until somebody imports it is another matter.
func (w *simWorld) stepExport() {
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; n.table != nil && !n.busy["retention"] && len(w.exports) < 4 { // it may wait in the middle of a trim, and a view waits for that
		w.exports = append(w.exports, w.export(n))
	}
}

func (w *simWorld) export(n *simNode) simExport {
	x := simExport{directory: n.table.Directory()}
	for _, m := range n.models {
		x.next = append(x.next, m.next)
	}
	view, err := n.table.View()
	if err != nil {
		w.found("export: %v", err)
		return x
	}
	var out bytes.Buffer
	to, err := archive.NewWriter(&out)
	if err == nil {
		err = errors.Join(view.WriteState(to), to.Close())
	}
	if err := errors.Join(err, view.Close()); err != nil {
		w.found("export: %v", err)
	}
	x.archive = out.Bytes()
	w.logf("epoch %d: exported at %v", n.epoch, x.next)
	return x
}

// imported is a new directory with an export in it.
func (w *simWorld) imported(x simExport) simBegin {
	b := simBegin{dir: w.newDir(), next: x.next, directory: x.directory}
	w.logf("import of what was exported at %v into %s", x.next, b.dir)
	im, err := NewImporter(ImportOptions{Dir: b.dir, FS: w.files, Partitions: simPartitions, Fatal: func(err error) { w.found("fatal: %v", err) }})
	if err != nil {
		w.found("import: %v", err)
		return simBegin{}
	}
	if err := errors.Join(pour(im, x.archive), im.Close()); err != nil {
		w.found("import: %v", err)
	}
	return b
}

// someState is what a node begins with: mostly one of the last few directories that were kept, or an import of one of the last exports; sometimes nothing.
func (w *simWorld) someState() simBegin {
	switch {
	case len(w.exports) > 0 && w.rng.IntN(3) == 0:
		i := w.rng.IntN(len(w.exports))
		x := w.exports[i]
		w.exports = append(w.exports[:i:i], w.exports[i+1:]...)
		return w.imported(x)
	case len(w.checkpoints) == 0 || w.rng.IntN(8) == 0:
		return simBegin{}
	}
	return simBegin{dir: w.takeCheckpoint(len(w.checkpoints) - 1 - w.rng.IntN(min(3, len(w.checkpoints))))}
}

func (w *simWorld) takeCheckpoint(i int) string {
	dir := w.checkpoints[i]
	w.checkpoints = append(w.checkpoints[:i:i], w.checkpoints[i+1:]...)
	return dir
}

// join starts a node on some state. One that is too far behind imports the state of a node that is alive, or with none alive goes on with that of a dead one: whoever
// has trimmed the log has a state that it goes on from.
func (w *simWorld) join() *simNode {
	if n := w.follow(w.someState()); n != nil {
		return n
	}
	for _, o := range w.nodes {
		if !o.busy["retention"] {
			if n := w.follow(w.imported(w.export(o))); n != nil {
				return n
			}
		}
	}
	for len(w.checkpoints) > 0 {
		if n := w.follow(simBegin{dir: w.takeCheckpoint(len(w.checkpoints) - 1)}); n != nil {
			return n
		}
	}
	return nil
}

// standby is a node that follows and does not lead; nil when there is none.
func (w *simWorld) standby() *simNode {
	for _, n := range w.nodes {
		if n.epoch == 0 {
			return n
		}
	}
	return nil
}

func (w *simWorld) stepStandby() {
	if w.standby() == nil {
		w.join()
	}
}

// leadIfNone lets a node lead when there is none any more that does or is about to: the one that stands by, or a new one.
func (w *simWorld) leadIfNone() {
	for {
		n := w.standby()
		if n != nil && len(w.nodes) > 1 || n == nil && len(w.nodes) > 0 {
			return
		}
		if n == nil {
			n = w.join()
		}
		if n == nil {
			w.found("no state is left that the log goes on from")
			return
		}
		w.lead(n)
	}
}

// stepLostLease tells a node that it has lost its lease: whoever waits is told, whatever the log says later.
func (w *simWorld) stepLostLease() {
	n := w.someNode()
	if n == nil || w.rng.IntN(3) > 0 {
		return
	}
	w.logf("epoch %d: its lease is lost", n.epoch)
	n.lost = true
	n.table.Depose(errors.New("the lease is lost"))
	w.settleDown()
	if len(w.calls) > 0 && len(w.nodes) == 1 {
		w.found("%d calls wait at a node that has lost its lease", len(w.calls))
	}
}

// stepTakeover lets a new leader begin beside the old one, which does not know it.
func (w *simWorld) stepTakeover() {
	n := w.standby()
	if n == nil || w.rng.IntN(3) == 0 {
		n = w.join()
	}
	if n == nil {
		return
	}
	if len(w.nodes) > 2 {
		for _, o := range w.nodes {
			if o != n {
				w.kill(o)
				break
			}
		}
	}
	w.lead(n)
}

package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/eventlog/local"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
)

// ErrDeposed is why Run ends by itself: another node leads, or this one cannot know that none does.
var ErrDeposed = errors.New("stopped: another node may lead now")

// parts are what a test puts in the place of what a node has by itself.
type parts struct {
	log      eventlog.Log  // shared with other nodes; the node does not close it
	leaseTTL time.Duration // 0 = registry.DefaultLeaseTTL
}

// startPartitions follows the log first, so that only a little is left to do when this node's turn to lead comes.
func (n *Node) startPartitions(ctx context.Context, ready chan<- struct{}) error {
	id, err := directoryID(n.config.DataDir)
	if err != nil {
		return err
	}
	n.onClose(n.release) // when nothing can be appended any more
	log, err := n.openLog()
	if err != nil {
		return err
	}
	n.table, err = partition.Follow(partition.Options{
		Log: log, Dir: n.path("state"), Partitions: n.config.Partitions, Node: n.config.Node,
		Ready: func() {
			select {
			case ready <- struct{}{}:
			default:
			}
		},
		Admit: n.disk.admit, Deposed: func(err error) { n.deposed <- err }, Fatal: n.fatal, Logger: n.log, Registerer: n.metrics,
	})
	if err != nil {
		return err
	}
	n.onClose(n.table.Close)
	if n.lead, err = n.registry.Lead(ctx, registry.Candidate{
		Node: n.config.Node, Directory: id, Alone: len(n.config.Etcd) == 0, TTL: n.parts.leaseTTL,
	}); err != nil {
		return err
	}
	if p := n.lead.Previous; p.Directory != "" && p.Directory != id && n.parts.log == nil {
		n.log.Warn("another node has led before, whose log is in its own data directory: what is stored there waits until that one leads again",
			"node", p.Node, "directory", p.Directory, "since", p.Since)
	}
	return n.table.Lead(ctx, n.lead.Epoch)
}

func (n *Node) openLog() (eventlog.Log, error) {
	if n.parts.log != nil {
		return n.parts.log, nil
	}
	log, err := local.Open(local.Options{
		Dir: n.path("log"), Partitions: n.config.Partitions, Logger: n.log, Fatal: n.fatal, Registerer: n.metrics,
	})
	if err != nil {
		return nil, err
	}
	n.onClose(log.Close)
	return log, nil
}

// guard returns when this node leads no more, with the reason, or when ctx ends.
func (n *Node) guard(ctx context.Context) (err error) {
	select {
	case <-ctx.Done():
		return nil
	case err = <-n.deposed:
	case <-n.lead.Done():
		err = n.lead.Err()
	}
	n.table.Depose(err)
	n.log.Warn("stopping: this node leads no more") // the reason comes with the end
	return fmt.Errorf("%w: %w", ErrDeposed, err)
}

// releaseTimeout is how long a stop waits for etcd. A lease that is not given back runs out.
const releaseTimeout = 2 * time.Second

func (n *Node) release() error {
	if n.lead == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if err := n.lead.Release(ctx); err != nil {
		n.log.Warn("the next leader has to wait until the lease of this one runs out", "err", err)
	}
	return nil
}

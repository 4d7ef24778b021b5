package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrLeaseLost is why a Leadership is done before it was released.
var ErrLeaseLost = errors.New("the lease of the leader is lost")

// DefaultLeaseTTL is how long a leader that is not heard of stays one.
const DefaultLeaseTTL = 10 * time.Second

// Candidate is a node that wants to lead.
type Candidate struct {
	Node string // for people

	// Directory is the id of its data directory, whose lock the node holds. A holder of the lease with the same directory is dead therefore, and is not waited for.
	Directory string

	// Alone says that no other node can reach this etcd: it is in this process. A lease that cannot be renewed for a while is then no reason to stop.
	Alone bool

	TTL time.Duration // of the lease, in whole seconds; 0 = DefaultLeaseTTL
}

// Leader is who leads: the value of the keys leaders/now and leaders/last, as JSON.
type Leader struct {
	Node      string `json:"node"`
	Directory string `json:"directory"`
	Since     string `json:"since"`
}

// Leadership is held by one node at a time.
//
//	Lead: waits ─► held ─► Release
//	               │  ▲
//	  lease is gone▼  │nobody has led since
//	               regain ─► lost: another has, or etcd is silent
//
// A node that has lost it and does not know can do no harm: partitions ignore what it appends, because of its epoch.
type Leadership struct {
	Epoch    uint64 // higher than that of any leader before
	Previous Leader // the one before; the zero value when there was none

	registry  *Registry
	candidate Candidate
	value     string
	revision  int64 // at which leaders/last was written
	seen      int64 // at which leaders/now was written the last time
	lease     clientv3.LeaseID

	cancel context.CancelFunc // ends keep
	done   chan struct{}      // closed by keep when it is lost or was released
	err    error              // set before done is closed
}

// Lead waits until no other node leads and becomes the leader. The epoch is the etcd revision at which it did, counted from base when the registry was restored from a
// backup. The lease is renewed until Release.
func (r *Registry) Lead(ctx context.Context, c Candidate) (*Leadership, error) {
	c.TTL = cmp.Or(c.TTL, DefaultLeaseTTL)
	for {
		l, holder, err := r.tryLead(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("announce leader %s: %w", c.Node, err)
		}
		if l != nil {
			return l, nil
		}
		r.log.Info("another node leads; waiting until it stops or its lease runs out", "leader", holder.Node, "directory", holder.Directory, "since", holder.Since, "ttl", c.TTL)
		if err := r.awaitVacancy(ctx, holder.revision); err != nil {
			return nil, fmt.Errorf("announce leader %s: wait for %s to stop: %w", c.Node, holder.Node, err)
		}
	}
}

// holding is who leads, and since which etcd revision.
type holding struct {
	Leader
	revision int64
}

// tryLead gives the leadership, or who holds it.
func (r *Registry) tryLead(ctx context.Context, c Candidate) (l *Leadership, holder holding, err error) {
	lease, err := r.grant(ctx, c.TTL)
	if err != nil {
		return nil, holding{}, err
	}
	defer func() {
		if l == nil {
			r.revoke(ctx, lease)
		}
	}()
	value, err := json.Marshal(Leader{c.Node, c.Directory, r.now().UTC().Format(time.RFC3339)})
	if err != nil {
		return nil, holding{}, err
	}
	l = &Leadership{registry: r, candidate: c, value: string(value), lease: lease, done: make(chan struct{})}
	vacant := clientv3.Compare(clientv3.CreateRevision(r.keys.leader()), "=", 0)
	free := vacant // or held by who is dead
	for {
		resp, err := r.client.Txn(ctx).If(free).Then(l.take(lease)...).Else(clientv3.OpGet(r.keys.leader())).Commit()
		if err != nil {
			return nil, holding{}, err
		}
		if resp.Succeeded {
			if err := l.begin(resp); err != nil {
				return nil, holding{}, err
			}
			return l, holding{}, nil
		}
		kvs := resp.Responses[0].GetResponseRange().Kvs
		if len(kvs) == 0 {
			free = vacant // the dead one's lease has run out meanwhile
			continue
		}
		holder := holding{revision: kvs[0].ModRevision}
		if err := json.Unmarshal(kvs[0].Value, &holder.Leader); err != nil {
			return nil, holding{}, fmt.Errorf("read registry key %s: %w", kvs[0].Key, err)
		}
		if c.Directory == "" || holder.Directory != c.Directory {
			return nil, holder, nil
		}
		defer r.revoke(ctx, clientv3.LeaseID(kvs[0].Lease))
		free = clientv3.Compare(clientv3.ModRevision(r.keys.leader()), "=", holder.revision)
	}
}

// take writes who leads, with a lease, and who led last, which stays.
func (l *Leadership) take(lease clientv3.LeaseID) []clientv3.Op {
	keys := l.registry.keys
	return []clientv3.Op{
		clientv3.OpPut(keys.leader(), l.value, clientv3.WithLease(lease)), clientv3.OpPut(keys.lastLeader(), l.value, clientv3.WithPrevKV()), clientv3.OpGet(keys.base()),
	}
}

func (l *Leadership) begin(resp *clientv3.TxnResponse) error {
	base, err := readBase((*clientv3.GetResponse)(resp.Responses[2].GetResponseRange()))
	if err != nil {
		return err
	}
	if before := resp.Responses[1].GetResponsePut().PrevKv; before != nil {
		if err := json.Unmarshal(before.Value, &l.Previous); err != nil {
			return fmt.Errorf("read registry key %s: %w", before.Key, err)
		}
	}
	l.revision, l.seen = resp.Header.Revision, resp.Header.Revision
	l.Epoch = base + uint64(l.revision)
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	go l.keep(ctx) // Release waits for it
	return nil
}

// Done is closed when the leadership is lost, or released.
func (l *Leadership) Done() <-chan struct{} { return l.done }

// Err is why it was lost, once Done is closed: an ErrLeaseLost. After Release it is nil, or what it was before.
func (l *Leadership) Err() error { return l.err }

// Release lets another node lead at once.
func (l *Leadership) Release(ctx context.Context) error {
	l.cancel()
	<-l.done
	if l.err != nil {
		return nil
	}
	if _, err := l.registry.client.Revoke(ctx, l.lease); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("give up the lease of the leader: %w", err)
	}
	return nil
}

// keep renews the lease until ctx ends or it is lost.
func (l *Leadership) keep(ctx context.Context) {
	defer close(l.done)
	defer l.cancel()
	for {
		l.hold(ctx)
		if ctx.Err() != nil {
			return
		}
		if err := l.regain(ctx); ctx.Err() != nil {
			return
		} else if err != nil {
			l.err = err
			return
		}
		l.registry.log.Warn("the lease of this leader was not renewed in time, and nobody else has led since; it leads on", "node", l.candidate.Node, "epoch", l.Epoch)
	}
}

// hold renews the lease and returns when it was not confirmed for as long as it lasts, or when the key that goes with it has changed.
func (l *Leadership) hold(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx) // of the renewals and the watch
	defer cancel()
	alive, err := l.registry.client.KeepAlive(ctx, l.lease)
	if err != nil {
		return // regain tries, and says what is wrong
	}
	changes := l.registry.client.Watch(ctx, l.registry.keys.leader(), clientv3.WithRev(l.seen+1))
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return
			}
		case resp, ok := <-changes:
			if !ok || resp.Err() != nil {
				changes = nil // the renewals say the same, later
			}
			for _, e := range resp.Events {
				if clientv3.LeaseID(e.Kv.Lease) != l.lease { // a deletion has none
					return
				}
			}
		}
	}
}

// regain takes the lease again if nobody has led since: the process was suspended perhaps, or etcd was away. The epoch is then still the highest.
func (l *Leadership) regain(ctx context.Context) error {
	if !l.candidate.Alone {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, l.candidate.TTL, errors.New("etcd does not answer"))
		defer cancel()
	}
	r := l.registry
	var last error
	for wait := time.Duration(0); ; wait = min(2*wait+50*time.Millisecond, time.Second) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%w: its lease is gone: %w", ErrLeaseLost, errors.Join(context.Cause(ctx), last))
		}
		lease, err := r.grant(ctx, l.candidate.TTL)
		if err != nil {
			last = err
			continue
		}
		resp, err := r.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(r.keys.lastLeader()), "=", l.revision)).
			Then(clientv3.OpPut(r.keys.leader(), l.value, clientv3.WithLease(lease))).
			Else(clientv3.OpGet(r.keys.lastLeader())).Commit()
		if err != nil {
			last = err
			r.revoke(ctx, lease)
			continue
		}
		if resp.Succeeded {
			r.revoke(ctx, l.lease) // it may be there still
			l.lease, l.seen = lease, resp.Header.Revision
			return nil
		}
		r.revoke(ctx, lease)
		by := Leader{Node: "another one"}
		if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
			_ = json.Unmarshal(kvs[0].Value, &by) // who it is is only for people
		}
		return fmt.Errorf("%w: node %s has taken over, data directory %s, at %s", ErrLeaseLost, by.Node, by.Directory, by.Since)
	}
}

// awaitVacancy returns when the key of the leader has changed since a revision.
func (r *Registry) awaitVacancy(ctx context.Context, revision int64) error {
	ctx, cancel := context.WithCancel(ctx) // ends the watch
	defer cancel()
	<-r.client.Watch(ctx, r.keys.leader(), clientv3.WithRev(revision+1)) // with what, or what error, does not matter: Lead looks again
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (r *Registry) grant(ctx context.Context, ttl time.Duration) (clientv3.LeaseID, error) {
	resp, err := r.client.Grant(ctx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return 0, err
	}
	return resp.ID, nil
}

// revoke is for a lease that nobody needs: it would run out by itself.
func (r *Registry) revoke(ctx context.Context, lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = r.client.Revoke(ctx, lease)
}

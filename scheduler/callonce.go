package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
	"github.com/evoke-run/evoke/wire"
)

// Errors of a Call with Once.
var (
	ErrInProgress   = errors.New("the same call still runs")
	ErrOtherRequest = errors.New("the key of another request")
	ErrReplyTooLong = errors.New("the reply is too long to be kept")
)

// onces are the calls with a key that run now.
type onces struct {
	mu      sync.Mutex
	running map[onceKey]struct{}
}

type onceKey struct {
	stateKey
	once string
}

// begin is false when the same call runs. Whoever got true calls end.
func (o *onces) begin(k onceKey) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, runs := o.running[k]; runs {
		return false
	}
	if o.running == nil {
		o.running = map[onceKey]struct{}{}
	}
	o.running[k] = struct{}{}
	return true
}

func (o *onces) end(k onceKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.running, k)
}

func (c *Call) scope() partition.Scope {
	return partition.Scope{Namespace: c.Namespace, Function: c.Function, Key: c.Event.Key(), Event: &c.Event}
}

// callOnce is a call whose client may repeat it: it runs until it is done, and what it replied then is the reply of all that come after it.
func (s *Scheduler) callOnce(ctx context.Context, c *Call) (Reply, error) {
	k := onceKey{stateKey{c.Namespace, c.Function, c.Event.Key()}, c.Once.Key}
	if !s.onces.begin(k) {
		return Reply{}, ErrInProgress
	}
	defer s.onces.end(k)
	if r, ok, err := s.keptReply(c); ok || err != nil {
		return r, err
	}
	return s.run(ctx, c)
}

// keptReply is that of the same call before.
func (s *Scheduler) keptReply(c *Call) (r Reply, ok bool, err error) {
	kept, ok, err := s.opts.Table.KeptReply(c.scope(), c.Once.Key)
	if err != nil || !ok {
		return Reply{}, false, err
	}
	if kept.Request != c.Once.Request {
		return Reply{}, false, ErrOtherRequest
	}
	r, err = decodeReply(kept.Reply)
	return r, true, err
}

// performReply stores what a call did together with its reply.
func (s *Scheduler) performReply(ctx context.Context, c *Call, a *attempt) (partition.Outcome, error) {
	reply := a.reply()
	raw := reply.append(nil)
	if len(raw) > partition.MaxKeptReply {
		return 0, fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrReplyTooLong, len(raw), partition.MaxKeptReply)
	}
	return s.opts.Table.PerformOnce(context.WithoutCancel(ctx), c.scope(), a.id, *c.Once, raw, a.effects)
}

// The form in which a reply is kept: version, invocation, revision, data, whether there are attributes, attributes.
const replyVersion = 1

func (r *Reply) append(b []byte) []byte {
	b = append(b, replyVersion)
	b = wire.AppendBytes(b, r.Invocation)
	b = wire.AppendUvarint(b, uint64(r.Revision))
	b = wire.AppendBytes(b, r.Data)
	if r.Attributes == nil {
		return append(b, 0)
	}
	return wire.AppendBytes(append(b, 1), r.Attributes)
}

func decodeReply(b []byte) (Reply, error) {
	r := wire.NewReader(b)
	if v := r.U8(); v != replyVersion {
		return Reply{}, fmt.Errorf("read a kept reply: its version is %d, this program reads %d", v, replyVersion)
	}
	out := Reply{Invocation: r.String(), Revision: int(r.Uvarint()), Attempt: 1, Verdict: abi.Done, RetryAfter: -1, Data: r.Bytes(), Kept: true}
	if r.U8() == 1 {
		out.Attributes = r.Bytes()
	}
	if err := r.Close(); err != nil {
		return Reply{}, fmt.Errorf("read a kept reply: %w", err)
	}
	return out, nil
}

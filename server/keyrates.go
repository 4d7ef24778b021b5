package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/evoke-run/evoke/registry"
)

// keyRates counts what API keys send to this node. It is memory only: a restart begins anew, and each node counts for itself.
type keyRates struct {
	mu sync.Mutex
	of map[string]*rate.Limiter // by the id of the key, whose rate never changes
}

// maxIdleRates is how many are kept before those of revoked keys are looked for.
const maxIdleRates = 1000

// take counts one request; above zero it is how long the key has to wait, and the request does not count.
func (k *keyRates) take(c *registry.Credential, now time.Time, snapshot *registry.Snapshot) time.Duration {
	if c.Key.Rate == nil {
		return 0
	}
	turn := k.limiter(c, snapshot).ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > 0 {
		turn.CancelAt(now)
	}
	return wait
}

func (k *keyRates) limiter(c *registry.Credential, snapshot *registry.Snapshot) *rate.Limiter {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.of[c.ID]; l != nil {
		return l
	}
	if k.of == nil {
		k.of = map[string]*rate.Limiter{}
	}
	if len(k.of) >= maxIdleRates && len(k.of)%maxIdleRates == 0 {
		for id := range k.of {
			if _, ok := snapshot.Credential(id); !ok {
				delete(k.of, id)
			}
		}
	}
	r := c.Key.Rate
	l := rate.NewLimiter(rate.Every(time.Duration(r.Period)/time.Duration(r.Limit)), r.Limit)
	k.of[c.ID] = l
	return l
}

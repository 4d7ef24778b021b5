package auth

import (
	"crypto/sha256"
	"sync"
)

// recentKey is a token, by its hash, as a token of an issuer.
type recentKey struct {
	hash [sha256.Size]byte
	from *issuer
}

// recent remembers tokens that were good, so that each is checked once. It has two halves: when the newer is full, the older is forgotten; who is asked for moves to the newer.
type recent struct {
	mu           sync.Mutex
	newer, older map[recentKey]*verified
}

// halfRecent is how many tokens one half has; each takes a few kilobytes.
const halfRecent = 4096

func (r *recent) get(k recentKey) *verified {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.newer[k]; v != nil {
		return v
	}
	v := r.older[k]
	if v != nil {
		r.add(k, v)
	}
	return v
}

func (r *recent) put(k recentKey, v *verified) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(k, v)
}

// add puts into the newer half; the caller holds mu.
func (r *recent) add(k recentKey, v *verified) {
	if r.newer == nil || len(r.newer) >= halfRecent {
		r.newer, r.older = make(map[recentKey]*verified), r.newer
	}
	r.newer[k] = v
}

package scheduler

import "sync"

// keyLocks lets the invocations of one function and key run one after the other, for those that kept clashing.
type keyLocks struct {
	mu    sync.Mutex
	locks map[stateKey]*keyLock
}

type stateKey struct{ namespace, function, key string }

type keyLock struct {
	sync.Mutex
	users int // holders and waiters
}

func newKeyLocks() keyLocks { return keyLocks{locks: map[stateKey]*keyLock{}} }

// lock waits for the key; the function it returns unlocks it.
func (k *keyLocks) lock(key stateKey) (unlock func()) {
	k.mu.Lock()
	l := k.locks[key]
	if l == nil {
		l = &keyLock{}
		k.locks[key] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		if l.users--; l.users == 0 {
			delete(k.locks, key)
		}
		k.mu.Unlock()
	}
}

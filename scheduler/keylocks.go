package scheduler

import "sync"

// keyLocks lets the invocations of one function and key run one after the other once some of them kept clashing. While anyone holds or waits for a key, those who
// begin queue up too; else they would go on clashing with the one who holds it.
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

// lockIfBusy waits for the key if others hold or wait for it; otherwise it returns nil.
func (k *keyLocks) lockIfBusy(key stateKey) (unlock func()) {
	k.mu.Lock()
	l := k.locks[key]
	if l == nil {
		k.mu.Unlock()
		return nil
	}
	return k.join(l, key)
}

// lock waits for the key; the function it returns unlocks it.
func (k *keyLocks) lock(key stateKey) (unlock func()) {
	k.mu.Lock()
	l := k.locks[key]
	if l == nil {
		l = &keyLock{}
		k.locks[key] = l
	}
	return k.join(l, key)
}

// join needs mu, and unlocks it.
func (k *keyLocks) join(l *keyLock, key stateKey) (unlock func()) {
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

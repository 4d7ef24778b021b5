package partition

import (
	"crypto/sha256"
	"encoding/json"
	"runtime"
	"sync"
	"weak"
)

// definitions lets the partitions of a table share what each of them reads of a trigger: there may be a hundred thousand, each in every partition. It keeps none
// alive. What it hands out must not be changed.
type definitions struct {
	mu    sync.Mutex
	known map[textHash]weak.Pointer[Trigger]
}

// textHash stands for the JSON of a trigger, which is ten times as long.
type textHash [16]byte

func hashOf(text []byte) textHash {
	sum := sha256.Sum256(text)
	return textHash(sum[:])
}

func newDefinitions() *definitions {
	return &definitions{known: map[textHash]weak.Pointer[Trigger]{}}
}

// read returns the trigger that a text says.
func (d *definitions) read(text []byte) (*Trigger, error) {
	return d.find(text, func() (*Trigger, error) {
		t := &Trigger{}
		return t, json.Unmarshal(text, t)
	})
}

// share returns a trigger that is equal to one.
func (d *definitions) share(like *Trigger) *Trigger {
	t, _ := d.find(marshalTrigger(like), func() (*Trigger, error) {
		t := *like
		return &t, nil
	})
	return t
}

func (d *definitions) find(text []byte, first func() (*Trigger, error)) (*Trigger, error) {
	key := hashOf(text)
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.known[key].Value(); t != nil {
		return t, nil
	}
	t, err := first()
	if err != nil {
		return nil, err
	}
	d.known[key] = weak.Make(t)
	runtime.AddCleanup(t, d.forget, key)
	return t, nil
}

// forget is called when nobody has a definition any more, at some later time.
func (d *definitions) forget(key textHash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[key].Value() == nil { // else it was read again meanwhile
		delete(d.known, key)
	}
}

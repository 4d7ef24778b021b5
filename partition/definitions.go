package partition

import (
	"crypto/sha256"
	"encoding/json"
	"runtime"
	"sync"
	"weak"
)

// definition is a trigger as all partitions share it, with the state that it has in those in which nothing has happened to it.
type definition struct {
	Trigger
	idle trigger
}

// definitions lets the partitions of a table share what each of them reads of a trigger: there may be a hundred thousand, each in every partition. It keeps none
// alive. What it hands out must not be changed.
type definitions struct {
	mu    sync.Mutex
	known map[textHash]weak.Pointer[definition]
}

// textHash stands for the JSON of a trigger, which is ten times as long.
type textHash [16]byte

func hashOf(text []byte) textHash {
	sum := sha256.Sum256(text)
	return textHash(sum[:])
}

func newDefinitions() *definitions {
	return &definitions{known: map[textHash]weak.Pointer[definition]{}}
}

// read returns the trigger that a text says.
func (d *definitions) read(text []byte) (*definition, error) {
	return d.find(text, func(t *Trigger) error { return json.Unmarshal(text, t) })
}

// share returns a trigger that is equal to one.
func (d *definitions) share(like *Trigger) *Trigger {
	def, _ := d.find(marshalTrigger(like), func(t *Trigger) error { *t = *like; return nil })
	return &def.Trigger
}

func (d *definitions) find(text []byte, first func(*Trigger) error) (*definition, error) {
	key := hashOf(text)
	d.mu.Lock()
	defer d.mu.Unlock()
	if def := d.known[key].Value(); def != nil {
		return def, nil
	}
	def := &definition{}
	if err := first(&def.Trigger); err != nil {
		return nil, err
	}
	def.idle = trigger{Trigger: &def.Trigger, shared: true}
	d.known[key] = weak.Make(def)
	runtime.AddCleanup(def, d.forget, key)
	return def, nil
}

// forget is called when nobody has a definition any more, at some later time.
func (d *definitions) forget(key textHash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[key].Value() == nil { // else it was read again meanwhile
		delete(d.known, key)
	}
}

package partition

import (
	"encoding/json"
	"runtime"
	"sync"
	"weak"
)

// definitions lets the partitions of a table share what each of them reads of a trigger: there may be a hundred thousand, each in every partition. It keeps none
// alive. What it hands out must not be changed.
type definitions struct {
	mu    sync.Mutex
	known map[string]weak.Pointer[Trigger] // by its JSON
}

func newDefinitions() *definitions {
	return &definitions{known: map[string]weak.Pointer[Trigger]{}}
}

func (d *definitions) read(text []byte) (*Trigger, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.known[string(text)].Value(); t != nil {
		return t, nil
	}
	t := &Trigger{}
	if err := json.Unmarshal(text, t); err != nil {
		return nil, err
	}
	key := string(text)
	d.known[key] = weak.Make(t)
	runtime.AddCleanup(t, d.forget, key)
	return t, nil
}

// forget is called when nobody has a definition any more, at some later time.
func (d *definitions) forget(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[key].Value() == nil { // else it was read again meanwhile
		delete(d.known, key)
	}
}

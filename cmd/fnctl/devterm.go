package main

import (
	"os"
	"sync"
)

// keyTerminal is a terminal that gives keys one by one, and is given back as it was.
type keyTerminal struct {
	file *os.File // nil = there is none

	mu   sync.Mutex
	undo func()
}

// enter is false when there is no terminal, or it is another job's.
func (t *keyTerminal) enter() bool {
	if t.file == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if undo, ok := keyMode(t.file); ok && t.undo == nil {
		t.undo = undo
	}
	return t.undo != nil
}

func (t *keyTerminal) on() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.undo != nil
}

// leave gives it back. Only the first time does anything.
func (t *keyTerminal) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.undo != nil {
		t.undo()
		t.undo = nil
	}
}

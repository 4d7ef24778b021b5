package partition

import "sync"

// waiters are those who wait for what apply says of the records they appended, in line by sequence. Apply answers in that order. Channels are used again, and
// closing answers everyone, so that nobody has to look at a channel that all share: both would cost as much as the rest of a settle's way to the log.
type waiters struct {
	mu    sync.Mutex
	first uint64 // sequence of the first in line
	line  []chan result
	ended *result // what everyone is told from now on; nil = wait

	idle sync.Pool // of channels that nobody waits at any more
}

// add lets someone wait for the record of a sequence, each one above the one before.
func (w *waiters) add(seq uint64) chan result {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.idle.Get().(chan result)
	if !ok {
		c = make(chan result, 1)
	}
	if w.ended != nil {
		c <- *w.ended
		return c
	}
	if len(w.line) == 0 {
		w.first = seq
	}
	w.line = append(w.line, c)
	return c
}

// done is for who has got the answer: the channel is used again.
func (w *waiters) done(c chan result) { w.idle.Put(c) }

// answer tells who waits for a sequence; a record that was told of before may come again.
func (w *waiters) answer(seq uint64, r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := seq - w.first
	if seq < w.first || i >= uint64(len(w.line)) || w.line[i] == nil {
		return
	}
	w.line[i] <- r // it has room for one
	w.line[i] = nil
	for len(w.line) > 0 && w.line[0] == nil {
		w.line, w.first = w.line[1:], w.first+1
	}
}

// end tells everyone that there is nothing to wait for any more.
func (w *waiters) end(r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = &r
	for _, c := range w.line {
		if c != nil {
			c <- r
		}
	}
	w.line = nil
}

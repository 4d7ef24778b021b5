package main

import (
	"fmt"
	"io"
	"sync"
)

// progress tells people what takes long: one line that changes on a terminal, one line for each finished step elsewhere.
// It is safe for concurrent use.
type progress struct {
	w        io.Writer
	terminal bool

	mu   sync.Mutex
	open bool // a line without its end is on the terminal
}

func (c *cli) progress() *progress {
	return &progress{w: c.err, terminal: isTerminal(c.err) && c.getenv("TERM") != "dumb"}
}

// doing says what has begun.
func (p *progress) doing(format string, args ...any) {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "\r\x1b[K"+format+"…", args...)
	p.open = true
}

// upload says how far a module has been sent; nil when nobody is there to see it.
func (p *progress) upload(function string, total int) func(sent int) {
	if !p.terminal {
		return nil
	}
	p.doing("uploading %s (%s)", function, size(int64(total)))
	last := 0
	return func(sent int) {
		if percent := sent * 100 / max(total, 1); percent != last {
			last = percent
			p.doing("uploading %s (%s): %d %%", function, size(int64(total)), percent)
		}
	}
}

// done says what has ended; it stays on the screen.
func (p *progress) done(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// end removes the line that changes.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
}

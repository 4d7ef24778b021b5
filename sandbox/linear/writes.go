package linear

import "runtime"

// writes is what is known of the pages of a memory that are private copies. A page that has become one stays one, so the list of the last scan is still
// complete when no page has been added, and a page is only added by a fault of the thread that writes to it: when the thread that ran the guest counts
// none, there is nothing to scan for. See "Why count page faults?" in RATIONALE.md.
//
//	unknown ─ scan ─► known ─ Watch ─► watched ─ Reset, no fault ─► known
//	   ▲                │                │  │▲
//	   └──── Trim ──────┴──── fault ─────┘  │└─ Return ─┐
//	                                        └── Leave ─► left
type writes struct {
	spans   []span
	bytes   int   // sum of spans
	copies  int   // how many resets in a row had many of them to copy
	known   bool  // spans is complete
	watched bool  // since then the goroutine is bound to its thread
	left    bool  // it was watched, and is again after Return
	faults  int64 // of that thread then
}

// span is a range of bytes, whole pages.
type span struct{ from, to int }

// A memory that once was written in many places copies them all after every event, needed or not. Now and then it starts again from nothing, which costs
// a fault for each page that is needed, twenty times a copy.
const (
	many      = 256 << 10 // bytes
	maxCopies = 64        // resets
)

// forget keeps only the space of the list.
func (w *writes) forget() { w.spans, w.bytes, w.known = w.spans[:0], 0, false }

func (w *writes) add(s span) {
	w.spans = append(w.spans, s)
	w.bytes += s.to - s.from
}

// stale says that it is time to start again from nothing.
func (w *writes) stale() bool {
	if w.bytes <= many {
		w.copies = 0
		return false
	}
	w.copies = (w.copies + 1) % maxCopies
	return w.copies == 0
}

// complete ends the watching and says whether the list has all pages that were written.
func (w *writes) complete() bool {
	if !w.watched {
		return false
	}
	ok := threadFaults() == w.faults
	w.stop()
	return ok
}

func (w *writes) stop() {
	w.watched = false
	runtime.UnlockOSThread()
}

// Watch begins an event: call it before anything is written for it. It makes the next Reset cheaper when the guest writes only where it has written
// before, and binds the goroutine to its thread until Leave, Reset or Close. So call Leave before the goroutine waits for something.
func (m *Memory) Watch() {
	m.refused = false
	if !m.writes.known || m.writes.watched {
		return
	}
	m.writes.watch()
}

func (w *writes) watch() {
	runtime.LockOSThread()
	w.watched, w.faults = true, threadFaults()
}

// Leave lets the goroutine go to other threads until Return. Nobody may write to the memory meanwhile.
func (m *Memory) Leave() {
	if m.writes.watched {
		m.writes.known = m.writes.complete()
		m.writes.left = m.writes.known
	}
}

// Return binds the goroutine to the thread that it is on now, if it was bound to one and there is something to gain.
func (m *Memory) Return() {
	if m.writes.left {
		m.writes.left = false
		m.writes.watch()
	}
}

package sandbox

import (
	"crypto/sha256"
	"math/rand/v2"
	"time"
)

// world is what a guest sees of time and chance while its snapshot is made. Both follow from what it is made of, so that initialising twice gives the
// same image but for what came from the seed. Real time would differ in every image, and waiting for it would be for nothing: sleeping moves the clock.
type world struct {
	random *rand.ChaCha8
	wall   int64         // nanoseconds since 1970 at the beginning
	mono   time.Duration // the runtime's monotonic clock at the beginning
	passed time.Duration
	drew   bool // random bytes were asked for
}

// tick passes with each look at a clock, so that a guest that waits for time to pass does not wait for ever.
const tick = time.Microsecond

func newWorld(seed []byte, variant byte, wall int64, mono time.Duration) *world {
	return &world{random: rand.NewChaCha8(sha256.Sum256(append([]byte{variant}, seed...))), wall: wall, mono: mono}
}

// wallNow is the time of day without a look at the clock.
func (w *world) wallNow() int64 { return w.wall + int64(w.passed) }

func (w *world) now(clock uint32) int64 {
	w.sleep(tick)
	switch clock {
	case clockRealtime:
		return w.wallNow()
	case clockMonotonic:
		return int64(w.mono + w.passed)
	}
	return int64(w.passed)
}

// farthest is how far sleeping moves the clocks, 73 years: no sum of it and a time that is now overflows.
const farthest time.Duration = 1 << 61

func (w *world) sleep(d time.Duration) { w.passed = min(w.passed+min(d, farthest), farthest) }

func (w *world) read(b []byte) {
	w.drew = true
	_, _ = w.random.Read(b) // never fails
}

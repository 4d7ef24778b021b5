package sandbox

import (
	"context"
	"errors"
	"time"
)

// duringWarmUp names the warm-up in messages.
const duringWarmUp = "the warm-up"

// warmUp lets a script handle one event before its snapshot is taken, so that what the first one compiles, caches and sets up is there for all. Nothing comes of the event
// but that: capabilities are denied, what is emitted, replied and logged is dropped. It has a third of the time for initialisation. An exception ends it as it ends an event, and what ran before is kept. After any
// other end the instance is not usable. cold says what kept it from its end, for whoever deploys the script.
func (i *instance) warmUp() (cold string, usable bool) {
	inv := &i.inv
	timed, cancel := context.WithTimeout(inv.Context, orElse(i.program.settings.InitTimeout, defaultDeadline)/3)
	defer cancel()
	started := time.Now()
	inv.Context, inv.host, inv.log = timed, warmHost{}, guestLog{host: discardHost{}}
	inv.deadline, _ = timed.Deadline()
	inv.timeout = inv.deadline.Sub(started)
	inv.phase, inv.during = warming, duringWarmUp
	inv.first = delivered{event: i.program.settings.Warm, retryAfter: -1}

	err := inv.handleEvent(i.script, 0)
	if err == nil || isThrown(err) && !inv.interrupted {
		if _, late := i.runJobs(i.script); late != nil && !isThrown(late) {
			err = late
		}
	}
	inv.rejections = rejections{}
	err = inv.ended(i.script, err)
	usable = err == nil || isThrown(err) && !i.memory.Refused()
	switch {
	case err == nil:
		return "", true
	case usable:
		return "the warm-up ended early: " + err.Error() + "; what ran until then is warm", true
	}
	return "the function is not warmed up: " + inv.failure(err).reason, false
}

func isThrown(err error) bool {
	var thrown *scriptError
	return errors.As(err, &thrown)
}

// warmHost is the host of a warm-up.
type warmHost struct{ discardHost }

// AllowEmit lets handlers go on that emit.
func (warmHost) AllowEmit(string) bool { return true }

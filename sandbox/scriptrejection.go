package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tetratelabs/wazero/api"
)

// maxRejections is how many rejected promises that nobody has looked at are remembered; the rest is counted.
const maxRejections = 100

// rejections are promises of a script that were rejected and that nothing waits for, so far. Most are looked at a moment later. What is still there when all jobs have run
// is logged.
type rejections struct {
	list []rejection
	more int
}

type rejection struct{ promise, reason jsValue } // the engine holds both for us

// rejected is told by the engine of a promise that was rejected while nothing waited for it, and again when something does after all. It must not call back into the
// engine's interpreter, which is in the middle of it.
func rejected(ctx context.Context, _ api.Module, stack []uint64) {
	inv := ctx.(*invocation)
	promise, err := inv.instance.unbox(stack[0])
	reason, err2 := inv.instance.unbox(stack[1])
	if err = errors.Join(err, err2); err != nil {
		panic(inHost(err))
	}
	r := &inv.rejections
	switch {
	case uint32(stack[2]) != 0:
		known := len(r.list)
		if r.list = slices.DeleteFunc(r.list, func(one rejection) bool { return one.promise == promise }); len(r.list) == known {
			r.more = max(0, r.more-1)
		}
	case len(r.list) < maxRejections:
		r.list = append(r.list, rejection{promise, reason})
	default:
		r.more++
	}
}

// logRejections writes those to the log that nothing waits for, with the place where the error was made.
func (inv *invocation) logRejections(s *scriptState) error {
	r := inv.rejections
	if len(r.list) == 0 {
		return nil
	}
	inv.rejections = rejections{}
	for _, one := range r.list {
		err := inv.instance.explain(s, one.reason)
		var thrown *scriptError
		if !errors.As(err, &thrown) {
			return err
		}
		inv.log.line(slog.LevelError, "unhandled rejection: "+thrown.Error())
	}
	if r.more > 0 {
		inv.log.line(slog.LevelError, fmt.Sprintf("unhandled rejection: %d more", r.more))
	}
	return nil
}

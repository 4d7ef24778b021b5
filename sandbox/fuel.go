package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/evoke-run/evoke/sandbox/rewrite"
)

const (
	// quantum is the fuel a guest gets at a time: 5 to 50 µs of work. Between two of them nothing can stop the guest, the garbage collector least.
	quantum = 100_000

	// turn is how long a guest may keep its processor from other goroutines, and shortTurn how long when it has done so once: it will run on, and the
	// others may be the garbage collector's, which takes dozens of turns for a collection.
	turn      = time.Millisecond
	shortTurn = 100 * time.Microsecond
)

// offerGovernor makes the host module that rewritten modules call when their fuel or their stack is used up. It is not among the imports that guests may
// name themselves.
func (r *Runtime) offerGovernor(ctx context.Context) error {
	builder := r.engine.NewHostModuleBuilder(rewrite.HostModule)
	for name, f := range map[string]api.GoModuleFunc{rewrite.Yield: yield, rewrite.Overflow: overflow} {
		builder.NewFunctionBuilder().WithGoModuleFunction(f, nil, nil).Export(name)
	}
	if _, err := builder.Instantiate(ctx); err != nil {
		return fmt.Errorf("make host module %s: %w", rewrite.HostModule, err)
	}
	return nil
}

// yield comes back to the guest with new fuel, unless its time is over. Being Go code it is also where the garbage collector can stop the guest.
func yield(ctx context.Context, _ api.Module, _ []uint64) {
	inv := ctx.(*invocation)
	inv.breathe()
	inv.instance.refuel()
}

func overflow(context.Context, api.Module, []uint64) {
	panic(&trapError{"stack overflow"})
}

// breathe ends a guest whose time is over and lets other goroutines run now and then. It looks at the clock itself: the context's timer may be late when
// guests keep all processors busy.
func (inv *invocation) breathe() {
	now := time.Now()
	if inv.over(now) {
		panic(errStopped)
	}
	if now.Sub(inv.turn) < inv.patience {
		return
	}
	inv.patience = shortTurn
	inv.instance.memory.Leave()
	inv.host.Yield(inv.Context, inv.instance.burnt())
	inv.deadline, _ = inv.Deadline()
	runtime.Gosched()
	inv.back(now)
}

// over says that the guest's time is up.
func (inv *invocation) over(now time.Time) bool {
	if inv.moment > 0 && !errors.Is(inv.Err(), context.Canceled) {
		return !now.Before(inv.deadline.Add(inv.moment))
	}
	return !now.Before(inv.deadline) || inv.Err() != nil
}

// back ends what began with Leave of the memory. The time since then is not the guest's: other goroutines had it.
func (inv *invocation) back(since time.Time) {
	inv.instance.memory.Return()
	inv.turn = time.Now()
	inv.outside += inv.turn.Sub(since)
}

// refuel adds to what the guest owes, so that nothing it used is forgotten.
func (i *instance) refuel() {
	i.fuel.Set(uint64(int64(i.fuel.Get()) + quantum))
	i.granted += quantum
}

// burnt is the fuel used since fill.
func (i *instance) burnt() int64 { return i.granted - int64(i.fuel.Get()) }

// fill gives fuel for a new event.
func (i *instance) fill() {
	i.fuel.Set(quantum)
	i.granted = quantum
}

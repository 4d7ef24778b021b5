package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/evoke-run/evoke/sandbox"
)

// overflowTarget is in KiB.
const overflowTarget = 2048

// overflow measures what a guest that recurses up to the bound takes of the process's memory, in many small frames and in few large ones.
type overflow struct {
	modules []*sandbox.Module
	kib     []float64
}

func (x *box) overflowCases(ctx context.Context) ([]roundCase, error) {
	o := &overflow{}
	for _, values := range []uint32{1, 500} {
		m, err := x.load(ctx, bottomless(values), false)
		if err != nil {
			return nil, err
		}
		o.modules = append(o.modules, m)
	}
	return []roundCase{o}, nil
}

func (o *overflow) rows() []row {
	return []row{worst("overflow_host_kib", "KiB", o.kib, overflowTarget)}
}

func (o *overflow) round(ctx context.Context) error {
	for _, m := range o.modules {
		if err := o.once(ctx, m); err != nil {
			return fmt.Errorf("overflow: %w", err)
		}
	}
	return nil
}

func (o *overflow) once(ctx context.Context, m *sandbox.Module) error {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // so that what was garbage at once counts too
	before, err := ownMemory()
	if err != nil {
		return err
	}
	res := m.Invoke(ctx, benchEvent(nil), silent{})
	if res.Class != sandbox.ClassTrap || !strings.HasPrefix(res.Reason, "stack overflow") {
		return notDone(ctx, res)
	}
	after, err := readMemory()
	if err != nil {
		return err
	}
	o.kib = append(o.kib, max(after.heap-before.heap, after.anonymous-before.anonymous, 0))
	return nil
}

// memory is what this process has, in KiB.
type memory struct {
	heap      float64 // of Go, with stacks
	anonymous float64 // all that is no file, in RAM
}

// ownMemory reads it after everything that can be given back was.
func ownMemory() (memory, error) {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // what the first found has been finalised
	return readMemory()
}

func readMemory() (memory, error) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	anonymous, err := statusKiB(os.Getpid(), "RssAnon")
	return memory{float64(stats.HeapInuse+stats.StackInuse) / 1024, anonymous}, err
}

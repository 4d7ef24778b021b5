package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sandbox/wasmtest/hostile"
)

// hostileSample are cases of the corpus by name. Without a class it is refused and want is what fnctl says, else it is how an invocation ends and why.
var hostileSample = []struct {
	name, class string
	want        []string
}{
	{"nested ifs, one too many", "", []string{"module refused: blocks are nested deeper than 5000", "in function evoke_handle", "Try: split the function"}},
	{"a memory of 4 GiB", "", []string{"module refused: the module starts with 4Gi of memory, its limit is 64Mi", "Try: raise memory: in fn.yaml"}},
	{"an import's name that steers the terminal", "", []string{"module refused: the module imports \uFFFD[2J.", "which this runtime does not offer"}},
	{"a function's name that steers the terminal", "trap", []string{"unreachable in \uFFFD[2J", "< evoke_handle"}},
	{"evoke_restore never ends", "deadline", []string{"did not finish within 500ms (in evoke_restore)"}},
	{"evoke_init exits", "", []string{"it fails before it sees an event: evoke_init: exited with code 7", "Try: mend what runs at start"}},
	{"recursion with a host call at each depth", "trap", []string{"stack overflow in down ("}},
	{"memory.fill of 64 MiB for ever", "deadline", []string{"did not finish within 500ms"}},
}

// While hostile modules are deployed and invoked, every invocation of another function succeeds; each of them is refused or killed with its reason.
func TestHostileModulesHoldNothingUp(t *testing.T) {
	t.Parallel()
	good := sharedApp(t)
	good.write(t, "good.wasm", wasmtest.Echo())
	good.deploy(t, "version: 1\napp: good\nfunctions:\n  good: { wasm: ./good.wasm }\n")
	stop := keepInvoking(t, good)
	for _, c := range hostileSample {
		t.Run(c.name, func(t *testing.T) {
			a := sharedApp(t)
			a.write(t, "f.wasm", hostileModule(t, c.name))
			r := a.tryDeploy(t, "version: 1\napp: bad\nfunctions:\n  f: { wasm: ./f.wasm, timeout: 500ms }\n")
			if c.class == "" {
				if r.code != 1 || r.stdout != "" {
					t.Errorf("deploy: %s", r)
				}
				contains(t, r.stderr, c.want...)
				return
			}
			if r.code != 0 {
				t.Fatalf("deploy: %s", r)
			}
			reply, err := a.client(t).Invoke(t.Context(), a.ns, "f", api.InvokeRequest{})
			if err != nil || reply.Class != c.class {
				t.Errorf("invocation: %+v, %v; want class %s", reply, err, c.class)
			}
			contains(t, reply.Error, c.want...)
			if strings.ContainsAny(reply.Error, "\x1b\a") {
				t.Errorf("the reason steers the terminal: %q", reply.Error)
			}
		})
	}
	if n, err := stop(); err != nil || n == 0 {
		t.Errorf("the other function was invoked %d times, then: %v", n, err)
	}
}

func hostileModule(t *testing.T, name string) []byte {
	t.Helper()
	all := hostile.Cases()
	i := slices.IndexFunc(all, func(c hostile.Case) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("the corpus has no %q", name)
	}
	return all[i].Wasm()
}

// keepInvoking invokes the good function again and again until stop, which says how often that worked, and what did not.
func keepInvoking(t *testing.T, a *app) (stop func() (times int, err error)) {
	t.Helper()
	client := a.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	times := 0
	var failed error
	go func() { // ends with stop
		defer close(done)
		for ctx.Err() == nil {
			event := json.RawMessage(`{"specversion":"1.0","type":"dev.test","source":"/e2e","id":"1","data":"still here"}`)
			// Not with ctx: what has begun when stop is called must succeed as well.
			reply, err := client.Invoke(context.WithoutCancel(ctx), a.ns, "good", api.InvokeRequest{Event: event})
			if err == nil && !strings.Contains(string(reply.Data), "still here") {
				err = fmt.Errorf("it answered %+v", reply)
			}
			if err != nil {
				failed = err
				return
			}
			times++
		}
	}()
	stop = func() (int, error) {
		cancel()
		<-done
		return times, failed
	}
	t.Cleanup(func() { _, _ = stop() }) // for a test that ends early
	return stop
}

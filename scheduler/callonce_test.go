package scheduler

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	w "github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

func (b *bundle) callOnce(function string, e event.Event, once partition.Once) (Reply, error) {
	return b.scheduler.Call(b.t.Context(), Call{Namespace: "default", Function: function, Event: e, Once: &once})
}

// A call that is repeated, one after the other or at the same time, by another event each time, counts once and has one reply.
func TestACallWithAKeyHappensOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.deploy("counts", counts("out"), api.FunctionSpec{Allow: api.Allow{State: true, Emit: []string{"out"}}})
	const keys, times = 8, 6
	var calls sync.WaitGroup
	replies := make([][]Reply, keys)
	var mu sync.Mutex
	for k := range keys {
		for i := range times {
			calls.Go(func() {
				once := partition.Once{Key: fmt.Sprint("call-", k)}
				for {
					r, err := b.callOnce("counts", newEvent(fmt.Sprint(k, "-", i), "ada"), once)
					if errors.Is(err, ErrInProgress) {
						continue
					}
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					replies[k] = append(replies[k], r)
					mu.Unlock()
					return
				}
			})
		}
	}
	calls.Wait()
	seen := map[byte]bool{}
	for k, list := range replies {
		fresh := 0
		for _, r := range list {
			if !r.Kept {
				fresh++
			}
			if r.Verdict != abi.Done || r.Invocation != list[0].Invocation || string(r.Data) != string(list[0].Data) || r.Revision != 1 {
				t.Errorf("call %d: %+v and %+v", k, r, list[0])
			}
		}
		if fresh != 1 {
			t.Errorf("call %d ran %d times", k, fresh)
		}
		seen[list[0].Data[0]] = true
	}
	if len(seen) != keys {
		t.Errorf("the calls counted %v, want each number up to %d", seen, keys)
	}
	b.eventually("what they emitted", func() bool { return len(b.stored("out")) >= keys })
	if n := len(b.stored("out")); n != keys {
		t.Errorf("%d events, want %d", n, keys)
	}
}

func TestWhatACallWithAKeyKeeps(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	m, i := w.NewGuest()
	m.Data(0x10, []byte(`{"status":201}`))
	b.deploy("json", m.Handle(w.Call(i.Reply, abi.ReplyJSON, 0x10, 14), w.Drop(), w.I32Const(0)).Bytes(), api.FunctionSpec{})
	b.deploy("fails", w.Returns(abi.Failed), api.FunctionSpec{})
	b.deploy("echo", w.Echo(), api.FunctionSpec{})
	long := newEvent("1", "")
	long.Data = make([]byte, partition.MaxKeptReply)

	first, err := b.callOnce("json", newEvent("1", ""), partition.Once{Key: "a", Request: [16]byte{1}})
	if err != nil || first.Kept {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := b.callOnce("json", newEvent("2", ""), partition.Once{Key: "a", Request: [16]byte{1}})
	if err != nil || !again.Kept || string(again.Attributes) != `{"status":201}` || len(again.Data) != 0 || again.Invocation != first.Invocation {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := b.callOnce("json", newEvent("2", ""), partition.Once{Key: "a", Request: [16]byte{2}}); !errors.Is(err, ErrOtherRequest) {
		t.Errorf("another request: %v", err)
	}
	for range 2 {
		if r, err := b.callOnce("fails", newEvent("1", ""), partition.Once{Key: "a"}); err != nil || r.Kept || r.Verdict != abi.Failed {
			t.Errorf("a failure is tried again: %+v, %v", r, err)
		}
	}
	for range 2 {
		_, err := b.callOnce("echo", long, partition.Once{Key: "a"})
		if !errors.Is(err, ErrReplyTooLong) || !strings.Contains(err.Error(), "the limit is 65536") {
			t.Errorf("a long reply: %v", err)
		}
	}
	if _, err := b.callOnce("none", newEvent("1", ""), partition.Once{Key: "a"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no function: %v", err)
	}
}

func FuzzDecodeReply(f *testing.F) {
	for _, r := range []Reply{{}, {Invocation: "i", Revision: 300, Data: []byte("data"), Attributes: []byte("{}")}, {Attributes: []byte{}}} {
		f.Add(r.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeReply(b)
		if err != nil {
			return
		}
		if again, err := decodeReply(r.append(nil)); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

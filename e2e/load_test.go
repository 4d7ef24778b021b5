package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

const (
	producers = 16
	keys      = 12
	// window is how many inputs may be acknowledged without an output, so that publishing and settling both go on all the time.
	window = 100
)

// load publishes inputs to a runtime that comes and goes, and knows in the end what must be there.
//
// A producer sends an input again, with the same id, until it is acknowledged, whatever happens to the runtime in between.
type load struct {
	app  *app
	work sync.WaitGroup // producers

	mu      sync.Mutex
	moved   *sync.Cond // anything below has changed
	acked   map[string]string
	outputs map[string]bool // ids of the inputs whose output was seen
	gateway string          // where the runtime is; "" while there is none
	life    int             // counts the runtimes
	stopped bool
	broken  error // why the load cannot go on
}

func newLoad(a *app) *load {
	l := &load{app: a, acked: map[string]string{}, outputs: map[string]bool{}}
	l.moved = sync.NewCond(&l.mu)
	return l
}

// change changes the state under the lock and wakes who waits for it.
func (l *load) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	l.moved.Broadcast()
}

// await waits until ok, which is called under the lock, and answers why it never will be.
func (l *load) await(what string, ok func() bool) error {
	late := time.AfterFunc(patience, func() {
		l.change(func() { l.broken = errors.Join(l.broken, fmt.Errorf("no %s after %s", what, patience)) })
	})
	defer late.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !ok() && l.broken == nil {
		l.moved.Wait()
	}
	return l.broken
}

// start starts the producers; finish ends them, or the test's end does.
func (l *load) start(t testing.TB) {
	t.Helper()
	for p := range producers {
		l.work.Go(func() { l.produce(p) })
	}
	t.Cleanup(func() {
		l.change(func() { l.stopped = true; l.broken = errors.Join(l.broken, errors.New("the test is over")) })
		l.work.Wait()
	})
}

func (l *load) produce(producer int) {
	for n := 0; ; n++ {
		l.mu.Lock()
		for !l.stopped && len(l.acked)-len(l.outputs) >= window {
			l.moved.Wait()
		}
		stopped := l.stopped
		l.mu.Unlock()
		if stopped {
			return
		}
		id, key := fmt.Sprintf("p%d-%d", producer, n), "k"+strconv.Itoa((producer*7+n)%keys)
		if !l.publish("in."+strconv.Itoa(n%2), id, key) {
			return
		}
		l.change(func() { l.acked[id] = key })
	}
}

// publish answers true when the input is acknowledged and false when that cannot be any more.
func (l *load) publish(topic, id, key string) bool {
	body, err := json.Marshal(newEvent(id, "count", key, nil))
	if err != nil {
		panic(err)
	}
	life := -1
	for {
		if l.await("runtime", func() bool { return l.gateway != "" && l.life != life }) != nil {
			return false
		}
		l.mu.Lock()
		gateway := l.gateway
		life = l.life
		l.mu.Unlock()
		status, answer, err := post(gateway+"/topics/"+topic, body)
		switch {
		case err != nil || status == http.StatusServiceUnavailable: // the next runtime will take it
		case status == http.StatusAccepted:
			return true
		default:
			l.change(func() { l.broken = fmt.Errorf("publish %s: %d %s", id, status, answer) })
			return false
		}
	}
}

func post(url string, body []byte) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", api.EventJSON)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// serve tells the load of a runtime that is ready, and follows its outputs until gone is called, before or after the runtime has ended.
func (l *load) serve(t testing.TB, p *process) (gone func()) {
	t.Helper()
	l.app.rt = p
	client := l.app.client(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range client.TopicEvents(ctx, l.app.ns, "out", api.TailOptions{Follow: true, Limit: 1_000_000}) {
			if err != nil {
				return // the runtime has ended
			}
			o, err := outputOf(e)
			l.change(func() {
				l.broken = errors.Join(l.broken, err)
				l.outputs[o.ID] = true
			})
		}
	}()
	l.change(func() { l.gateway = p.gateway; l.life++ })
	return func() {
		l.change(func() { l.gateway = "" })
		cancel()
		<-done
	}
}

func outputOf(e api.TopicEvent) (counted, error) {
	var ev struct{ Data counted }
	if err := json.Unmarshal(e.Event, &ev); err != nil {
		return counted{}, fmt.Errorf("output %s: %w", e.Event, err)
	}
	return ev.Data, nil
}

// progress waits for more outputs and more acknowledged inputs.
func (l *load) progress(t testing.TB, more int) {
	t.Helper()
	l.mu.Lock()
	acked, outputs := len(l.acked)+more, len(l.outputs)+more
	l.mu.Unlock()
	if err := l.await("progress", func() bool { return len(l.acked) >= acked && len(l.outputs) >= outputs }); err != nil {
		t.Fatal(err)
	}
}

// finish ends the producers, each with an acknowledged input, and waits for the last output. A runtime must serve.
func (l *load) finish(t testing.TB) {
	t.Helper()
	l.change(func() { l.stopped = true })
	l.work.Wait()
	if err := l.await("output of every input", func() bool { return len(l.outputs) >= len(l.acked) }); err != nil {
		t.Fatalf("%v\n%s\n%s", err, l.app.fnctl(t, "top"), l.app.fnctl(t, "invocations", "ls", "-o", "wide"))
	}
}

// ledger reads what there is from the runtime once nothing is pending any more.
func (l *load) ledger(t testing.TB) *ledger {
	t.Helper()
	out := &ledger{acked: l.acked, totals: map[string]int{}}
	client := l.app.client(t)
	for _, trigger := range []string{"count:in.*", "pass:out"} { // the second is for what the first emits
		letters := 0
		eventually(t, "end of the pending events of "+trigger, func() error {
			tr, err := client.Trigger(t.Context(), l.app.ns, trigger)
			if err != nil {
				return err
			}
			if letters = tr.Stats.DeadLetters; tr.Stats.Pending > 0 {
				return fmt.Errorf("%d are pending", tr.Stats.Pending)
			}
			return nil
		})
		out.deadLetters += letters
	}
	// What was settled last may still be on its way to the partition of its key: pending ends with the settle, and the outbox delivers after it.
	eventually(t, "passing on of every output", func() error {
		n := 0
		for _, err := range client.TopicEvents(t.Context(), l.app.ns, "passed", api.TailOptions{Limit: 1_000_000}) {
			if err != nil {
				return err
			}
			n++
		}
		if n < len(l.acked) {
			return fmt.Errorf("%d of %d were passed on", n, len(l.acked))
		}
		return nil
	})
	for _, topic := range []string{"in.0", "in.1", "out", "passed"} {
		for e, err := range client.TopicEvents(t.Context(), l.app.ns, topic, api.TailOptions{Limit: 1_000_000}) {
			if err != nil {
				t.Fatal(err)
			}
			if topic == "out" || topic == "passed" {
				o, err := outputOf(e)
				if err != nil {
					t.Fatal(err)
				}
				if topic == "out" {
					out.outputs = append(out.outputs, o)
				} else {
					out.passed = append(out.passed, o)
				}
				continue
			}
			var in struct{ ID, PartitionKey string }
			if err := json.Unmarshal(e.Event, &in); err != nil {
				t.Fatal(err)
			}
			out.inputs = append(out.inputs, stored{in.ID, in.PartitionKey, e.Partition, e.Offset})
		}
	}
	for k := range keys {
		key := "k" + strconv.Itoa(k)
		r := l.app.send(t, "GET", "/fn/count/total", http.Header{"Evoke-Key": {key}}, nil)
		n, err := strconv.Atoi(r.body)
		if r.status != 200 || err != nil {
			t.Fatalf("total of %s: %d %s", key, r.status, r.body)
		}
		out.totals[key] = n
	}
	return out
}

// The probe does what the type of its event says, "probe.echo" or "probe.panic"; of a plain HTTP request it is the path, /fn/probe/echo.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(probe) }

func main() {}

func probe(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	op := strings.TrimPrefix(e.Type, "probe.")
	if r := e.Request(); r != nil {
		op = strings.Trim(r.Path, "/")
	}
	if strings.HasPrefix(op, "webhooks/") {
		return evoke.NoReply(), delivered(e)
	}
	switch op {
	case "echo":
		evoke.Infof("echo of %s", e.ID)
		return evoke.Reply{ContentType: e.DataContentType, Data: e.Data()}, nil
	case "emit":
		return evoke.NoReply(), emit(e)
	case "count":
		return count(e)
	case "counted":
		return evoke.NoReply(), pass(e)
	case "total":
		n, err := total()
		return evoke.JSON(n), err
	case "fail":
		evoke.Warnf("about to fail on %s", e.ID)
		return evoke.NoReply(), errors.New("told to fail")
	case "reject":
		return evoke.NoReply(), evoke.Rejectf("told to reject %s", e.ID)
	case "panic":
		panic("told to panic")
	case "loop":
		evoke.Infof("looping on %s", e.ID)
		for {
		}
	case "until":
		return evoke.Text("over"), until(e)
	case "charge":
		return evoke.NoReply(), charge(e)
	case "dev.evoke.cron":
		return evoke.NoReply(), tick(e)
	case "version":
		v, _, err := evoke.Config("VERSION")
		return evoke.Text(v), err
	}
	return evoke.NoReply(), evoke.Rejectf("the probe does not know %q", op)
}

// emit passes the data on to the topic out.
func emit(e *evoke.Event) error {
	return evoke.Emit("out", evoke.NewEvent("probe.emitted", json.RawMessage(e.Data())))
}

// delivery is what came by a webhook.
type delivery struct{ ID, Type, Subject, Key, ContentType, Body, Path string }

// delivered passes it on. It fails when the body says so.
func delivered(e *evoke.Event) error {
	if strings.Contains(string(e.Data()), "told to fail") {
		return errors.New("told to fail")
	}
	return evoke.Emit("deliveries", evoke.NewEvent("probe.delivered", delivery{e.ID, e.Type, e.Subject, e.Key(), e.DataContentType, string(e.Data()), e.Request().Path}))
}

// counted is what count emits: the event it counted and its number within the key.
type counted struct {
	ID  string
	Key string
	N   int
}

// count reads, adds one, writes, and emits one event with another key. It fails at random, before and after its effects: with probability FAIL percent.
func count(e *evoke.Event) (evoke.Reply, error) {
	if err := bad("before"); err != nil {
		return evoke.NoReply(), err
	}
	n, err := addOne()
	if err != nil {
		return evoke.NoReply(), err
	}
	out := evoke.NewEvent("probe.counted", counted{e.ID, e.Extension("partitionkey"), n})
	out.SetExtension("partitionkey", "out-"+e.ID)
	if err := evoke.Emit("out", out); err != nil {
		return evoke.NoReply(), err
	}
	return evoke.JSON(n), bad("after")
}

// pass sends on what count has emitted. It fails as count does.
func pass(e *evoke.Event) error {
	if err := bad("before"); err != nil {
		return err
	}
	if err := evoke.Emit("passed", evoke.NewEvent("probe.passed", json.RawMessage(e.Data()))); err != nil {
		return err
	}
	return bad("after")
}

func total() (int, error) {
	var n int
	_, err := evoke.GetStateJSON("n", &n)
	return n, err
}

func bad(when string) error {
	text, _, err := evoke.Config("FAIL")
	if err != nil || text == "" {
		return err
	}
	var percent int
	if err := json.Unmarshal([]byte(text), &percent); err != nil {
		return err
	}
	if rand.IntN(200) < percent {
		return errors.New("bad luck " + when + " the effects")
	}
	return nil
}

// charge emits a receipt. It fails while RATE is no number; with RATE wait it takes its time to find out.
func charge(e *evoke.Event) error {
	text, _, err := evoke.Config("RATE")
	if err != nil {
		return err
	}
	if text == "wait" {
		time.Sleep(time.Second)
	}
	rate, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("rate of %s: %w", e.Subject, err)
	}
	return evoke.Emit("receipts", evoke.NewEvent("com.shop.receipt", map[string]any{"order": e.ID, "rate": rate}))
}

// until waits until the time that the data says, in milliseconds since 1970.
func until(e *evoke.Event) error {
	var ms int64
	if err := json.Unmarshal(e.Data(), &ms); err != nil {
		return err
	}
	evoke.Infof("busy until %d", ms)
	time.Sleep(time.Until(time.UnixMilli(ms)))
	return nil
}

// tick says on the topic ticks that a schedule has fired. It takes as long as TAKES says, or else counts under its key; and fails as count does.
func tick(e *evoke.Event) error {
	begin, n := time.Now(), 0
	if err := bad("before"); err != nil {
		return err
	}
	takes, slow, err := evoke.Config("TAKES")
	if err != nil {
		return err
	}
	if slow {
		d, err := time.ParseDuration(takes)
		if err != nil {
			return err
		}
		time.Sleep(d)
	} else if n, err = addOne(); err != nil {
		return err
	}
	out := evoke.NewEvent("probe.tick", map[string]any{"trigger": e.Subject, "id": e.ID, "n": n, "begin": begin, "end": time.Now(), "firing": json.RawMessage(e.Data())})
	if err := evoke.Emit("ticks", out); err != nil {
		return err
	}
	return bad("after")
}

func addOne() (int, error) {
	n, err := total()
	if err != nil {
		return 0, err
	}
	return n + 1, evoke.SetStateJSON("n", n+1)
}

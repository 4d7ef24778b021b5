// Command payments is a payment provider as one would like it: it charges once for each Idempotency-Key, however often it is asked.
package main

import (
	"context"
	"errors"
	"strconv"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(serve) }

func main() {}

// provider is its state.
type provider struct {
	Status  string            `json:"status"`  // "down" is down
	Charges map[string]string `json:"charges"` // ids, by Idempotency-Key
}

func serve(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	p := provider{Charges: map[string]string{}}
	if _, err := evoke.GetStateJSON("provider", &p); err != nil {
		return evoke.NoReply(), err
	}
	if e.Request().Method == "PUT" {
		p.Status = string(e.Data())
		return evoke.NoReply(), evoke.SetStateJSON("provider", p)
	}
	var charge struct{ Cents int }
	if err := e.Decode(&charge); err != nil {
		return evoke.Text("no JSON").WithStatus(400), nil
	}
	switch {
	case p.Status == "down":
		return evoke.NoReply(), errors.New("down") // a failure is answered 500 and not kept for its Idempotency-Key; a reply would be, whatever its status
	case charge.Cents > 100_000:
		return evoke.JSON(map[string]string{"reason": "more than there is"}).WithStatus(402), nil
	}
	key := e.Request().Header("Idempotency-Key")
	if p.Charges[key] == "" {
		p.Charges[key] = "ch_" + strconv.Itoa(len(p.Charges)+1)
	}
	return evoke.JSON(map[string]string{"id": p.Charges[key]}), evoke.SetStateJSON("provider", p)
}

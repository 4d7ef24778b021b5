// Command charge has an order paid by a payment provider, which may be slow, down, or say no.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(evoke.Typed(charge)) }

func main() {}

// order is the data of an event on orders.placed.
type order struct {
	Order    string `json:"order"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
}

// answer is what the provider says.
type answer struct {
	ID     string `json:"id"`
	Reason string `json:"reason"` // of a 402
}

// charge decides by the answer what becomes of the order. No answer, and "not now", are errors: the event is tried again, later each time, and after the last attempt
// it is a dead letter. The provider does not charge twice for that: every attempt has the same Idempotency-Key.
func charge(ctx context.Context, _ *evoke.Event, o order) (evoke.Reply, error) {
	status, a, err := ask(ctx, o)
	switch {
	case err != nil:
		return evoke.NoReply(), err
	case status == 200 || status == 201:
		return evoke.NoReply(), tell("paid", o, map[string]string{"order": o.Order, "charge": a.ID})
	case status == 402: // an answer, if not the one that was hoped for
		return evoke.NoReply(), tell("declined", o, map[string]string{"order": o.Order, "reason": a.Reason})
	case status == 429 || status >= 500: // a Retry-After of the provider is heeded
		return evoke.NoReply(), fmt.Errorf("the payment provider answered %d", status)
	default: // it does not like what we ask, and will not like it the next time
		return evoke.NoReply(), evoke.Rejectf("the payment provider refused the request with %d", status)
	}
}

func ask(ctx context.Context, o order) (status int, a answer, err error) {
	key, ok, err := evoke.Secret("payments_key")
	if err != nil {
		return 0, a, err
	}
	if !ok {
		return 0, a, errors.New("the secret payments_key is not set")
	}
	body, err := json.Marshal(map[string]any{"reference": o.Order, "cents": o.Cents, "currency": "EUR"})
	if err != nil {
		return 0, a, err
	}
	res, err := evoke.Fetch(ctx, evoke.FetchRequest{
		Method: "POST", URL: os.Getenv("PAYMENTS_URL") + "/charges", Body: body,
		Headers: [][2]string{{"authorization", "Bearer " + key}, {"content-type", "application/json"}},
	})
	if err != nil {
		return 0, a, err
	}
	if res.Status < 300 || res.Status == 402 {
		if err := json.Unmarshal(res.Body, &a); err != nil {
			return 0, a, fmt.Errorf("the payment provider answered %d with a body that is no JSON", res.Status)
		}
	}
	return res.Status, a, nil
}

func tell(what string, o order, data map[string]string) error {
	e := evoke.NewEvent("com.example.order."+what, data)
	e.Subject = o.Order
	return evoke.Emit("orders."+what, e)
}

// Command access decides who may use the product, from what happens to their bills.
package main

import (
	"context"
	"time"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(decide) }

func main() {}

// account is the state of a customer.
type account struct {
	Status string `json:"status"`
	// Event is the last one that was heeded, and AsOf when it happened.
	Event string    `json:"event"`
	AsOf  time.Time `json:"asOf"`
}

var statusAfter = map[string]string{
	"com.example.billing.paid":           "active",
	"com.example.billing.payment-failed": "past-due",
	"com.example.billing.cancelled":      "ended",
}

// changed is the data of an event on access.changed.
type changed struct {
	Customer string `json:"customer"`
	Status   string `json:"status"`
	Was      string `json:"was"`
}

func decide(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	status, known := statusAfter[e.Type]
	if !known {
		return evoke.NoReply(), evoke.Rejectf("nobody knows what %s means for a customer", e.Type)
	}
	before := account{Status: "none"}
	if _, err := evoke.GetStateJSON("account", &before); err != nil {
		return evoke.NoReply(), err
	}
	// Events of a topic come in order, but Stripe promises none for its deliveries, and repeats them for days: what is older than what is known changes nothing.
	if e.ID == before.Event || e.Time.Before(before.AsOf) {
		evoke.Infof("%s of %s is known or too old", e.ID, e.Subject)
		return evoke.NoReply(), nil
	}
	if err := evoke.SetStateJSON("account", account{Status: status, Event: e.ID, AsOf: e.Time}); err != nil {
		return evoke.NoReply(), err
	}
	if status == before.Status {
		return evoke.NoReply(), nil
	}
	out := evoke.NewEvent("com.example.access.changed", changed{Customer: e.Subject, Status: status, Was: before.Status})
	out.Subject = e.Subject
	return evoke.NoReply(), evoke.Emit("access.changed", out)
}

// Command receive turns deliveries of Stripe into events of our own. That they are Stripe's has been checked before it runs.
package main

import (
	"context"
	"time"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(evoke.Typed(receive)) }

func main() {}

// delivery is what the events of Stripe have in common.
type delivery struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Created int64  `json:"created"` // Unix seconds
	Data    struct {
		Object struct {
			ID       string `json:"id"`
			Customer string `json:"customer"`
		} `json:"object"`
	} `json:"data"`
}

// ours are the events that matter here, under the names that the rest of the system knows: it is not to depend on Stripe's.
var ours = map[string]string{
	"invoice.paid":                  "com.example.billing.paid",
	"invoice.payment_failed":        "com.example.billing.payment-failed",
	"customer.subscription.deleted": "com.example.billing.cancelled",
}

// change is the data of an event on billing.events.
type change struct {
	Customer  string `json:"customer"`
	Reference string `json:"reference"` // the invoice or the subscription
}

func receive(_ context.Context, _ *evoke.Event, d delivery) (evoke.Reply, error) {
	typ, matters := ours[d.Type]
	if !matters {
		evoke.Debugf("nothing to do for %s", d.Type)
		return evoke.NoReply(), nil
	}
	customer := d.Data.Object.Customer
	if customer == "" {
		return evoke.NoReply(), evoke.Rejectf("%s %s has no customer", d.Type, d.ID)
	}
	out := evoke.NewEvent(typ, change{Customer: customer, Reference: d.Data.Object.ID})
	out.ID = d.ID          // a delivery that comes again later is the same event
	out.Subject = customer // the key: order and state are per customer
	out.Source = "/stripe"
	out.Time = time.Unix(d.Created, 0).UTC()
	return evoke.NoReply(), evoke.Emit("billing.events", out)
}

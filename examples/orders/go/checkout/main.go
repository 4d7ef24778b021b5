// Command checkout takes orders. It answers as soon as the order is kept; paying for it takes its time and comes later.
package main

import (
	"context"
	"fmt"
	"reflect"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(checkout) }

func main() {}

type order struct {
	Customer string `json:"customer"`
	Items    []item `json:"items"`
}

type item struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int    `json:"cents"` // of one
}

// placed is the data of an event on orders.placed, and what the client gets.
type placed struct {
	Order    string `json:"order"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
}

const (
	maxItems    = 100
	maxQuantity = 1_000
	maxCents    = 1_000_000
)

// problem is what is wrong with an order, "" when nothing is.
func (o order) problem() string {
	switch {
	case o.Customer == "":
		return "customer is missing"
	case len(o.Items) == 0 || len(o.Items) > maxItems:
		return fmt.Sprintf("an order has from 1 to %d items, not %d", maxItems, len(o.Items))
	}
	for i, it := range o.Items {
		switch {
		case it.SKU == "":
			return fmt.Sprintf("items[%d].sku is missing", i)
		case it.Quantity < 1 || it.Quantity > maxQuantity:
			return fmt.Sprintf("items[%d].quantity must be from 1 to %d", i, maxQuantity)
		case it.Cents < 0 || it.Cents > maxCents:
			return fmt.Sprintf("items[%d].cents must be from 0 to %d", i, maxCents)
		}
	}
	return ""
}

func (o order) total() (cents int) {
	for _, it := range o.Items {
		cents += it.Quantity * it.Cents
	}
	return cents
}

func checkout(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	var o order
	if err := e.Decode(&o); err != nil {
		return refuse(400, "the body is no JSON of an order"), nil
	}
	if problem := o.problem(); problem != "" {
		return refuse(422, problem), nil
	}
	id := e.Request().Params["id"]
	p := placed{Order: id, Customer: o.Customer, Cents: o.total()}

	// The same order again is answered as the first time, and is not placed twice.
	var before order
	switch known, err := evoke.GetStateJSON("order", &before); {
	case err != nil:
		return evoke.NoReply(), err
	case known && reflect.DeepEqual(before, o):
		return evoke.JSON(p), nil
	case known:
		return refuse(409, "order "+id+" is another one; choose a new id"), nil
	}
	if err := evoke.SetStateJSON("order", o); err != nil {
		return evoke.NoReply(), err
	}
	out := evoke.NewEvent("com.example.order.placed", p)
	out.Subject = id
	if err := evoke.Emit("orders.placed", out); err != nil {
		return evoke.NoReply(), err
	}
	return evoke.JSON(p).WithStatus(202), nil
}

func refuse(status int, problem string) evoke.Reply {
	return evoke.JSON(map[string]string{"error": problem}).WithStatus(status)
}

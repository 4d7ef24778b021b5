//go:build !wasip1

package evoke_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evoketest"
)

// A function counts orders per customer, which is the key of the event, and tells when one is the hundredth.
func Example() {
	type order struct {
		Total int `json:"total"`
	}
	count := func(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
		var o order
		if err := e.Decode(&o); err != nil {
			return evoke.NoReply(), evoke.Reject(err) // it will not get better: to the dead letters
		}
		n := 0
		if _, err := evoke.GetStateJSON("orders", &n); err != nil {
			return evoke.NoReply(), err // tried again
		}
		n++
		if err := evoke.SetStateJSON("orders", n); err != nil {
			return evoke.NoReply(), err
		}
		if n%100 == 0 {
			jubilee := evoke.NewEvent("com.shop.jubilee", map[string]int{"orders": n})
			jubilee.Subject = e.Subject
			if err := evoke.Emit("shop.jubilees", jubilee); err != nil {
				return evoke.NoReply(), err
			}
		}
		return evoke.JSON(map[string]int{"orders": n}), nil
	}

	// In the function it is func init() { evoke.Handle(count) }. Here is its test:
	rt := evoketest.Runtime{State: map[string]map[string][]byte{"ada": {"orders": []byte("99")}}}
	e := evoke.NewEvent("com.shop.order", order{Total: 12})
	e.Subject = "ada"
	got := rt.Deliver(count, e)
	fmt.Println(got.Verdict, string(got.Data))
	for _, out := range got.Emitted {
		fmt.Println(out.Topic, out.Event.Type, string(out.Event.Data()))
	}
	// Output:
	// done {"orders":100}
	// shop.jubilees com.shop.jubilee {"orders":100}
}

// A function asks for a rate. In its test a handler of net/http is whoever it asks.
func ExampleFetch() {
	convert := func(ctx context.Context, e *evoke.Event) (evoke.Reply, error) {
		res, err := evoke.Fetch(ctx, evoke.FetchRequest{URL: "https://rates.example/eur-usd", Timeout: 2 * time.Second})
		if err != nil {
			return evoke.NoReply(), err // tried again
		}
		if res.Status != 200 {
			return evoke.NoReply(), fmt.Errorf("the rate: status %d", res.Status) // when it is 429 or 503, after the time that the host asks for
		}
		return evoke.Text("1 EUR = " + string(res.Body) + " USD"), nil
	}

	rt := evoketest.Runtime{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "1.17") })}
	got := rt.Deliver(convert, evoke.NewEvent("ask", nil))
	fmt.Println(got.Verdict, string(got.Data))
	// Output: done 1 EUR = 1.17 USD
}

// Command ledger adds the sales of a shop up, and sends the sum when a report is due.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(handle) }

func main() {}

// sums is the state of a shop: what was sold since its last report.
type sums struct {
	Sales int `json:"sales"`
	Cents int `json:"cents"`
}

// daily is what a report says.
type daily struct {
	Shop  string `json:"shop"`
	Until string `json:"until"`
	sums
}

func handle(ctx context.Context, e *evoke.Event) (evoke.Reply, error) {
	var s sums
	if _, err := evoke.GetStateJSON("sums", &s); err != nil {
		return evoke.NoReply(), err
	}
	switch e.Type {
	case "com.example.sale":
		return evoke.NoReply(), s.add(e)
	case "com.example.report.due":
		return evoke.NoReply(), s.report(ctx, e)
	}
	return evoke.NoReply(), evoke.Rejectf("a ledger has no page for %s", e.Type)
}

func (s *sums) add(e *evoke.Event) error {
	var sale struct {
		Cents *int `json:"cents"`
	}
	if err := e.Decode(&sale); err != nil || sale.Cents == nil {
		return evoke.Rejectf("a sale needs cents, a whole number")
	}
	s.Sales++
	s.Cents += *sale.Cents
	return evoke.SetStateJSON("sums", s)
}

// report sends the sums and begins anew. When it fails nothing has begun anew: the event comes again, the sales behind it wait, and the receiver knows by the
// Idempotency-Key whether it has seen the report.
func (s *sums) report(ctx context.Context, e *evoke.Event) error {
	var due struct {
		Until string `json:"until"`
	}
	if err := e.Decode(&due); err != nil {
		return evoke.Reject(err)
	}
	token, ok, err := evoke.Secret("report_token")
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the secret report_token is not set")
	}
	body, err := json.Marshal(daily{Shop: e.Subject, Until: due.Until, sums: *s})
	if err != nil {
		return err
	}
	res, err := evoke.Fetch(ctx, evoke.FetchRequest{
		Method: "POST", URL: os.Getenv("REPORT_URL") + "/daily", Body: body,
		Headers: [][2]string{{"authorization", "Bearer " + token}, {"content-type", "application/json"}},
	})
	if err != nil {
		return err
	}
	if res.Status >= 300 {
		return fmt.Errorf("the report was answered %d", res.Status)
	}
	return evoke.DeleteState("sums")
}

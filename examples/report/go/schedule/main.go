// Command schedule makes one event for each shop of the one that the clock makes.
package main

import (
	"context"
	"os"
	"strings"
	"time"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(evoke.Typed(schedule)) }

func main() {}

// firing is what the event of a cron trigger says.
type firing struct {
	Due string `json:"due"` // "" in a run by hand: fnctl trigger run
}

// due is the data of an event on shop.reports.
type due struct {
	Until string `json:"until"`
}

func schedule(_ context.Context, e *evoke.Event, f firing) (evoke.Reply, error) {
	d := due{Until: f.Due}
	if d.Until == "" {
		d.Until = e.Time.Format(time.RFC3339)
	}
	for shop := range strings.SplitSeq(os.Getenv("SHOPS"), ",") {
		out := evoke.NewEvent("com.example.report.due", d)
		out.Subject = shop
		if err := evoke.Emit("shop.reports", out); err != nil {
			return evoke.NoReply(), err
		}
	}
	return evoke.NoReply(), nil
}

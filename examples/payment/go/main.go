// Command payment obeys the commands for a payment and tells what has become of it.
package main

import (
	"context"
	"slices"
	"strings"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(evoke.Typed(handle)) }

func main() {}

// remembered is how many commands of a payment are known when they come again. The runtime itself knows them for ten minutes.
const remembered = 20

func handle(_ context.Context, e *evoke.Event, c command) (evoke.Reply, error) {
	p := payment{Status: none}
	if _, err := evoke.GetStateJSON("payment", &p); err != nil {
		return evoke.NoReply(), err
	}
	if slices.Contains(p.Last, e.ID) {
		evoke.Infof("command %s was obeyed before", e.ID)
		return evoke.NoReply(), nil
	}
	if err := p.obey(strings.TrimPrefix(e.Type, "com.example.payment."), c); err != nil {
		return evoke.NoReply(), evoke.Reject(err) // it would be as wrong the next time: a dead letter, and the key goes on
	}
	if p.Last = append(p.Last, e.ID); len(p.Last) > remembered {
		p.Last = p.Last[1:]
	}
	if err := evoke.SetStateJSON("payment", p); err != nil {
		return evoke.NoReply(), err
	}
	p.Last = nil
	out := evoke.NewEvent("com.example.payment."+string(p.Status), p)
	out.Subject = e.Subject
	return evoke.NoReply(), evoke.Emit("payments.events", out)
}

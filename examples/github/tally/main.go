// Command tally counts the events of each repository by type, and tells the new count after each.
package main

import (
	"context"

	"github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(tally) }

func main() {}

// summary is kept in the state of the repository and emitted after each event.
type summary struct {
	Repository string         `json:"repository"`
	Total      int            `json:"total"`
	ByType     map[string]int `json:"byType"`
}

func tally(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	s := summary{Repository: e.Subject, ByType: map[string]int{}}
	if _, err := evoke.GetStateJSON("summary", &s); err != nil {
		return evoke.NoReply(), err
	}
	s.Total++
	s.ByType[e.Type]++
	if err := evoke.SetStateJSON("summary", s); err != nil {
		return evoke.NoReply(), err
	}
	out := evoke.NewEvent("dev.evoke.example.summary", s)
	out.Subject = e.Subject
	return evoke.NoReply(), evoke.Emit("github.summaries", out)
}

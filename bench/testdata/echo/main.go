// Command echo answers with what it got: the smallest function there is, so that what is left is the cost of the runtime.
package main

import (
	"context"

	"github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(echo) }

func main() {}

func echo(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	return evoke.Reply{ContentType: "application/octet-stream", Data: e.Data()}, nil
}

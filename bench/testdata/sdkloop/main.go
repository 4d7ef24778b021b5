// Command sdkloop is what command loop is, by way of the SDK.
package main

import (
	"context"

	"github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(loop) }

func main() {}

func loop(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	data := e.Data()
	for i := range data {
		data[i]++
	}
	return evoke.Reply{Data: data}, nil
}

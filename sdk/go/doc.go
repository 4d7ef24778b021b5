// Package evoke is the SDK for functions in Go.
//
// A function is a package main that registers a handler in init. The main function stays empty; it is never called.
//
//	package main
//
//	import (
//		"context"
//
//		"github.com/evoke-run/evoke/sdk/go"
//	)
//
//	func init() { evoke.Handle(greet) }
//
//	func main() {}
//
//	func greet(ctx context.Context, e *evoke.Event) (evoke.Reply, error) {
//		return evoke.Text("hello " + string(e.Data())), nil
//	}
//
// fnctl builds it: it needs the Go toolchain and nothing else, no go.mod and no network. By hand it is
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w' -o greet.wasm .
//
// [Typed] hands over the data as a value of the handler's own type; package evokehttp makes a function of an http.Handler.
//
// # What the error of a handler means
//
// No error is done: the reply is sent, and the emitted events and the state become real, together. Any error is failed: all of that is dropped, and
// the event is tried again by the policy of its trigger. [RetryAfter] says when. [Reject] says that trying again is of no use: the event becomes a
// dead letter at once. A panic ends the sandbox and counts as failed; its value and stack are in the log.
//
// Events of a sandbox are handled one after the other, each in a fresh copy of memory: what a handler puts into a global variable is gone at the next
// event. Keep it in state ([SetState]) or make it in init.
//
// # Tests
//
// Compiled for any other system than wasip1 the package talks to package evoketest, which runs a handler on an event and records what it did.
package evoke

// Command audit writes down who did what, and where.
package main

import (
	"context"

	"github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(audit) }

func main() {}

// payload is the part of GitHub's payloads that matters here.
type payload struct {
	Action     string
	Sender     struct{ Login string }
	Ref        string
	HeadCommit *commit `json:"head_commit"`
}

type commit struct{ ID, Message string }

// record is one line of the audit log.
type record struct {
	Event   string `json:"event"` // id
	Type    string `json:"type"`
	Subject string `json:"subject"`
	Actor   string `json:"actor"`
	What    string `json:"what"`
}

func audit(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	var p payload
	if err := e.Decode(&p); err != nil {
		return evoke.NoReply(), evoke.Reject(err)
	}
	out := evoke.NewEvent("dev.evoke.example.audit", record{
		Event: e.ID, Type: e.Type, Subject: e.Subject, Actor: p.Sender.Login, What: what(e.Type, p),
	})
	out.Subject = e.Subject
	return evoke.NoReply(), evoke.Emit("github.audit", out)
}

func what(typ string, p payload) string {
	if typ != "com.github.push" {
		return p.Action
	}
	// The bug: a push that deletes a branch has no head commit.
	return "pushed " + p.HeadCommit.ID + " to " + p.Ref
}

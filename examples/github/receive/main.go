// Command receive is the URL that GitHub calls. It turns each webhook into a CloudEvent.
package main

import (
	"context"
	"encoding/json"

	"github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(receive) }

func main() {}

// payload is what most of GitHub's payloads have in common.
type payload struct {
	Action     string
	Repository struct {
		FullName string `json:"full_name"`
	}
	Organization struct{ Login string }
}

func receive(_ context.Context, e *evoke.Event) (evoke.Reply, error) {
	req := e.Request()
	if req == nil {
		return evoke.NoReply(), evoke.Rejectf("event %q is no HTTP request", e.ID)
	}
	kind, delivery := req.Header("X-GitHub-Event"), req.Header("X-GitHub-Delivery")
	if kind == "" || delivery == "" {
		return evoke.Text("headers X-GitHub-Event and X-GitHub-Delivery are required; is it GitHub that calls?\n").WithStatus(400), nil
	}
	var p payload
	if err := json.Unmarshal(e.Data(), &p); err != nil {
		return evoke.Text("the payload is not JSON: " + err.Error() + "; set the webhook's content type to application/json\n").WithStatus(400), nil
	}

	out := &evoke.Event{ID: delivery, Type: "com.github." + kind, Subject: subject(p), Source: "https://github.com"}
	if p.Action != "" {
		out.Type += "." + p.Action
	}
	if out.Subject != "github" {
		out.Source += "/" + out.Subject
	}
	out.SetData("application/json", e.Data())
	if err := evoke.Emit("github.events", out); err != nil {
		return evoke.NoReply(), err
	}
	return evoke.JSON(map[string]string{"id": out.ID, "type": out.Type, "subject": out.Subject}).WithStatus(202), nil
}

// subject is what the event is about: a repository, else an organization, else GitHub.
func subject(p payload) string {
	switch {
	case p.Repository.FullName != "":
		return p.Repository.FullName
	case p.Organization.Login != "":
		return p.Organization.Login
	default:
		return "github"
	}
}

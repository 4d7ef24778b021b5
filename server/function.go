package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/scheduler"
	"github.com/evoke-run/evoke/sdk/abi"
)

// callFunction runs the function that the path names.
func (s *Server) callFunction(c echo.Context) error {
	return s.serve(c, &way{s: s, r: c.Request(), namespace: namespace(c), named: param(c, "ns") != "", function: param(c, "function")})
}

// serve runs a function for one request and answers with its reply.
func (s *Server) serve(c echo.Context, w *way) error {
	if done, err := s.preflight(c, w); done || err != nil {
		return err
	}
	to, err := w.target(c.Request().Method, c.Response().Header())
	if err != nil {
		return err
	}
	to.share(c.Response().Header(), c.Request())
	who, err := s.authenticate(c.Request(), entrance{namespace: to.function.Namespace, function: to.function.Name, auth: to.http.Auth})
	if err != nil {
		return err
	}
	body, release, err := s.bodies.read(c, maxBody)
	defer release()
	if err != nil {
		return err
	}
	data := body
	if encodingOf(c.Request().Header) != notCloudEvents { // any other body is for the function as it came
		var release func()
		data, release, err = s.bodies.plain(c.Request().Header, body, maxBody)
		defer release()
		if err != nil {
			return err
		}
	}
	call, err := s.newCall(c.Request(), to, who, data)
	if err != nil {
		return err
	}
	if call.Once, err = onceOf(c.Request(), who, body); err != nil {
		return err
	}
	if prefersAsync(c.Request().Header) {
		return s.acceptCall(c, to, who, call)
	}
	if err := s.refuseDelay(c.Request().Header, &call.Event); err != nil {
		return err
	}
	if err := s.refuseExpired(&call.Event); err != nil {
		return err
	}
	reply, err := s.o.Scheduler.Call(c.Request().Context(), call)
	if err != nil {
		return callError(call.Function, err)
	}
	if err := outcome(call.Function, reply); err != nil {
		return err
	}
	return writeReply(c, to, call, reply)
}

func (s *Server) newCall(r *http.Request, to target, who auth.Identity, body []byte) (scheduler.Call, error) {
	call := scheduler.Call{Namespace: to.function.Namespace, Function: to.function.Name, Trigger: to.trigger.Name}
	var err error
	if encodingOf(r.Header) == notCloudEvents {
		s.forward(r)
		call.Event = s.requestEvent(r, to, body)
	} else {
		call.Event, err = decodeEvent(r.Header, body)
	}
	if err != nil {
		return scheduler.Call{}, err
	}
	setIdentity(&call.Event, who)
	call.Event.CarryTrace(traceOf(r.Header))
	call.Key = requestKey(r, to, &call.Event)
	if call.Key == "" && call.Event.Key() == "" && to.function.Spec.Allow.State && to.http.Key != "" {
		return scheduler.Call{}, refuse(errNoKey, "send it, or an Evoke-Key header", "function %q keeps state by %s, and the request has no such value",
			to.function.Name, to.http.Key)
	}
	if call.Key != "" { // so that the guest sees the key, and an inbox orders by it
		call.Event.SetExtension(event.Extension{Name: "partitionkey", Value: call.Key})
	}
	err = checkAttributes(&call.Event)
	if errors.Is(err, errInvalidEvent) && call.Event.Request != nil { // its client knows nothing of events
		err = refuse(errInvalid, "correct the Content-Type of the request, or what its key is taken from", "no event can be made of the request: %v", err)
	}
	return call, err
}

// checkAttributes leaves the data out: the body of a plain request may be longer than an event that is stored.
func checkAttributes(e *event.Event) error {
	head := *e
	head.Data = nil
	return checkEvent(&head)
}

// callError is for calls that ended without a verdict.
func callError(function string, err error) error {
	switch {
	case errors.As(err, new(*scheduler.ThrottledError)):
		early, _ := errors.AsType[*scheduler.ThrottledError](err)
		return &fault{err: err, detail: err.Error(), after: max(time.Second, time.Until(early.Until))}
	case errors.Is(err, scheduler.ErrBusy):
		return refuse(err, "", "function %q has as many calls as it may have at once", function)
	case errors.Is(err, scheduler.ErrUnavailable):
		return refuse(scheduler.ErrUnavailable, "", "the module of function %q cannot be loaded", function)
	case errors.Is(err, scheduler.ErrInProgress):
		return refuse(err, "", "a call of function %q with this Idempotency-Key still runs", function)
	case errors.Is(err, scheduler.ErrOtherRequest):
		return refuse(err, "", "function %q was called with this Idempotency-Key before, by another request", function)
	case errors.Is(err, scheduler.ErrReplyTooLong):
		return refuse(scheduler.ErrReplyTooLong, "", "function %q ran, and nothing of it was kept: %v", function, err)
	case errors.Is(err, scheduler.ErrConflict):
		return refuse(err, "", "function %q ran, but others kept changing the state of its key; nothing of it was kept", function)
	}
	if errors.Is(err, scheduler.ErrCanceled) {
		return refuse(scheduler.ErrCanceled, "", "%v", err)
	}
	return fmt.Errorf("call function %q: %w", function, err)
}

// outcome is nil for a reply with verdict done. What a function says when it fails is for its logs; only a rejection is for the caller.
func outcome(function string, r scheduler.Reply) error {
	if r.Verdict == abi.Done {
		return nil
	}
	f := &fault{invocation: r.Invocation, next: "\"fnctl logs " + function + " --invocation " + r.Invocation + "\" says why"}
	if r.RetryAfter > 0 {
		f.after = r.RetryAfter
	}
	switch r.Class {
	case "deadline":
		f.err, f.detail = errDeadline, fmt.Sprintf("function %q did not end before its deadline", function)
	case "trap":
		f.err, f.detail = errTrapped, fmt.Sprintf("function %q trapped", function)
	case "memory":
		f.err, f.detail = errTrapped, fmt.Sprintf("function %q needed more memory than it may have", function)
	case "exit":
		f.err, f.detail = errTrapped, fmt.Sprintf("function %q exited", function)
	case "init":
		f.err, f.detail = errTrapped, fmt.Sprintf("function %q could not start", function)
	case "canceled":
		f.err, f.detail = context.Canceled, fmt.Sprintf("function %q was stopped", function)
	case "internal":
		return fmt.Errorf("function %q, invocation %s: %s", function, r.Invocation, r.Error)
	default:
		f.err, f.detail = errFailed, fmt.Sprintf("function %q failed", function)
	}
	if r.Verdict == abi.Rejected {
		f.err, f.detail, f.next = errRejected, rejection(function, r.Error), ""
	}
	return f
}

func rejection(function, reason string) string {
	if reason == "" {
		return fmt.Sprintf("function %q rejected the event", function)
	}
	return fmt.Sprintf("function %q rejected the event: %s", function, reason)
}

// acceptCall stores the event in the function's inbox and answers with the id that its invocation will have.
func (s *Server) acceptCall(c echo.Context, to target, who auth.Identity, call scheduler.Call) error {
	acceptOnce(&call, who)
	events := []event.Event{call.Event}
	if err := s.delay(c.Request().Header, events); err != nil {
		return err
	}
	invocation, at, err := s.enqueue(c.Request().Context(), to.function, events[0])
	if err != nil {
		return err
	}
	if err := s.checkRepeated(&call, at); err != nil {
		return err
	}
	c.Response().Header().Set("Preference-Applied", "respond-async")
	c.Response().Header().Set("Evoke-Invocation", invocation)
	return c.JSON(http.StatusAccepted, api.InvokeReply{Invocation: invocation})
}

// enqueue publishes to the inbox of a function.
func (s *Server) enqueue(ctx context.Context, f *api.Function, e event.Event) (invocation string, at partition.Stored, err error) {
	if err := checkEvent(&e); err != nil {
		return "", at, err
	}
	for _, t := range f.Triggers {
		if t.Kind != "inbox" {
			continue
		}
		stored, err := s.o.Table.Publish(ctx, f.Namespace, "_inbox."+f.Name, []event.Event{e})
		if err != nil {
			return "", at, fmt.Errorf("store the event for function %q: %w", f.Name, err)
		}
		at = stored[0]
		return partition.ID{Partition: at.Partition, Offset: at.Offset, Trigger: t.ID}.String(), at, nil
	}
	return "", at, fmt.Errorf("function %q has no inbox trigger", f.Name)
}

// prefersAsync looks for respond-async in the Prefer headers, RFC 7240.
func prefersAsync(h http.Header) bool {
	for _, line := range h.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
				return true
			}
		}
	}
	return false
}

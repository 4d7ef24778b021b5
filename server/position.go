package server

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/scheduler"
)

// replayWait is how long a replay is waited for before it is answered as one that goes on.
const replayWait = 30 * time.Second

func (s *Server) pauseTrigger(c echo.Context) error   { return s.setTriggerPaused(c, true) }
func (s *Server) resumeTrigger(c echo.Context) error  { return s.setTriggerPaused(c, false) }
func (s *Server) pauseFunction(c echo.Context) error  { return s.setFunctionPaused(c, true) }
func (s *Server) resumeFunction(c echo.Context) error { return s.setFunctionPaused(c, false) }

func (s *Server) setTriggerPaused(c echo.Context, paused bool) error {
	t, err := s.findTopicTrigger(namespace(c), param(c, "name"))
	if err != nil {
		return err
	}
	return s.setPaused(c, t.Function, t.Name, paused)
}

func (s *Server) setFunctionPaused(c echo.Context, paused bool) error {
	f, err := s.findFunction(c)
	if err != nil {
		return err
	}
	return s.setPaused(c, f.Name, "", paused)
}

// findTopicTrigger refuses those that keep no events.
func (s *Server) findTopicTrigger(ns, name string) (*api.Trigger, error) {
	t, err := s.findTrigger(ns, name)
	if err != nil {
		return nil, err
	}
	if t.Topic == nil {
		return nil, refuse(errInvalid, "name a trigger of a topic: \"fnctl ls triggers\" shows what there is",
			"trigger %q is of kind %s: its events do not wait in a topic", name, t.Kind)
	}
	return t, nil
}

// setPaused answers when the pause, or its end, is in force.
func (s *Server) setPaused(c echo.Context, function, trigger string, paused bool) error {
	ctx := c.Request().Context()
	changed, revision, err := s.o.Registry.SetPaused(ctx, namespace(c), function, trigger, paused)
	if err != nil {
		return err
	}
	if err := s.o.Scheduler.WaitInForce(ctx, revision); err != nil {
		return fmt.Errorf("it is written, but wait until that is in force: %w", err)
	}
	f, ok := s.o.Registry.Snapshot().Function(namespace(c), function)
	if !ok {
		return refuse(errUnknownFunction, "", "function %q has just been removed", function)
	}
	out := api.Paused{Triggers: []api.PausedTrigger{}}
	for _, t := range f.Triggers {
		if t.Topic == nil || trigger != "" && t.Name != trigger {
			continue
		}
		out.Triggers = append(out.Triggers, api.PausedTrigger{
			Name: t.Name, PausedSince: t.PausedSince, Changed: slices.Contains(changed, t.Name), Pending: s.o.Table.Stats(t.ID).Pending,
		})
	}
	return c.JSON(http.StatusOK, out)
}

func (s *Server) replay(c echo.Context) error {
	t, err := s.findTopicTrigger(namespace(c), param(c, "name"))
	if err != nil {
		return err
	}
	var req api.ReplayRequest
	if err := s.readJSON(c, &req); err != nil {
		return err
	}
	out := api.Replayed{Trigger: t.Name, DryRun: req.DryRun}
	r, err := s.replayRange(t, req, &out)
	if err != nil {
		return err
	}
	if req.DryRun {
		return s.countReplay(c, t, r, out)
	}
	ctx := c.Request().Context()
	id, err := s.beginReplay(ctx, t, out.From, out.To)
	if err != nil {
		return err
	}
	if out.Events, out.Finished, err = s.awaitReplay(ctx, t.ID, id); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, out)
}

// beginReplay returns when the replay is in force. A second one at the same time finds the first and is refused, so that the numbers of each are its own.
func (s *Server) beginReplay(ctx context.Context, t *api.Trigger, from, to string) (id uint64, err error) {
	select {
	case s.replays <- struct{}{}:
		defer func() { <-s.replays }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if n := s.o.Table.Stats(t.ID).CatchingUp; n > 0 {
		return 0, refuse(errReplaying, "", "trigger %q still looks through stored events in %d partitions", t.Name, n)
	}
	id, revision, err := s.o.Registry.Replay(ctx, t.Namespace, t.Function, t.Name, from, to)
	if err != nil {
		return 0, err
	}
	if err := s.o.Scheduler.WaitInForce(ctx, revision); err != nil {
		return 0, fmt.Errorf("the replay is asked for, but wait until it is in force: %w", err)
	}
	return id, nil
}

// replayRange reads the positions of a request and writes what they resolve to into out.
func (s *Server) replayRange(t *api.Trigger, req api.ReplayRequest, out *api.Replayed) (partition.Range, error) {
	now := s.now()
	for _, p := range []struct {
		name, text string
		resolved   *string
	}{{"from", req.From, &out.From}, {"to", req.To, &out.To}} {
		at, err := api.ParsePosition(p.text)
		if err != nil {
			return partition.Range{}, refuse(errInvalid, "", "%s: %v", p.name, err)
		}
		if *p.resolved = at.Resolve(now); *p.resolved == "" && p.name == "from" {
			return partition.Range{}, refuse(errInvalid, "say from where, for instance \"from\": \"-2h\"", "a replay needs a beginning in the past, not %q", p.text)
		}
		if at.Earliest && p.name == "to" {
			return partition.Range{}, refuse(errInvalid, "", "to: a replay up to \"earliest\" has no events")
		}
		if err := s.checkToken(p.name, at.Token, t.Namespace, t.Topic.Name); err != nil {
			return partition.Range{}, err
		}
	}
	r, err := scheduler.Range(out.From, out.To)
	if err != nil {
		return r, err
	}
	if r.Until > 0 && r.Since >= r.Until {
		return r, refuse(errInvalid, "", "the replay begins at %s and ends at %s, which is not later", out.From, out.To)
	}
	return r, s.o.Table.CheckRange(t.Namespace, t.Topic.Name, r)
}

// checkToken refuses a token that is of another topic or data directory. what names it; nil is no token.
func (s *Server) checkToken(what string, token *api.Token, ns, pattern string) error {
	if token == nil {
		return nil
	}
	if token.Directory != s.o.Table.Directory() {
		return refuse(errInvalid, "take one from this server: fnctl topic tail TOPIC -o wide", "%s: the token is of another data directory; its offsets mean nothing here", what)
	}
	p, err := filter.ParsePattern(pattern)
	if err != nil {
		return refuse(errInvalid, "", "%s: %v", what, err)
	}
	if token.Namespace != ns || !p.Match(token.Topic) {
		return refuse(errInvalid, "take one of the trigger's topic: fnctl topic tail TOPIC -o wide",
			"%s: the token is of topic %q in namespace %q, the trigger is bound to %q in %q", what, token.Topic, token.Namespace, pattern, ns)
	}
	if err := s.o.Table.CheckOffsets(token.Offsets); err != nil {
		return refuse(errInvalid, "", "%s: the token does not fit: %v", what, err)
	}
	return nil
}

// checkStarts looks at the tokens with which new triggers of a deploy start; those of triggers that exist do nothing.
func (s *Server) checkStarts(ns string, app api.App) error {
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		f, _ := s.o.Registry.Snapshot().Function(ns, name)
		for i, spec := range app.Functions[name].Triggers {
			if spec.Topic == nil || f != nil && hasTopic(f.Triggers, *spec.Topic) {
				continue
			}
			at, err := api.ParsePosition(spec.Topic.Start)
			if err != nil || at.Token == nil {
				continue // what is wrong, the registry says with all else
			}
			what := fmt.Sprintf("functions.%s.on[%d].topic.start", name, i)
			if err := s.checkToken(what, at.Token, ns, spec.Topic.Name); err != nil {
				return err
			}
			if err := s.o.Table.CheckRange(ns, spec.Topic.Name, partition.Range{From: at.Token.Offsets}); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasTopic(triggers []api.Trigger, spec api.TopicTrigger) bool {
	return slices.ContainsFunc(triggers, func(t api.Trigger) bool {
		return t.Topic != nil && t.Topic.Name == spec.Name && t.Topic.Start == spec.Start
	})
}

func (s *Server) countReplay(c echo.Context, t *api.Trigger, r partition.Range, out api.Replayed) error {
	def, err := scheduler.TopicTrigger(t)
	if err != nil {
		return err
	}
	n, err := s.o.Table.CountReplay(def, r)
	if err != nil {
		return fmt.Errorf("count what a replay of %s would hand out: %w", t.Name, err)
	}
	out.Events, out.Pending, out.DeadLetters, out.Finished = n.Events, n.Pending, n.DeadLetters, true
	return c.JSON(http.StatusOK, out)
}

// awaitReplay waits for the end of a replay, but not for ever.
func (s *Server) awaitReplay(ctx context.Context, trigger, id uint64) (events int, finished bool, err error) {
	enough := time.NewTimer(replayWait)
	defer enough.Stop()
	for {
		changed := s.o.Table.Changed()
		if events, finished = s.o.Table.Replayed(trigger, id); finished {
			return events, true, nil
		}
		select {
		case <-changed:
		case <-enough.C:
			return events, false, nil
		case <-ctx.Done():
			return 0, false, fmt.Errorf("the replay goes on; wait for its end: %w", context.Cause(ctx))
		}
	}
}

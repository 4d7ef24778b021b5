package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/partition"
)

// standardLimit is how many of the newest entries a stream begins with, and a list has, when nobody says.
const standardLimit = 100

func (s *Server) topics(c echo.Context) error {
	return c.JSON(http.StatusOK, list(s.o.Registry.Snapshot().Topics(namespace(c))))
}

func (s *Server) topic(c echo.Context) error {
	t, err := s.findTopic(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, t)
}

func (s *Server) findTopic(c echo.Context) (*api.Topic, error) {
	ns, name := namespace(c), param(c, "name")
	t, ok := s.o.Registry.Snapshot().Topic(ns, name)
	if !ok {
		return nil, refuse(errUnknownTopic, "\"fnctl topic ls\" shows what there is; a deploy creates the topics that its functions name",
			"no topic %q in namespace %q", name, ns)
	}
	return t, nil
}

func (s *Server) deleteTopic(c echo.Context) error {
	t, err := s.findTopic(c)
	if err != nil {
		return err
	}
	revision, err := s.o.Registry.DeleteTopic(c.Request().Context(), t.Namespace, t.Name)
	if err != nil {
		return err
	}
	if err := s.o.Scheduler.WaitInForce(c.Request().Context(), revision); err != nil {
		return fmt.Errorf("topic %q is deleted, but wait until that is in force: %w", t.Name, err)
	}
	return c.NoContent(http.StatusNoContent)
}

// emit is ingest for those who may manage: the topic must exist, but need not be open.
func (s *Server) emit(c echo.Context) error {
	t, err := s.findTopic(c)
	if err != nil {
		return err
	}
	return s.store(c, t.Namespace, t.Name, nil)
}

// tail streams the newest events of a topic, oldest first, and with follow those that come.
func (s *Server) tail(c echo.Context) error {
	t, err := s.findTopic(c)
	if err != nil {
		return err
	}
	n, err := limit(c, standardLimit)
	if err != nil {
		return err
	}
	since, err := s.since(c)
	if err != nil {
		return err
	}
	follow, err := flag(c, "follow")
	if err != nil {
		return err
	}
	out, done := s.newStream(c)
	defer done()
	changed := s.o.Table.Changed()
	cursor, err := s.o.Table.Tail(t.Namespace, t.Name, partition.Cursor{}, since, n, s.eventSender(out, t))
	if err != nil || !follow {
		return out.end(err)
	}
	return out.end(s.follow(out, t, cursor, changed))
}

// follow sends what comes behind the cursor until the stream ends. changed was taken before the cursor was.
func (s *Server) follow(out *stream, t *api.Topic, cursor partition.Cursor, changed <-chan struct{}) error {
	for {
		if err := out.wait(changed); err != nil {
			return err
		}
		changed = s.o.Table.Changed()
		var err error
		if cursor, err = s.o.Table.Tail(t.Namespace, t.Name, cursor, time.Time{}, 0, s.eventSender(out, t)); err != nil {
			return err
		}
	}
}

// eventSender sends events of a topic as lines.
func (s *Server) eventSender(out *stream, t *api.Topic) func(partition.TopicRecord) error {
	return func(r partition.TopicRecord) error {
		text, err := r.Event.MarshalJSON()
		if err != nil {
			return fmt.Errorf("encode event %q: %w", r.Event.ID, err)
		}
		at := api.Token{Directory: s.o.Table.Directory(), Namespace: t.Namespace, Topic: t.Name, Offsets: r.Position.Offsets()}
		return out.send(api.TopicEvent{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Time, Event: text, Position: at.String()})
	}
}

// wait returns nil when changed is closed and the stream's error when it ends before.
func (st *stream) wait(changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-st.ctx.Done():
		return context.Cause(st.ctx)
	}
}

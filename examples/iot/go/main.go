// Command windows sums the readings of a sensor up minute by minute, and raises an alert when one is too high.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	evoke "github.com/evoke-run/evoke/sdk/go"
)

func init() { evoke.Handle(evoke.Typed(read)) }

func main() {}

// The settings are of env: in fn.yaml. They are read once, before the first event.
var (
	size       = time.Duration(setting("WINDOW_SECONDS", 60)) * time.Second
	raiseAbove = setting("RAISE_ABOVE", 80)
	clearBelow = setting("CLEAR_BELOW", 75) // lower, so that a value that wavers around the limit raises one alert
)

func setting(name string, otherwise float64) float64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("env: %s is %q, and must be a number", name, text))
	}
	return v
}

// reading is the data of an event on readings; its time is when it was measured.
type reading struct {
	Celsius *float64 `json:"celsius"`
}

// sensor is the state of one.
type sensor struct {
	Window  window `json:"window"`
	Alerted bool   `json:"alerted"`
	Late    int    `json:"late"` // readings that came when their minute had been told
}

// window is a minute, and the data of an event on readings.minutes.
type window struct {
	Start time.Time `json:"start"`
	Count int       `json:"count"`
	Sum   float64   `json:"sum"`
	Min   float64   `json:"min"`
	Max   float64   `json:"max"`
}

func (w *window) add(celsius float64) {
	if w.Count == 0 {
		w.Min, w.Max = celsius, celsius
	}
	w.Count++
	w.Sum += celsius
	w.Min, w.Max = min(w.Min, celsius), max(w.Max, celsius)
}

func read(_ context.Context, e *evoke.Event, r reading) (evoke.Reply, error) {
	switch {
	case r.Celsius == nil:
		return evoke.NoReply(), evoke.Rejectf("a reading needs celsius")
	case e.Time.IsZero():
		return evoke.NoReply(), evoke.Rejectf("a reading needs a time")
	}
	var s sensor
	if _, err := evoke.GetStateJSON("sensor", &s); err != nil {
		return evoke.NoReply(), err // of an event without subject: there is no key
	}
	if err := s.take(e, *r.Celsius); err != nil {
		return evoke.NoReply(), err
	}
	return evoke.NoReply(), evoke.SetStateJSON("sensor", s)
}

// take puts a reading into its window. The first one of a later window ends the window before: time passes by what the sensors say, so that whoever reads the topic
// again comes to the same minutes.
func (s *sensor) take(e *evoke.Event, celsius float64) error {
	start := e.Time.UTC().Truncate(size)
	if start.Before(s.Window.Start) {
		s.Late++
		return nil
	}
	if start.After(s.Window.Start) {
		if s.Window.Count > 0 {
			if err := emit("readings.minutes", "com.example.minute", e.Subject, s.Window); err != nil {
				return err
			}
		}
		s.Window = window{Start: start}
	}
	s.Window.add(celsius)
	return s.watch(e, celsius)
}

// alert is the data of an event on alerts.
type alert struct {
	Sensor  string  `json:"sensor"`
	Celsius float64 `json:"celsius"`
}

func (s *sensor) watch(e *evoke.Event, celsius float64) error {
	switch {
	case !s.Alerted && celsius > raiseAbove:
		s.Alerted = true
		return emit("alerts", "com.example.alert.raised", e.Subject, alert{e.Subject, celsius})
	case s.Alerted && celsius < clearBelow:
		s.Alerted = false
		return emit("alerts", "com.example.alert.cleared", e.Subject, alert{e.Subject, celsius})
	}
	return nil
}

func emit(topic, typ, sensor string, data any) error {
	out := evoke.NewEvent(typ, data)
	out.Subject = sensor
	return evoke.Emit(topic, out)
}

package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	evoke "github.com/evoke-run/evoke/sdk/go"
	"github.com/evoke-run/evoke/sdk/go/evokehttp"
)

// tasks are the state of a list. All of them are one value, which has at most 256 KiB: the limits below see to it.
type tasks struct {
	Next  int    `json:"next"` // the id of the next one
	Tasks []task `json:"tasks"`
}

type task struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Done  bool   `json:"done"`
	By    string `json:"by"` // the name of the API key that made it
}

const (
	maxTasks = 300
	maxTitle = 100 // characters
)

func load() (tasks, error) {
	t := tasks{Next: 1, Tasks: []task{}}
	_, err := evoke.GetStateJSON("tasks", &t)
	return t, err
}

func (t *tasks) save() error { return evoke.SetStateJSON("tasks", t) }

// find answers the place of the task that a request is about.
func (t *tasks) find(r *http.Request) (int, error) {
	id := r.PathValue("id")
	i := slices.IndexFunc(t.Tasks, func(t task) bool { return t.ID == id })
	if i < 0 {
		return 0, problemf(404, "list %s has no task %s", r.PathValue("list"), id)
	}
	return i, nil
}

func list(w http.ResponseWriter, r *http.Request) error {
	t, err := load()
	if err != nil {
		return err
	}
	shown := t.Tasks
	if done := r.FormValue("done"); done != "" {
		want, err := strconv.ParseBool(done)
		if err != nil {
			return problemf(400, "done must be true or false")
		}
		shown = slices.DeleteFunc(shown, func(t task) bool { return t.Done != want })
	}
	writeJSON(w, 200, map[string]any{"tasks": shown})
	return nil
}

func add(w http.ResponseWriter, r *http.Request) error {
	c, err := readChange(r)
	if err != nil {
		return err
	}
	if c.Title == nil {
		return problemf(422, "title is missing")
	}
	t, err := load()
	if err != nil {
		return err
	}
	if len(t.Tasks) == maxTasks {
		return problemf(409, "list %s is full: it has %d tasks", r.PathValue("list"), maxTasks)
	}
	made := task{ID: strconv.Itoa(t.Next), By: evokehttp.Event(r).Extension("authid")}
	c.to(&made)
	t.Next++
	t.Tasks = append(t.Tasks, made)
	if err := t.save(); err != nil {
		return err
	}
	w.Header().Set("Location", r.URL.Path+"/"+made.ID)
	writeJSON(w, 201, made)
	return nil
}

func get(w http.ResponseWriter, r *http.Request) error {
	t, err := load()
	if err != nil {
		return err
	}
	i, err := t.find(r)
	if err != nil {
		return err
	}
	writeJSON(w, 200, t.Tasks[i])
	return nil
}

func edit(w http.ResponseWriter, r *http.Request) error {
	c, err := readChange(r)
	if err != nil {
		return err
	}
	t, err := load()
	if err != nil {
		return err
	}
	i, err := t.find(r)
	if err != nil {
		return err
	}
	c.to(&t.Tasks[i])
	if err := t.save(); err != nil {
		return err
	}
	writeJSON(w, 200, t.Tasks[i])
	return nil
}

func remove(w http.ResponseWriter, r *http.Request) error {
	t, err := load()
	if err != nil {
		return err
	}
	i, err := t.find(r)
	if err != nil {
		return err
	}
	t.Tasks = slices.Delete(t.Tasks, i, i+1)
	if err := t.save(); err != nil {
		return err
	}
	w.WriteHeader(204)
	return nil
}

// change is the body of a POST or a PATCH. What is nil stays as it is.
type change struct {
	Title *string `json:"title"`
	Done  *bool   `json:"done"`
}

func readChange(r *http.Request) (c change, err error) {
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		return c, problemf(400, `the body must be JSON like {"title": "buy milk", "done": false}`)
	}
	if c.Title != nil {
		*c.Title = strings.TrimSpace(*c.Title)
		if n := utf8.RuneCountInString(*c.Title); n < 1 || n > maxTitle {
			return c, problemf(422, "title has from 1 to %d characters, not %d", maxTitle, n)
		}
	}
	return c, nil
}

func (c change) to(t *task) {
	if c.Title != nil {
		t.Title = *c.Title
	}
	if c.Done != nil {
		t.Done = *c.Done
	}
}

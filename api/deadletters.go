package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// DeadLetter is an event given up on.
type DeadLetter struct {
	ID         string    `json:"id"` // names it in peek, redrive and discard
	Trigger    string    `json:"trigger"`
	Function   string    `json:"function"`
	Topic      string    `json:"topic"`
	Revision   int       `json:"revision"`
	Class      string    `json:"class"`
	Error      string    `json:"error"`
	Time       time.Time `json:"time"` // when it was given up
	Generation int       `json:"generation"`
	EventID    string    `json:"eventId"`
	EventType  string    `json:"eventType"`
	Key        string    `json:"key,omitempty"`
	// Parked means that the events of Key wait until this one is redriven and done, or discarded. Behind is how many have been found waiting.
	Parked bool `json:"parked,omitempty"`
	Behind int  `json:"behind,omitempty"`
	// TriggerGone means that it can only be discarded.
	TriggerGone bool      `json:"triggerGone,omitempty"`
	Attempts    []Attempt `json:"attempts"`
	// Edited is the generation that began with an edit of the event; 0 = never.
	Edited int `json:"edited,omitempty"`
	// Event, and what it was before somebody edited it, are only in peek.
	Event    json.RawMessage `json:"event,omitempty"`
	Original json.RawMessage `json:"original,omitempty"`
}

// DeadLetterQuery selects dead letters to list. Zero fields select all.
type DeadLetterQuery struct {
	Trigger string
	Filter  string    // as of a TopicTrigger
	Since   time.Time // given up then or later
	Parked  bool      // only those whose key stands still
	Limit   int       // 0 = what the server allows
	Page    string    // DeadLetterPage.Next of the page before
}

// DeadLetterPage is a part of a list, the newest first.
type DeadLetterPage struct {
	Letters []DeadLetter
	Next    string // of the next page; "" = this was the last one
}

// NextPage is the header of an answer that says how to ask for the next page.
const NextPage = "Evoke-Next-Page"

// DeadLetterSelection names dead letters to redrive or discard: by IDs, or by the rest, where All alone means all of the namespace. One call changes a page of them at
// most; DeadLetterResult.Next says how to go on.
type DeadLetterSelection struct {
	IDs     []string  `json:"ids,omitempty"`
	All     bool      `json:"all,omitempty"`
	Trigger string    `json:"trigger,omitempty"`
	Filter  string    `json:"filter,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Before  time.Time `json:"before,omitzero"` // given up before; see DeadLetterResult.Before
	Parked  bool      `json:"parked,omitempty"`
	Limit   int       `json:"limit,omitempty"` // 0 = 1,000, which is also the most
	After   string    `json:"after,omitempty"` // DeadLetterResult.Next of the page before
	// DryRun changes nothing and answers what would be changed.
	DryRun bool `json:"dryRun,omitempty"`
	// Reason is kept in the log of a discard; required there.
	Reason string `json:"reason,omitempty"`
	// Revision must run what is redriven; 0 = the one in force.
	Revision int `json:"revision,omitempty"`
	// Event is redriven instead of the one that was given up on, of exactly one ID. Its key must be the same.
	Event json.RawMessage `json:"event,omitempty"`
}

// DeadLetterResult says what a redrive or discard did.
type DeadLetterResult struct {
	Changed int                 `json:"changed"`
	Letters []DeadLetterOutcome `json:"letters"`
	// Next goes into After of the next call; "" = this was the last page.
	Next string `json:"next,omitempty"`
	// Before goes into the next call too, which then selects nothing that was given up since the first one.
	Before time.Time `json:"before,omitzero"`
}

// DeadLetterOutcome is what became of one of the letters of a selection.
type DeadLetterOutcome struct {
	ID string `json:"id"`
	// Outcome is one of the constants below.
	Outcome string `json:"outcome"`
}

// Outcomes of a redrive or discard, by letter.
const (
	LetterChanged    = "changed"     // redriven or discarded
	LetterSelected   = "selected"    // would be; a dry run
	LetterGone       = "gone"        // there is no such dead letter, or no more: redriven, discarded, or of another namespace
	LetterNoTrigger  = "no-trigger"  // its trigger was removed; it can only be discarded
	LetterKeyChanged = "key-changed" // the edited event has another key
)

// DeadLetters lists what was given up on, newest first, without the events. trigger "" is all of them, limit 0 the server's own limit.
func (c *Client) DeadLetters(ctx context.Context, ns, trigger string, limit int) ([]DeadLetter, error) {
	page, err := c.DeadLetterPage(ctx, ns, DeadLetterQuery{Trigger: trigger, Limit: limit})
	return page.Letters, err
}

// DeadLetterPage lists what was given up on, newest first, without the events.
func (c *Client) DeadLetterPage(ctx context.Context, ns string, query DeadLetterQuery) (DeadLetterPage, error) {
	q := url.Values{}
	setText(q, "trigger", query.Trigger)
	setText(q, "filter", query.Filter)
	setText(q, "page", query.Page)
	setInt(q, "limit", query.Limit)
	if !query.Since.IsZero() {
		q.Set("since", query.Since.UTC().Format(time.RFC3339Nano))
	}
	if query.Parked {
		q.Set("parked", strconv.FormatBool(true))
	}
	letters, header, err := getWithHeader[[]DeadLetter](ctx, c, request{path: []string{"ns", ns, "deadletters"}, query: q})
	return DeadLetterPage{Letters: letters, Next: header.Get(NextPage)}, err
}

// DeadLetter is one dead letter with its event.
func (c *Client) DeadLetter(ctx context.Context, ns, id string) (DeadLetter, error) {
	return get[DeadLetter](ctx, c, request{path: []string{"ns", ns, "deadletters", id}})
}

// Redrive sends dead letters to their triggers again.
func (c *Client) Redrive(ctx context.Context, ns string, s DeadLetterSelection) (DeadLetterResult, error) {
	return withBody[DeadLetterResult](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "deadletters", "redrive"}}, s)
}

// Discard forgets dead letters for ever; s.Reason is required.
func (c *Client) Discard(ctx context.Context, ns string, s DeadLetterSelection) (DeadLetterResult, error) {
	return withBody[DeadLetterResult](ctx, c, request{method: http.MethodPost, path: []string{"ns", ns, "deadletters", "discard"}}, s)
}

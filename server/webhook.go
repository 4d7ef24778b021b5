package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/event"
)

// hook is a webhook trigger, ready to be used.
type hook struct {
	namespace, name string // of the path
	function        string
	trigger         *api.Trigger
	*api.WebhookTrigger
	proof     func(h http.Header, body []byte) (*proof, error) // nil = nothing is checked
	tolerance time.Duration
	key       keyPlace
}

// hooksOf are those of a function.
func hooksOf(f *api.Function) (out []*hook) {
	for i := range f.Triggers {
		t := &f.Triggers[i]
		if t.Webhook == nil {
			continue
		}
		h := &hook{
			namespace: f.Namespace, name: t.Webhook.Name(f.Name), function: f.Name, trigger: t, WebhookTrigger: t.Webhook,
			tolerance: time.Duration(t.Webhook.Tolerance), key: newKeyPlace(t.Webhook.Key),
		}
		if h.tolerance == 0 {
			h.tolerance = time.Duration(api.DefaultTolerance)
		}
		switch h.Scheme {
		case "github":
			h.proof = githubProof
		case "stripe":
			h.proof = stripeProof
		case "slack":
			h.proof = slackProof
		case "standard":
			h.proof = standardProof
		case "hmac":
			h.proof = hmacProof(h.HMAC, h.IDHeader)
		}
		out = append(out, h)
	}
	return out
}

// webhook takes a delivery: it answers 2xx when the event is durable. Nothing of one that is not what it says to be is kept.
func (s *Server) webhook(c echo.Context) error {
	ns, name := namespace(c), param(c, "webhook")
	h := s.router().webhook(ns, name)
	if h == nil {
		return refuse(errUnknownWebhook, "give a function a webhook trigger in fn.yaml, \"on: [ { webhook: { scheme: github, secret: NAME } } ]\", and run fnctl deploy",
			"no webhook %q is served", name)
	}
	switch c.Request().Method {
	case http.MethodOptions:
		return h.handshake(c)
	case http.MethodPost:
		result, err := s.deliver(c, h)
		s.metrics.deliveries.WithLabelValues(h.namespace, h.trigger.Name, result).Inc()
		return err
	}
	c.Response().Header().Set("Allow", "OPTIONS, POST")
	return refuse(errMethod, "", "webhooks are delivered by POST")
}

// deliver also says what became of the delivery, in a word for the metric.
func (s *Server) deliver(c echo.Context, h *hook) (result string, err error) {
	r := c.Request()
	if origin := r.Header.Get(requestOrigin); origin != "" && !h.agrees(origin) {
		return "foreign-origin", refuse(errSender, "", "deliveries from %q are not agreed to", origin)
	}
	limit := int64(event.MaxSize)
	if encodingOf(r.Header) == eventBatch && h.takesEvents(eventBatch) {
		limit = maxBody
	}
	body, release, err := s.bodies.read(c, limit)
	defer release()
	if err != nil {
		return "unreadable", err
	}
	d := delivery{hook: h, r: r, body: body}
	if err := s.verify(&d); err != nil {
		if refused, ok := errors.AsType[*refusal](err); ok {
			return refused.reason, refuse(errSignature, "see that the sender signs with the secret that fnctl secret set was given, and that its clock is right", "%s", refused.detail)
		}
		return "no-secret", err
	}
	if answered, err := s.answerSender(c, &d); answered || err != nil {
		return "handshake", err
	}
	plain, releasePlain, err := s.unpack(&d)
	defer releasePlain()
	if err != nil {
		return "invalid", err
	}
	events, err := s.events(&d, plain)
	if err != nil {
		return "invalid", err
	}
	return s.keepDelivery(c, h, events)
}

// keepDelivery publishes and answers.
func (s *Server) keepDelivery(c echo.Context, h *hook, events []event.Event) (result string, err error) {
	if len(events) == 0 {
		return "accepted", answerPublished(c, nil, nil)
	}
	stored, err := s.o.Table.Publish(c.Request().Context(), h.namespace, h.trigger.Topic.Name, events)
	if err != nil {
		return "not-stored", fmt.Errorf("store the delivery to webhook %q: %w", h.name, err)
	}
	result = "duplicate"
	for _, at := range stored {
		if !at.Duplicate {
			result = "accepted"
		}
	}
	if h.Scheme == "slack" {
		return result, c.NoContent(http.StatusOK) // Slack shows any text to the person who typed the command
	}
	return result, answerPublished(c, events, stored)
}

// verify checks who sent a delivery: a *refusal says what is wrong with it, any other error what is wrong here.
func (s *Server) verify(d *delivery) error {
	if d.hook.proof == nil {
		return nil
	}
	secrets, err := s.secretsOf(d.hook)
	if err != nil {
		return err
	}
	if d.shown, err = d.hook.proof(d.r.Header, d.body); err != nil {
		return err
	}
	err = d.shown.check(secrets, s.now(), d.hook.tolerance)
	if _, refused := errors.AsType[*refusal](err); err != nil && !refused {
		return s.noSecret(d.hook, err)
	}
	return err
}

// secretsOf are the values that a delivery may be signed with.
func (s *Server) secretsOf(h *hook) ([][]byte, error) {
	values, err := s.o.Secrets.Secret(h.namespace, h.Secret)
	if err != nil { // a deploy has seen it: somebody removed it by force, or the key that opens it is missing
		return nil, s.noSecret(h, err)
	}
	return values, nil
}

// noSecret tells the log what is wrong, and strangers only that something is.
func (s *Server) noSecret(h *hook, err error) error {
	s.log.Warn("deliveries to a webhook cannot be checked", slog.String("namespace", h.namespace), slog.String("trigger", h.trigger.Name), slog.String("secret", h.Secret), slog.Any("err", err))
	return refuse(errNoSecret, "the server's log says what is wrong; fnctl describe trigger "+h.trigger.Name+" names the secret, fnctl secret set NAME sets it",
		"deliveries to webhook %q cannot be checked now", h.name)
}

// delivery is one request of a webhook.
type delivery struct {
	*hook
	r     *http.Request
	body  []byte
	shown *proof // nil = nothing was checked
	read  *said  // nil before it was asked for
}

// said is what schemes have in the JSON of a body.
type said struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	EventID   string `json:"event_id"`
	Challenge string `json:"challenge"`
	Event     struct {
		Type string `json:"type"`
	} `json:"event"`
}

// says reads the body as far as it is JSON of the expected form; other bodies say nothing.
func (d *delivery) says() *said {
	if d.read == nil {
		d.read = &said{}
		err := json.Unmarshal(d.body, d.read)
		if _, other := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !other { // one member of another kind leaves the rest
			d.read = &said{}
		}
	}
	return d.read
}

// unpack is what CloudEvents are read from. Any other body stays as it came.
func (s *Server) unpack(d *delivery) (plain []byte, release func(), err error) {
	if !d.takesEvents(encodingOf(d.r.Header)) {
		return nil, func() {}, nil
	}
	return s.bodies.plain(d.r.Header, d.body, maxBody)
}

// events are what the delivery becomes: an event of its scheme, or the CloudEvents that plain has.
func (s *Server) events(d *delivery, plain []byte) ([]event.Event, error) {
	s.forward(d.r)
	if !d.takesEvents(encodingOf(d.r.Header)) {
		one := []event.Event{s.deliveryEvent(d)}
		if err := d.setKeys(one); err != nil {
			return nil, err
		}
		one[0].CarryTrace(traceOf(d.r.Header))
		return one, checkEvent(&one[0])
	}
	events, err := decodeEvents(d.r.Header, plain)
	if err != nil {
		return nil, err
	}
	parent, state := traceOf(d.r.Header)
	for i := range events {
		events[i].CarryTrace(parent, state)
		setIdentity(&events[i], auth.Identity{}) // a signature says which system sent it, not who in it
	}
	if err := d.setKeys(events); err != nil {
		return nil, err
	}
	return events, s.delay(http.Header{}, events)
}

// deliveryEvent is that of a scheme.
func (s *Server) deliveryEvent(d *delivery) event.Event {
	e := event.Event{
		Source: d.URLPath(d.namespace, d.function), Type: "dev.evoke.webhook." + d.Scheme, Time: s.now().UTC(),
		DataContentType: d.r.Header.Get("Content-Type"), Data: d.body, Request: d.request(),
	}
	e.ID, e.Subject = d.identity()
	if e.ID == "" {
		e.ID = s.newID()
	}
	if len(e.Data) == 0 {
		e.Data = nil
	}
	return e
}

// takesEvents says whether a request of an encoding is read as CloudEvents. Signatures are of bodies: where one is asked for, attributes in headers prove nothing.
func (h *hook) takesEvents(in encoding) bool {
	switch in {
	case structuredEvent, eventBatch:
		return h.Scheme == "none" || h.Scheme == "hmac" || h.Scheme == "standard"
	case binaryEvent:
		return h.Scheme == "none"
	}
	return false
}

// identity is what tells the delivery apart, "" when nothing does, and what it is about.
func (d *delivery) identity() (id, subject string) {
	h := d.r.Header
	switch d.Scheme {
	case "github":
		return h.Get("X-Github-Delivery"), h.Get("X-Github-Event")
	case "stripe":
		id, subject = d.says().ID, d.says().Type
	case "slack":
		id, subject = d.says().EventID, d.says().Event.Type
	case "standard":
		return standardHeader(h, "Id"), d.says().Type
	default:
		id = h.Get(d.IDHeader)
	}
	if id == "" && d.shown != nil && d.shown.at != "" {
		id = d.shown.id() // the same time and body come twice from a replay only
	}
	return id, subject
}

// setKeys gives the events of a delivery their keys. One of the request is looked for once: a batch has ten thousand events, and a long query as many parts.
func (d *delivery) setKeys(events []event.Event) error {
	key, size := "", 0
	for i := range events {
		if i == 0 || d.hook.key.expression != nil {
			key = d.hook.key.of(d.r, nil, nil, &events[i])
		}
		if key == "" {
			continue
		}
		events[i].SetExtension(event.Extension{Name: "partitionkey", Value: key})
		if size += len(key); size > maxBody {
			return refuse(errTooLarge, "send smaller batches, or shorter keys", "the keys of the events have more than %d MiB together", maxBody>>20)
		}
	}
	return nil
}

// request is part 3 of the event. What the sender shows to nobody but us stays out of the log.
func (d *delivery) request() []byte {
	hidden := func(name string) bool { return name == "Authorization" || name == "Cookie" || name == keyHeader }
	above := 0
	if strings.HasPrefix(d.URLPath(d.namespace, d.function), "/@") {
		above = 1
	}
	return requestJSON(d.r, above, "/webhooks/"+d.name, nil, nil, hidden)
}

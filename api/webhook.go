package api

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// WebhookTrigger takes what other systems send by HTTP: checked, stored durably, and only then answered.
type WebhookTrigger struct {
	// Scheme says who sends and so what is checked: "github", "stripe", "slack", "standard" (Standard Webhooks), "hmac" or "none".
	Scheme string `json:"scheme"`
	// Secret names the secret that signatures are checked with; all schemes but none have one.
	Secret string `json:"secret,omitempty"`
	// Path is "/webhooks/NAME"; "" is that with the name of the function.
	Path string `json:"path,omitempty"`
	// Tolerance is how far the time of a delivery may be from ours, for schemes that sign one. Default 5m, which is also the most.
	Tolerance Duration `json:"tolerance,omitempty"`

	// HMAC says how deliveries are signed, only with scheme hmac.
	HMAC *HMAC `json:"hmac,omitempty"`
	// IDHeader is the header that tells deliveries apart, so that one that comes twice is dropped. Only with the schemes hmac and none.
	IDHeader string `json:"idHeader,omitempty"`

	// Key takes the key of an event from its delivery: an expression as in KeyLimit, or, when no time is signed, "header.NAME" or "query.NAME". "" is that of the event itself,
	// its subject.
	Key string `json:"key,omitempty"`
	// Origins are the senders, host names, that a handshake of CloudEvents webhooks is agreed to with; none = all.
	Origins []string `json:"origins,omitempty"`

	// Filter, Order and OnFailure are those of TopicTrigger.
	Filter    string `json:"filter,omitempty"`
	Order     string `json:"order,omitempty"`
	OnFailure string `json:"onFailure,omitempty"`
}

// DefaultTolerance is that of a WebhookTrigger, what Standard Webhooks, Stripe and Slack advise. It is also the most: a delivery that was signed 5 minutes ahead of our time
// counts for 10 minutes, which is how long ids are remembered, and a replay after that would run again.
const DefaultTolerance = Duration(5 * time.Minute)

// HMAC is a way to sign.
type HMAC struct {
	// Header has the signature, behind Prefix.
	Header string `json:"header"`
	Prefix string `json:"prefix,omitempty"`
	// Encoding is "hex" (default) or "base64", Algorithm "sha256" (default), "sha512" or "sha1".
	Encoding  string `json:"encoding,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	// TimestampHeader has the time at which it was signed, in Unix seconds; "" = none is.
	TimestampHeader string `json:"timestampHeader,omitempty"`
	// Signed is what is signed, with {body}, {timestamp} and {id}. Default {body}, with a TimestampHeader {timestamp}.{body}. Where a time is signed, an IDHeader is, too.
	Signed string `json:"signed,omitempty"`
}

// webhookSchemes are those of WebhookTrigger.
var webhookSchemes = []string{"github", "stripe", "slack", "standard", "hmac", "none"}

// CheckScheme says what is wrong with the scheme of a webhook trigger.
func CheckScheme(scheme string) error {
	if !slices.Contains(webhookSchemes, scheme) {
		return fmt.Errorf("%q is no scheme; there are %s", shortText(scheme), strings.Join(webhookSchemes, ", "))
	}
	return nil
}

const webhooks = "/webhooks/"

var webhookNameRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckWebhookPath says what is wrong with the path of a webhook trigger.
func CheckWebhookPath(path string) error {
	name, ok := strings.CutPrefix(path, webhooks)
	if !ok || !webhookNameRule.MatchString(name) {
		return fmt.Errorf("%q is not /webhooks/NAME, where NAME is 1 to 63 lower-case letters, digits and inner \"-\"", shortText(path))
	}
	return nil
}

// Timed says whether deliveries have a time that is signed, after which they count no more.
func (w *WebhookTrigger) Timed() bool {
	return slices.Contains([]string{"stripe", "slack", "standard"}, w.Scheme) || w.HMAC != nil && w.HMAC.TimestampHeader != ""
}

// CheckKey refuses a key that a replay could change: by its key an event finds the partition that knows its id.
func (w *WebhookTrigger) CheckKey() error {
	if w.Timed() && (strings.HasPrefix(w.Key, "header.") || strings.HasPrefix(w.Key, "query.")) {
		return fmt.Errorf("%q is not signed, so a replay could change it and would not be known again; take the key from the body, like data.account", shortText(w.Key))
	}
	return nil
}

// Name is the last part of the path.
func (w *WebhookTrigger) Name(function string) string {
	if w.Path == "" {
		return function
	}
	return strings.TrimPrefix(w.Path, webhooks)
}

// URLPath is the path of the gateway that takes the deliveries.
func (w *WebhookTrigger) URLPath(namespace, function string) string {
	path := webhooks + w.Name(function)
	if namespace != "default" {
		path = "/@" + namespace + path
	}
	return path
}

// Parts divides what is signed into texts and the placeholders {body}, which is there once, {timestamp} and {id}, the value of idHeader.
func (h *HMAC) Parts(idHeader string) ([]string, error) {
	text := h.Signed
	if text == "" {
		text = "{body}"
		if h.TimestampHeader != "" {
			text = "{timestamp}.{body}"
		}
	}
	parts, err := splitSigned(text)
	if err != nil {
		return nil, err
	}
	bodies := 0
	for i, part := range parts {
		switch {
		case part == "{body}":
			bodies++
		case part == "{id}" && (i+1 == len(parts) || parts[i+1][0] == '{'):
			return nil, errors.New("a text like . comes behind {id}, or nobody can say where the id ends")
		}
	}
	times, ids := slices.Contains(parts, "{timestamp}"), slices.Contains(parts, "{id}")
	switch {
	case bodies != 1:
		return nil, errors.New("what is signed has {body} once, as in {timestamp}.{body}")
	case times != (h.TimestampHeader != ""):
		return nil, errors.New("{timestamp} and timestampHeader belong together: a time that is not signed, or not sent, proves nothing")
	case ids && idHeader == "":
		return nil, errors.New("{id} is signed; name its header with idHeader")
	case times && idHeader != "" && !ids:
		return nil, errors.New("the id is not signed, so a replay could change it and would not be known again; write what the sender signs, like {id}.{timestamp}.{body}, or leave idHeader out")
	}
	return parts, nil
}

func splitSigned(text string) (parts []string, err error) {
	for rest := text; rest != ""; {
		at := strings.IndexByte(rest, '{')
		if at < 0 {
			at = len(rest)
		}
		if at == 0 {
			for _, placeholder := range [...]string{"{body}", "{timestamp}", "{id}"} {
				if strings.HasPrefix(rest, placeholder) {
					at = len(placeholder)
				}
			}
		}
		if at == 0 {
			return nil, fmt.Errorf("%q has a { that begins neither {body}, {timestamp} nor {id}", shortText(text))
		}
		parts, rest = append(parts, rest[:at]), rest[at:]
	}
	return parts, nil
}

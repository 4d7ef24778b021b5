package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/filter"
)

func (f *faults) webhook(path string, t *api.WebhookTrigger) {
	if err := api.CheckScheme(t.Scheme); err != nil {
		f.add(path+".scheme", "%s", err)
		return
	}
	switch {
	case t.Scheme == "none" && t.Secret != "":
		f.add(path+".secret", "with scheme none nothing is checked; leave the secret out, or name the scheme that it is for")
	case t.Scheme != "none" && t.Secret == "":
		f.add(path+".secret", "scheme %s needs the secret that deliveries are signed with; name it, secret: NAME, and set it with fnctl secret set NAME", t.Scheme)
	case t.Secret != "" && !api.IsSecretName(t.Secret):
		f.add(path+".secret", "%s", api.CheckSecretName(t.Secret))
	}
	if t.Path != "" {
		if err := api.CheckWebhookPath(t.Path); err != nil {
			f.add(path+".path", "%s", err)
		}
	}
	f.hmac(path, t)
	timed := t.Timed()
	switch d := time.Duration(t.Tolerance); {
	case d != 0 && !timed:
		f.add(path+".tolerance", "a delivery of scheme %s has no time that is signed; leave it out", t.Scheme)
	case d < 0 || d > time.Duration(api.DefaultTolerance) || d > 0 && d < time.Second:
		f.add(path+".tolerance", "%s is not between 1s and 5m, so that a replay is known by its id until it is too old", d)
	}
	if t.IDHeader != "" {
		f.header(path+".idHeader", t.IDHeader)
		if t.Scheme != "hmac" && t.Scheme != "none" {
			f.add(path+".idHeader", "scheme %s has an id of its own; leave it out", t.Scheme)
		}
	}
	if err := t.CheckKey(); err != nil {
		f.add(path+".key", "%s", err)
	} else {
		f.httpKey(path+".key", t.Key, nil)
	}
	for i, origin := range t.Origins {
		if err := api.CheckHost(origin); err != nil {
			f.add(fmt.Sprintf("%s.origins[%d]", path, i), "%s", err)
		}
	}
	if _, err := filter.Parse(t.Filter); err != nil {
		f.add(path+".filter", "%s", err)
	}
	f.order(path, t.Order, t.OnFailure)
}

func (f *faults) hmac(path string, t *api.WebhookTrigger) {
	switch {
	case t.Scheme != "hmac" && t.HMAC != nil:
		f.add(path+".header", "only scheme hmac says how deliveries are signed; leave header, prefix, encoding, algorithm, timestampHeader and signed out")
		return
	case t.Scheme != "hmac":
		return
	case t.HMAC == nil || t.HMAC.Header == "":
		f.add(path+".header", "scheme hmac needs the name of the header that has the signature")
		return
	}
	h := t.HMAC
	f.header(path+".header", h.Header)
	if h.TimestampHeader != "" {
		f.header(path+".timestampHeader", h.TimestampHeader)
	}
	if h.Encoding != "" && h.Encoding != "hex" && h.Encoding != "base64" {
		f.add(path+".encoding", "%q is neither hex nor base64", shorten(h.Encoding))
	}
	if !slices.Contains([]string{"", "sha256", "sha512", "sha1"}, h.Algorithm) {
		f.add(path+".algorithm", "%q is not sha256, sha512 or sha1", shorten(h.Algorithm))
	}
	if strings.TrimSpace(h.Prefix) != h.Prefix || len(h.Prefix) > 64 {
		f.add(path+".prefix", "%q begins or ends with a space, or has more than 64 bytes", shorten(h.Prefix))
	}
	if _, err := h.Parts(t.IDHeader); err != nil {
		f.add(path+".signed", "%s", err)
	}
}

func (f *faults) header(path, name string) {
	if !headerRule.MatchString(name) {
		f.add(path, "%q is no name of a header", shorten(name))
	}
}

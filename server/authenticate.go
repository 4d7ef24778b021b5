package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/filter"
	"github.com/evoke-run/evoke/registry"
)

// Attributes of the Auth Context extension of CloudEvents. In what comes through the gateway only the gateway sets them.
const (
	authType   = "authtype"
	authID     = "authid"
	authClaims = "authclaims"
)

// keyHeader carries an API key where Authorization is needed for something else.
const keyHeader = "Evoke-Api-Key"

// entrance is what a request wants to come in by: a function or a topic, with who may.
type entrance struct {
	namespace       string
	function, topic string // one of them is set
	auth            *api.Auth
}

func (e *entrance) String() string {
	if e.function != "" {
		return "function " + e.function
	}
	return "topic " + e.topic
}

// authenticate says who sent a request, nobody in particular when everybody may. It is called once its target is known, before its body is read. An API key is taken off
// the request, also where nobody asks for one: it is for this check, not for functions. So is a token that was checked and would be stored with the request.
func (s *Server) authenticate(r *http.Request, e entrance) (who auth.Identity, err error) {
	sent := credentialsOf(r.Header)
	if e.auth == nil {
		return who, nil
	}
	for i := range e.auth.Any {
		rule, refused := &e.auth.Any[i], error(nil)
		switch {
		case rule.Key != nil && sent.key != "":
			who, refused = s.checkKey(sent.key, rule.Key, &e)
		case rule.JWT != nil && sent.jwt != "":
			who, refused = s.checkJWT(r.Context(), sent.jwt, rule.JWT)
		default:
			continue
		}
		if refused == nil {
			if sent.jwt != "" && prefersAsync(r.Header) {
				r.Header.Del("Authorization")
			}
			return who, nil
		}
		err = worse(err, refused)
	}
	if err == nil {
		err = refuse(errNoCredentials, "", "%s takes only requests with %s", &e, waysIn(e.auth))
	}
	s.metrics.strangers.WithLabelValues(slugOf(err)).Inc()
	return auth.Identity{}, err
}

// sent is what a request has to show.
type sent struct{ key, jwt string }

func credentialsOf(h http.Header) (out sent) {
	if text, ok := bearer(h); ok {
		if strings.HasPrefix(text, auth.KeyPrefix) {
			out.key = text
			h.Del("Authorization")
		} else {
			out.jwt = text
		}
	}
	if key := h.Get(keyHeader); key != "" {
		out.key = key
	}
	h.Del(keyHeader)
	return out
}

// bearer is what an Authorization header of the scheme Bearer has (RFC 9110 section 11.4: one space or more between them).
func bearer(h http.Header) (text string, ok bool) {
	scheme, text, _ := strings.Cut(h.Get("Authorization"), " ")
	return strings.TrimLeft(text, " "), strings.EqualFold(scheme, "Bearer")
}

// waysIn names what would let a request in.
func waysIn(a *api.Auth) string {
	key, issuers := false, []string{}
	for _, rule := range a.Any {
		if rule.JWT != nil && !slices.Contains(issuers, rule.JWT.Issuer) {
			issuers = append(issuers, rule.JWT.Issuer)
		}
		key = key || rule.Key != nil
	}
	var ways []string
	if key {
		ways = append(ways, "an API key")
	}
	if len(issuers) > 0 {
		ways = append(ways, "a token of "+strings.Join(issuers, " or "))
	}
	return strings.Join(ways, ", or ")
}

// checkKey takes an API key that is for the entrance and has not sent more than it may.
func (s *Server) checkKey(text string, rule *api.KeyAuth, e *entrance) (auth.Identity, error) {
	var nobody auth.Identity
	snapshot, now := s.o.Registry.Snapshot(), s.now()
	k, ok := keyOf(snapshot, text)
	if !ok {
		return nobody, refuse(errBadKey, "", "the API key is not known here: it is mistyped, was revoked, or is another server's")
	}
	if expired(k.Key.Expires, now) {
		return nobody, refuse(errBadKey, "ask for a new one: \"fnctl key create\"", "the API key %q has expired at %s", k.Key.Name, k.Key.Expires.Format(time.RFC3339))
	}
	if k.Key.Namespace != e.namespace || len(rule.Names) > 0 && !slices.Contains(rule.Names, k.Key.Name) || !isFor(k.Key, e) {
		return nobody, refuse(errWrongKey, "", "the API key %q is not for %s", k.Key.Name, e)
	}
	if wait := s.keyRates.take(k, now, snapshot); wait > 0 {
		return nobody, &fault{err: errKeyRate, detail: "the API key \"" + k.Key.Name + "\" has sent as much as it may", after: wait}
	}
	return auth.Identity{Type: auth.APIKey, ID: k.Key.Name}, nil
}

func keyOf(snapshot *registry.Snapshot, text string) (*registry.Credential, bool) {
	id, ok := auth.SecretID(auth.KeyPrefix, text)
	if !ok {
		return nil, false
	}
	k, ok := snapshot.Credential(id)
	return k, ok && k.Key != nil && auth.Matches(text, k.Hash)
}

// isFor says whether a key is for an entrance; one that names nothing is for all.
func isFor(k *api.Key, e *entrance) bool {
	if len(k.Functions)+len(k.Topics) == 0 {
		return true
	}
	if e.function != "" {
		return slices.Contains(k.Functions, e.function)
	}
	for _, topic := range k.Topics {
		if topic == e.topic {
			return true
		}
		if !strings.ContainsAny(topic, "*>") {
			continue
		}
		if p, err := filter.ParsePattern(topic); err == nil && p.Match(e.topic) {
			return true
		}
	}
	return false
}

// checkJWT takes a token that its issuer has signed for this.
func (s *Server) checkJWT(ctx context.Context, token string, rule *api.JWTAuth) (auth.Identity, error) {
	who, err := s.verifier.Verify(ctx, token, rule)
	if err == nil {
		return who, nil
	}
	if bad, ok := errors.AsType[*auth.InvalidError](err); ok {
		kind := errBadJWT
		if bad.Foreign {
			kind = errForeignJWT
		}
		return who, &fault{err: kind, detail: bad.Reason, challenge: challenge("invalid_token", bad.Reason)}
	}
	if denied, ok := errors.AsType[*auth.DeniedError](err); ok {
		return who, &fault{err: errDeniedJWT, detail: denied.Reason, challenge: challenge("insufficient_scope", denied.Reason)}
	}
	if errors.Is(err, auth.ErrIssuer) {
		s.log.Debug("a token cannot be checked", slog.String("issuer", rule.Issuer), slog.Any("err", err))
		return who, refuse(errIssuer, "", "the keys of issuer %s cannot be fetched, so the token cannot be checked", rule.Issuer)
	}
	return who, err
}

// challenge is a WWW-Authenticate header, RFC 6750 section 3, which has few characters to say why.
func challenge(code, why string) string {
	why = strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, why)
	return `Bearer realm="evoke", error="` + code + `", error_description="` + why + `"`
}

// worse picks of two refusals the one that says more: a key or token that is good, and not for this, before one that is not.
func worse(a, b error) error {
	if a == nil || errors.Is(a, errForeignJWT) { // another rule may be about its issuer
		return b
	}
	pa, _, _ := answerFor(a)
	pb, _, _ := answerFor(b)
	if pb.Status > pa.Status {
		return b
	}
	return a
}

// setIdentity puts who sent an event into it. What a client has put there itself is taken out.
func setIdentity(e *event.Event, who auth.Identity) {
	if who.Type == "" && !slices.ContainsFunc(e.Extensions, func(x event.Extension) bool { return strings.HasPrefix(x.Name, "auth") }) {
		return // as nearly always
	}
	for _, a := range [...]event.Extension{{Name: authType, Value: who.Type}, {Name: authID, Value: who.ID}, {Name: authClaims, Value: who.Claims}} {
		if a.Value == "" {
			e.DropExtension(a.Name)
			continue
		}
		e.SetExtension(a)
	}
}

package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/evoke-run/evoke/api"
)

const (
	maxToken   = 16 << 10
	maxSubject = 255 // OpenID Connect's own limit
	// leeway is how far clocks may be apart.
	leeway = 30 * time.Second
)

// algorithms are those with a public key. None is no signature, and the HS ones would take a public key for a shared secret.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// InvalidError says why a token is not taken.
type InvalidError struct {
	Reason string
	// Foreign says that it is of another issuer, so nothing else was looked at.
	Foreign bool
}

func (e *InvalidError) Error() string { return e.Reason }

func invalid(format string, args ...any) error {
	return &InvalidError{Reason: fmt.Sprintf(format, args...)}
}

// DeniedError says what a token that is good does not have.
type DeniedError struct{ Reason string }

func (e *DeniedError) Error() string { return e.Reason }

// ErrIssuer is what Verify answers when the keys of the issuer are not to be had.
var ErrIssuer = errors.New("the issuer's keys cannot be fetched")

// VerifierOptions of NewVerifier.
type VerifierOptions struct {
	// Insecure are hosts, with or without port, that may be asked over plain HTTP. Loopback always may.
	Insecure []string
	// Transport does the requests to issuers. Default: one of its own, which honours the proxy of the environment.
	Transport http.RoundTripper
	// Now is the time. Default time.Now.
	Now func() time.Time
	// Logger tells of issuers that cannot be asked. Default none.
	Logger *slog.Logger
}

// Verifier checks JSON Web Tokens. Its methods may be called by many goroutines.
type Verifier struct {
	o      VerifierOptions
	client *http.Client
	recent recent

	mu      sync.Mutex
	issuers map[issuerID]*issuer

	ctx      context.Context // of fetches; ends with Close
	stop     context.CancelFunc
	fetching sync.WaitGroup
}

// NewVerifier makes one that knows nothing yet. Close ends its requests.
func NewVerifier(o VerifierOptions) *Verifier {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	v := &Verifier{o: o, issuers: map[issuerID]*issuer{}}
	v.ctx, v.stop = context.WithCancel(context.Background())
	v.client = &http.Client{Transport: o.Transport, CheckRedirect: checkRedirect}
	return v
}

// Close ends the requests to issuers and waits for them.
func (v *Verifier) Close() {
	v.stop()
	v.fetching.Wait()
	v.client.CloseIdleConnections()
}

// verified is a token whose signature, issuer and times have been checked.
type verified struct {
	claims
	keys *keySet // by which it was
}

// Verify checks a token by a rule and answers who it is of. It fails with *InvalidError for a token that is not good, *DeniedError for one that lacks a claim, and an
// ErrIssuer when nobody can tell.
func (v *Verifier) Verify(ctx context.Context, token string, rule *api.JWTAuth) (Identity, error) {
	if len(token) > maxToken {
		return Identity{}, invalid("the token has %d bytes, the limit is %d", len(token), maxToken)
	}
	from, err := v.issuer(rule)
	if err != nil {
		return Identity{}, err
	}
	now := v.o.Now()
	known, err := v.known(ctx, from, token, now)
	if err != nil {
		return Identity{}, err
	}
	if err := checkTimes(&known.claims, now); err != nil {
		return Identity{}, err
	}
	if !slices.Contains(known.audience, rule.Audience) {
		return Identity{}, invalid("the token is for %s, and not for %q", audienceText(known.audience), rule.Audience)
	}
	for name, value := range rule.Claims {
		if !hasClaim(known.all, name, value) {
			return Identity{}, &DeniedError{fmt.Sprintf("the token has not the claim %s: %s", name, value)}
		}
	}
	return identityOf(known, rule)
}

// Fetch has the keys of a rule's issuer fetched, unless they are here, and fails when they are not to be had.
func (v *Verifier) Fetch(ctx context.Context, rule *api.JWTAuth) error {
	from, err := v.issuer(rule)
	if err != nil {
		return err
	}
	_, err = v.keys(ctx, from, false)
	return err
}

// known is what a token says, if its issuer has signed it: from memory when it was here before and its issuer's keys are the same.
func (v *Verifier) known(ctx context.Context, from *issuer, token string, now time.Time) (*verified, error) {
	at := recentKey{sha256.Sum256([]byte(token)), from}
	if known := v.recent.get(at); known != nil {
		keys, err := v.keys(ctx, from, false)
		if err == nil && keys == known.keys {
			return known, nil
		}
	}
	parsed, err := jose.ParseSignedCompact(token, algorithms())
	if err != nil {
		return nil, parseFault(err)
	}
	if crit, ok := parsed.Signatures[0].Header.ExtraHeaders["crit"]; ok { // an extension that nobody here may ignore; JSON Web Tokens have none in use
		return nil, invalid("the token has the critical header crit: %s, and none is known here", short(fmt.Sprint(crit)))
	}
	known := &verified{}
	if known.claims, err = readClaims(parsed.UnsafePayloadWithoutVerification()); err != nil { // what it says; nothing is believed before its signature is checked
		return nil, invalid("the token's claims cannot be read: %s", plain(err))
	}
	if known.issuer != from.issuer {
		return nil, &InvalidError{Reason: fmt.Sprintf("the token is of issuer %q, and not of %q", short(known.issuer), from.issuer), Foreign: true}
	}
	if err := checkTimes(&known.claims, now); err != nil { // so that old tokens cost no look for their key
		return nil, err
	}
	if known.keys, err = v.checkSignature(ctx, from, parsed); err != nil {
		return nil, err
	}
	if bad := strings.IndexFunc(known.subject, unicode.IsControl); bad >= 0 || len(known.subject) > maxSubject {
		return nil, invalid("the token's sub has control characters or more than %d bytes", maxSubject)
	}
	v.recent.put(at, known)
	return known, nil
}

// checkSignature tries the issuer's keys, and asks once for newer ones when it has none that the token names. It answers those among which one was right.
func (v *Verifier) checkSignature(ctx context.Context, from *issuer, token *jose.JSONWebSignature) (*keySet, error) {
	head := token.Signatures[0].Header
	keys, err := v.keys(ctx, from, false)
	if err != nil {
		return nil, err
	}
	fitting := keys.fitting(head)
	if len(fitting) == 0 {
		if keys, err = v.keys(ctx, from, true); err != nil {
			return nil, err
		}
		if fitting = keys.fitting(head); len(fitting) == 0 {
			return nil, invalid("the token is signed with %s and the key %q, which its issuer does not have", head.Algorithm, short(head.KeyID))
		}
	}
	for _, k := range fitting {
		switch _, err := token.Verify(k.Key); {
		case err == nil:
			return keys, nil
		case !errors.Is(err, jose.ErrCryptoFailure):
			return nil, invalid("the token cannot be checked: %s", plain(err))
		}
	}
	return nil, invalid("the signature of the token is wrong")
}

// parseFault says what is wrong with the form of a token.
func parseFault(err error) error {
	if alg, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok && alg.Got != "" {
		return invalid("the token is signed with %q, which is not taken; its issuer must sign with a key pair, as RS256 and ES256 do", short(string(alg.Got)))
	}
	return invalid("the token is no signed JSON Web Token: %s", plain(err))
}

// plain leaves the library's name out.
func plain(err error) string {
	return short(strings.ReplaceAll(err.Error(), "go-jose/go-jose: ", ""))
}

// short bounds what of a token is repeated.
func short(s string) string {
	const limit = 100
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

func checkTimes(c *claims, now time.Time) error {
	switch {
	case c.expires.IsZero():
		return invalid("the token has no exp: one that never ends is not taken")
	case !now.Before(c.expires.Add(leeway)):
		return invalid("the token has expired at %s", c.expires.UTC().Format(time.RFC3339))
	case now.Add(leeway).Before(c.notBefore):
		return invalid("the token is not valid before %s", c.notBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

func audienceText(a []string) string {
	if len(a) == 0 {
		return "nobody"
	}
	return strconv.Quote(short(strings.Join(a, ", ")))
}

// hasClaim says whether a claim has a value, or is a list with it.
func hasClaim(claims map[string]any, name, want string) bool {
	v, ok := claimOf(claims, name)
	words := name == "scope" || name == "scp"
	return ok && claimIs(v, want, words)
}

// claimOf is the claim of this name, or, when there is none, what is found along its parts: realm_access.roles.
func claimOf(claims map[string]any, name string) (v any, ok bool) {
	if v, ok = claims[name]; ok {
		return v, true
	}
	for {
		part, rest, dotted := strings.Cut(name, ".")
		if !dotted {
			v, ok = claims[part]
			return v, ok
		}
		if claims, ok = claims[part].(map[string]any); !ok {
			return nil, false
		}
		name = rest
	}
}

func claimIs(v any, want string, words bool) bool {
	switch v := v.(type) {
	case string:
		if words {
			for word := range strings.FieldsSeq(v) {
				if word == want {
					return true
				}
			}
		}
		return v == want
	case bool:
		return strconv.FormatBool(v) == want
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			return v.String() == want
		}
		f, err := v.Float64()
		return err == nil && strconv.FormatFloat(f, 'f', -1, 64) == want
	case []any:
		for _, one := range v {
			if _, list := one.([]any); !list && claimIs(one, want, false) {
				return true
			}
		}
	}
	return false
}

package auth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/evoke-run/evoke/api"
)

const (
	freshFor   = 15 * time.Minute // keys are asked for again after it
	staleFor   = 24 * time.Hour   // keys are believed as long when their issuer does not answer
	fetchPause = 10 * time.Second // between the beginnings of two fetches, whatever tokens come
	fetchLimit = 10 * time.Second

	maxDocument = 512 << 10
	maxKeys     = 100
	minRSA      = 2048 // bits
	maxIssuers  = 1000
)

// issuerID is where keys come from.
type issuerID struct{ issuer, jwks string }

// issuer is one source of keys.
type issuer struct {
	issuerID

	mu      sync.Mutex
	keys    *keySet       // nil before the first
	got     time.Time     // when the issuer had these keys
	tried   time.Time     // when the last fetch began
	err     error         // how it failed
	running chan struct{} // closed by the fetch that runs; nil = none does
}

// issuer finds the source of a rule's keys, or refuses its address.
func (v *Verifier) issuer(rule *api.JWTAuth) (*issuer, error) {
	at := issuerID{rule.Issuer, rule.JWKS}
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := v.issuers[at]; i != nil {
		return i, nil
	}
	if err := v.CheckRule(rule); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	for other := range v.issuers {
		if len(v.issuers) < maxIssuers {
			break
		}
		delete(v.issuers, other) // any: it is fetched again when it is needed
	}
	i := &issuer{issuerID: at}
	v.issuers[at] = i
	return i, nil
}

// CheckRule refuses an issuer that may not be asked: over plain HTTP anybody on the way could put keys in its place.
func (v *Verifier) CheckRule(rule *api.JWTAuth) error {
	for _, address := range []string{rule.Issuer, rule.JWKS} {
		if address == "" || address == rule.Issuer && rule.JWKS != "" {
			continue // the issuer is only a name when it is known where its keys are
		}
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		if err := v.checkScheme(u); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) checkScheme(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && (api.IsLoopback(u) || slices.Contains(v.o.Insecure, u.Host) || slices.Contains(v.o.Insecure, u.Hostname())) {
		return nil
	}
	return fmt.Errorf("issuer %s is not https: its keys could be anybody's; use https, or name the host in --insecure-issuers of the runtime", u.Redacted())
}

// checkNext refuses an address that an issuer names when it is not https, but for its own: what is allowed for this machine is for who wrote fn.yaml, not for issuers.
func checkNext(from, to *url.URL) error {
	if to.Scheme == "https" || to.Scheme == from.Scheme && to.Host == from.Host {
		return nil
	}
	return fmt.Errorf("%s names %s for its keys, which is not https", from.Redacted(), to.Redacted())
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 3 {
		return errors.New("more than 3 redirects")
	}
	return checkNext(via[0].URL, r.URL)
}

// keys are the issuer's: those in memory while they are fresh, and for a while when it does not answer. With newer, which is for a token that names a key that is not
// among them, it waits for the next fetch, unless one was a moment ago.
func (v *Verifier) keys(ctx context.Context, from *issuer, newer bool) (*keySet, error) {
	from.mu.Lock()
	now := v.o.Now()
	age := now.Sub(from.got)
	if from.keys != nil && age < freshFor && !newer {
		defer from.mu.Unlock()
		return from.keys, nil
	}
	if from.running == nil && now.Sub(from.tried) >= fetchPause && v.ctx.Err() == nil {
		from.tried, from.running = now, make(chan struct{})
		v.fetching.Go(func() { v.fetch(from) })
	}
	running := from.running
	if running == nil || from.keys != nil && age < staleFor && !newer {
		defer from.mu.Unlock()
		return from.usable(now)
	}
	from.mu.Unlock()
	select {
	case <-running:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	return from.usable(v.o.Now())
}

// usable are the keys unless they are too old. The caller holds mu.
func (i *issuer) usable(now time.Time) (*keySet, error) {
	if i.keys != nil && now.Sub(i.got) < staleFor {
		return i.keys, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrIssuer, cmp.Or(i.err, errors.New("nobody asks it any more")))
}

// fetch asks the issuer, and keeps what it has when that fails.
func (v *Verifier) fetch(from *issuer) {
	ctx, cancel := context.WithTimeoutCause(v.ctx, fetchLimit, fmt.Errorf("no answer in %s", fetchLimit))
	defer cancel()
	raw, err := v.document(ctx, from.issuerID)
	var keys *keySet
	if err == nil {
		keys, err = parseKeys(raw)
	}
	if err != nil && v.ctx.Err() == nil {
		v.o.Logger.Warn("the keys of an issuer cannot be fetched, those it had stay good for a day", slog.String("issuer", from.issuer), slog.Any("err", err))
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	from.err = err
	if err == nil {
		from.got = v.o.Now()
		if from.keys == nil || !bytes.Equal(from.keys.raw, raw) { // the same set stays: tokens are remembered by it
			from.keys = keys
		}
	}
	close(from.running)
	from.running = nil
}

// document is the issuer's set of keys, as it is.
func (v *Verifier) document(ctx context.Context, from issuerID) ([]byte, error) {
	if from.jwks != "" {
		return v.get(ctx, from.jwks)
	}
	raw, err := v.get(ctx, strings.TrimSuffix(from.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("its openid-configuration is no JSON: %w", err)
	}
	if doc.Issuer != from.issuer {
		return nil, fmt.Errorf("its openid-configuration is of issuer %q; write the issuer exactly so in fn.yaml", short(doc.Issuer))
	}
	issuer, err := url.Parse(from.issuer)
	if err != nil {
		return nil, err
	}
	keys, err := url.Parse(doc.JWKS)
	if err != nil {
		return nil, fmt.Errorf("its openid-configuration has no address of keys: %w", err)
	}
	if err := checkNext(issuer, keys); err != nil {
		return nil, err
	}
	return v.get(ctx, doc.JWKS)
}

func (v *Verifier) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with status %d", address, res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", address, err)
	}
	if len(raw) > maxDocument {
		return nil, fmt.Errorf("%s is longer than %d KiB", address, maxDocument>>10)
	}
	return raw, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Second, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
}

// keySet is what an issuer signs with; it never changes.
type keySet struct {
	raw  []byte
	keys []jose.JSONWebKey
}

// parseKeys reads a JWK set. Keys that are of no use here are left out, as RFC 7517 wants it; a set without any other is an error.
func parseKeys(raw []byte) (*keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("its keys are no JWK set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys, the limit is %d", len(set.Keys), maxKeys)
	}
	out := &keySet{raw: raw}
	for _, text := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(text) == nil && signs(&k) {
			out.keys = append(out.keys, k)
		}
	}
	if len(out.keys) == 0 {
		return nil, fmt.Errorf("none of its %d keys can check a signature here", len(set.Keys))
	}
	return out, nil
}

// signs says whether a key is public, valid, meant for signatures, and long enough.
func signs(k *jose.JSONWebKey) bool {
	if public, ok := k.Key.(*rsa.PublicKey); ok && public.N.BitLen() < minRSA {
		return false
	}
	return k.IsPublic() && k.Valid() && (k.Use == "" || k.Use == "sig")
}

// fitting are the keys that a token may be signed with, by the key and algorithm that its head names.
func (s *keySet) fitting(head jose.Header) (out []jose.JSONWebKey) {
	for _, k := range s.keys {
		if (head.KeyID == "" || k.KeyID == head.KeyID) && (k.Algorithm == "" || k.Algorithm == head.Algorithm) && ofKind(k.Key, head.Algorithm) {
			out = append(out, k)
		}
	}
	return out
}

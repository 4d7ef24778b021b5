package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/evoke-run/evoke/auth"
	"github.com/evoke-run/evoke/event"
	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/scheduler"
)

// onceOf reads the Idempotency-Key header, draft-ietf-httpapi-idempotency-key-header: a string of structured fields, or, as most clients write it, without quotes. It is
// nil without one. Nobody gets the reply of somebody else.
func onceOf(r *http.Request, who auth.Identity, body []byte) (*partition.Once, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return nil, nil
	}
	key := strings.TrimSpace(values[0])
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if len(values) > 1 || key == "" || len(key) > partition.MaxOnceKey || strings.ContainsFunc(key, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' }) {
		return nil, refuse(errInvalid, "send one key for each call, a UUID for instance", "the Idempotency-Key is not 1 to %d printable ASCII characters without quotes in them", partition.MaxOnceKey)
	}
	h := sha256.New()
	for _, part := range []string{r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type")} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(body)
	if who.Type != "" {
		h.Write(digest(who))
	}
	return &partition.Once{Key: key, Request: [16]byte(h.Sum(nil)[:16])}, nil
}

// digest tells one identity from another.
func digest(who auth.Identity) []byte {
	sum := sha256.Sum256([]byte(who.Type + "\x00" + who.ID + "\x00" + who.Claims))
	return sum[:16]
}

// acceptOnce makes the event of a plain request the same one whenever the request is repeated, so that an inbox takes it once. Nobody's is
// taken for somebody else's. A CloudEvent has an id of its own.
func acceptOnce(call *scheduler.Call, who auth.Identity) {
	if call.Once != nil && call.Event.Type == event.HTTPRequestType && call.Event.Request != nil {
		call.Event.ID = call.Once.Key
		if who.Type != "" {
			call.Event.ID += "." + hex.EncodeToString(digest(who))
		}
	}
}

package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"slices"
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
	if encodingOf(r.Header) == binaryEvent { // in the other modes the body has them
		hashAttributes(h, r.Header)
	}
	h.Write(body)
	if who.Type != "" {
		h.Write(digest(who.Type, who.ID, who.Claims))
	}
	return &partition.Once{Key: key, Request: [16]byte(h.Sum(nil)[:16])}, nil
}

// hashAttributes writes the attributes of an event in binary mode, which are headers.
func hashAttributes(h hash.Hash, header http.Header) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if strings.HasPrefix(name, "Ce-") { // each is there once: decodeBinary has seen to that
			h.Write([]byte(name + "\x00" + first(header[name]) + "\x00"))
		}
	}
}

// digest tells one list of texts from another.
func digest(texts ...string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return sum[:16]
}

// acceptOnce makes the event of a plain request the same one whenever the request is repeated, so that an inbox takes it once. Nobody's is
// taken for somebody else's, nor that of one key for that of another. A CloudEvent has an id of its own.
func acceptOnce(call *scheduler.Call, who auth.Identity) {
	if !namesEvent(call) {
		return
	}
	call.Event.ID = call.Once.Key
	if key := call.Event.Key(); key != "" || who.Type != "" {
		call.Event.ID += "." + hex.EncodeToString(digest(who.Type, who.ID, who.Claims, key))
	}
}

// namesEvent says whether the event of a call is known by its Idempotency-Key.
func namesEvent(call *scheduler.Call) bool {
	return call.Once != nil && call.Event.Type == event.HTTPRequestType && call.Event.Request != nil
}

// checkRepeated refuses another request under the key of one that an inbox has: it would be taken for a repetition, and nobody would ever see it.
func (s *Server) checkRepeated(call *scheduler.Call, at partition.Stored) error {
	if !at.Duplicate || !namesEvent(call) {
		return nil
	}
	before, err := s.o.Table.Event(at)
	if errors.Is(err, partition.ErrNotFound) {
		return nil // what is remembered of it is not enough to tell
	}
	if err != nil {
		return fmt.Errorf("compare with the request that came before: %w", err)
	}
	if !isSameRequest(&before, &call.Event) {
		return callError(call.Function, scheduler.ErrOtherRequest)
	}
	return nil
}

// isSameRequest compares what onceOf makes its digest of, but for who sent it, which the ids of the events have.
func isSameRequest(a, b *event.Event) bool {
	type asked struct {
		Method, RawPath string
		Query           [][2]string
	}
	var x, y asked
	if json.Unmarshal(a.Request, &x) != nil || json.Unmarshal(b.Request, &y) != nil { // requestJSON wrote both
		return false
	}
	return x.Method == y.Method && x.RawPath == y.RawPath && slices.Equal(x.Query, y.Query) && a.DataContentType == b.DataContentType && bytes.Equal(a.Data, b.Data)
}

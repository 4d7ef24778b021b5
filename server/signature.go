package server

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // some senders have nothing newer, and HMAC does not need what SHA-1 lost
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
)

// Reasons why a delivery is refused; they are labels of the metric.
const (
	noSignature    = "no-signature"
	badSignature   = "malformed-signature"
	wrongSignature = "wrong-signature"
	noID           = "no-id"
	noTime         = "no-timestamp"
	badTime        = "malformed-timestamp"
	tooOld         = "too-old"
	tooNew         = "from-the-future"
)

// refusal is why a delivery is not what it says to be.
type refusal struct{ reason, detail string }

func (r *refusal) Error() string { return r.detail }

func refusef(reason, format string, args ...any) error {
	return &refusal{reason, fmt.Sprintf(format, args...)}
}

// proof is what a delivery brings along to show who sent it. Whoever knows the secret could make any of its signatures.
type proof struct {
	macs [][]byte // message authentication codes
	sigs [][]byte // ed25519 signatures
	// signed is what they are of, in pieces.
	signed [][]byte
	at     string // its time in Unix seconds; "" = none
	hash   func() hash.Hash
	// key makes a key of a secret; nil = the secret is the key.
	key func(secret []byte) (key, public []byte, err error)
}

// check says whether the proof holds for one of the secrets, and now. It takes as long for a wrong signature as for another.
func (p *proof) check(secrets [][]byte, now time.Time, tolerance time.Duration) error {
	held, useful, useless := false, false, error(nil)
	for _, secret := range secrets {
		key, public := secret, []byte(nil)
		if p.key != nil {
			var err error
			if key, public, err = p.key(secret); err != nil {
				useless = err
				continue
			}
		}
		held, useful = p.holds(key, public) || held, true
	}
	switch {
	case useless != nil && !useful:
		return useless
	case !held:
		return refusef(wrongSignature, "the signature does not fit the body and the secret")
	}
	if p.at == "" {
		return nil
	}
	seconds, err := strconv.ParseInt(p.at, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return refusef(badTime, "the time of the delivery is no number of Unix seconds")
	}
	switch age := now.Sub(time.Unix(seconds, 0)); {
	case age > tolerance:
		return refusef(tooOld, "the delivery is older than %s", tolerance)
	case age < -tolerance:
		return refusef(tooNew, "the time of the delivery is more than %s ahead", tolerance)
	}
	return nil
}

func (p *proof) holds(key, public []byte) bool {
	if public != nil {
		message, held := bytes.Join(p.signed, nil), false
		for _, sig := range p.sigs {
			held = ed25519.Verify(public, message, sig) || held
		}
		return held
	}
	mac := hmac.New(p.hash, key)
	for _, piece := range p.signed {
		mac.Write(piece)
	}
	want, held := mac.Sum(nil), false
	for _, got := range p.macs {
		held = hmac.Equal(got, want) || held
	}
	return held
}

// id is the same for the same signed content, for deliveries that have none of their own.
func (p *proof) id() string {
	h := sha256.New()
	for _, piece := range p.signed {
		h.Write(piece)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// githubProof: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func githubProof(h http.Header, body []byte) (*proof, error) {
	mac, err := hexSignature(h, "X-Hub-Signature-256", "sha256=", sha256.Size)
	return &proof{macs: [][]byte{mac}, signed: [][]byte{body}, hash: sha256.New}, err
}

// slackProof: https://docs.slack.dev/authentication/verifying-requests-from-slack
func slackProof(h http.Header, body []byte) (*proof, error) {
	mac, err := hexSignature(h, "X-Slack-Signature", "v0=", sha256.Size)
	if err != nil {
		return nil, err
	}
	at := h.Get("X-Slack-Request-Timestamp")
	if at == "" {
		return nil, refusef(noTime, "the header X-Slack-Request-Timestamp is missing")
	}
	return &proof{macs: [][]byte{mac}, signed: [][]byte{[]byte("v0:" + at + ":"), body}, at: at, hash: sha256.New}, nil
}

// stripeProof: https://docs.stripe.com/webhooks#verify-manually
func stripeProof(h http.Header, body []byte) (*proof, error) {
	const name = "Stripe-Signature"
	text := h.Get(name)
	if text == "" {
		return nil, refusef(noSignature, "the header %s is missing", name)
	}
	p := &proof{hash: sha256.New}
	for item := range strings.SplitSeq(text, ",") {
		switch key, value, _ := strings.Cut(strings.TrimSpace(item), "="); key {
		case "t":
			p.at = value
		case "v1": // of others, v0 for instance, Stripe says to ignore them
			if mac, err := hex.DecodeString(value); err == nil && len(p.macs) < maxSignatures {
				p.macs = append(p.macs, mac)
			}
		}
	}
	switch {
	case p.at == "":
		return nil, refusef(noTime, "the header %s has no t=", name)
	case len(p.macs) == 0:
		return nil, refusef(badSignature, "the header %s has no v1= with hex digits", name)
	}
	p.signed = [][]byte{[]byte(p.at + "."), body}
	return p, nil
}

// maxSignatures is how many of one delivery are looked at: senders have two while they change a key.
const maxSignatures = 8

// standardHeader is a header of Standard Webhooks. Svix, where the standard comes from, and who delivers by it have their own names for them.
func standardHeader(h http.Header, name string) string {
	if text := h.Get("Webhook-" + name); text != "" {
		return text
	}
	return h.Get("Svix-" + name)
}

// standardProof: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func standardProof(h http.Header, body []byte) (*proof, error) {
	id, at, text := standardHeader(h, "Id"), standardHeader(h, "Timestamp"), standardHeader(h, "Signature")
	switch {
	case text == "":
		return nil, refusef(noSignature, "the header Webhook-Signature is missing")
	case id == "":
		return nil, refusef(noID, "the header Webhook-Id is missing")
	case strings.Contains(id, "."): // or what is signed could be cut in another place
		return nil, refusef(noID, "the header Webhook-Id has a dot, which Standard Webhooks forbids")
	case at == "":
		return nil, refusef(noTime, "the header Webhook-Timestamp is missing")
	}
	p := &proof{signed: [][]byte{[]byte(id + "." + at + "."), body}, at: at, hash: sha256.New, key: standardKey}
	for item := range strings.FieldsSeq(text) {
		version, value, _ := strings.Cut(item, ",")
		sig, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(p.macs)+len(p.sigs) == maxSignatures {
			continue
		}
		switch version {
		case "v1":
			p.macs = append(p.macs, sig)
		case "v1a":
			p.sigs = append(p.sigs, sig)
		}
	}
	if p.macs == nil && p.sigs == nil {
		return nil, refusef(badSignature, "the header Webhook-Signature has no v1, or v1a, with base64")
	}
	return p, nil
}

// standardKey reads the forms of Standard Webhooks: whsec_ and base64 for a shared key, whpk_ and base64 for the public key of ed25519. Without either it is base64 alone.
func standardKey(secret []byte) (key, public []byte, err error) {
	text := strings.TrimSpace(string(secret))
	if rest, ok := strings.CutPrefix(text, "whpk_"); ok {
		public, err = base64.StdEncoding.DecodeString(rest)
		if err != nil || len(public) != ed25519.PublicKeySize {
			return nil, nil, errors.New("it begins with whpk_, and no base64 of 32 bytes follows")
		}
		return nil, public, nil
	}
	key, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, nil, errors.New("it is not whsec_ and base64, as Standard Webhooks writes secrets")
	}
	return key, nil, nil
}

// hmacProof is as fn.yaml says.
func hmacProof(t *api.HMAC, idHeader string) func(h http.Header, body []byte) (*proof, error) {
	hashes := map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha512": sha512.New, "sha1": sha1.New}
	parts, _ := t.Parts(idHeader) // a deploy has read it
	return func(h http.Header, body []byte) (*proof, error) {
		text := h.Get(t.Header)
		if text == "" {
			return nil, refusef(noSignature, "the header %s is missing", t.Header)
		}
		p := &proof{hash: hashes[t.Algorithm]}
		mac, err := decodeSignature(text, t.Prefix, t.Encoding)
		if err != nil || len(mac) != p.hash().Size() {
			return nil, refusef(badSignature, "the header %s is not %s of %d bytes behind %q", t.Header, encodingName(t.Encoding), p.hash().Size(), t.Prefix)
		}
		p.macs = [][]byte{mac}
		if t.TimestampHeader != "" {
			if p.at = h.Get(t.TimestampHeader); p.at == "" {
				return nil, refusef(noTime, "the header %s is missing", t.TimestampHeader)
			}
		}
		for i, part := range parts {
			switch part {
			case "{id}":
				id := h.Get(idHeader)
				if id == "" {
					return nil, refusef(noID, "the header %s is missing", idHeader)
				}
				if strings.IndexByte(id, parts[i+1][0]) >= 0 { // or what is signed could be cut in another place
					return nil, refusef(noID, "the header %s has a %q, which divides what is signed", idHeader, parts[i+1][:1])
				}
				p.signed = append(p.signed, []byte(id))
			case "{body}":
				p.signed = append(p.signed, body)
			case "{timestamp}":
				p.signed = append(p.signed, []byte(p.at))
			default:
				p.signed = append(p.signed, []byte(part))
			}
		}
		return p, nil
	}
}

func encodingName(encoding string) string {
	if encoding == "" {
		return "hex"
	}
	return encoding
}

func decodeSignature(text, prefix, encoding string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, errors.New("no prefix")
	}
	if encoding == "base64" {
		return base64.StdEncoding.DecodeString(rest)
	}
	return hex.DecodeString(rest)
}

func hexSignature(h http.Header, name, prefix string, size int) ([]byte, error) {
	text := h.Get(name)
	if text == "" {
		return nil, refusef(noSignature, "the header %s is missing", name)
	}
	mac, err := decodeSignature(text, prefix, "hex")
	if err != nil || len(mac) != size {
		return nil, refusef(badSignature, "the header %s is not %s and %d hex digits", name, prefix, 2*size)
	}
	return mac, nil
}

package server

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
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
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

const tolerance = time.Duration(api.DefaultTolerance)

// headers are name, value, name, value.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func macOf(h func() hash.Hash, key string, pieces ...string) []byte {
	m := hmac.New(h, []byte(key))
	for _, p := range pieces {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

func hexOf(key string, pieces ...string) string {
	return hex.EncodeToString(macOf(sha256.New, key, pieces...))
}

// Of the documentation of Slack, https://docs.slack.dev/authentication/verifying-requests-from-slack.
const slackCommand = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"

// The first cases are what the senders' own documentation shows.
func TestSignaturesThatHold(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	const standardBody, standardID, standardTime = `{"test": 2432232314}`, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
	const ours = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	standard := func(signature string) http.Header {
		return headers("Webhook-Id", standardID, "Webhook-Timestamp", standardTime, "Webhook-Signature", signature)
	}
	asymmetric := "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(standardID+"."+standardTime+"."+standardBody)))
	for name, c := range map[string]struct {
		proof  func(h http.Header, body []byte) (*proof, error)
		secret string
		header http.Header
		body   string
		at     int64
	}{
		"github": {proof: githubProof, secret: "It's a Secret to Everybody", body: "Hello, World!",
			header: headers("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")},
		"slack": {proof: slackProof, secret: "8f742231b10e8888abcd99yyyzzz85a5", body: slackCommand, at: 1531420618,
			header: headers("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", "X-Slack-Request-Timestamp", "1531420618")},
		"standard":                 {proof: standardProof, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body: standardBody, at: 1614265330, header: standard(ours)},
		"standard, base64 alone":   {proof: standardProof, secret: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", body: standardBody, at: 1614265330, header: standard("v0,x v1,QUFB " + ours)},
		"standard, of a new key":   {proof: standardProof, secret: "whpk_" + base64.StdEncoding.EncodeToString(public), body: standardBody, at: 1614265330, header: standard("v1,QUFB " + asymmetric)},
		"standard, names of svix":  {proof: standardProof, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body: standardBody, at: 1614265330, header: headers("Svix-Id", standardID, "Svix-Timestamp", standardTime, "Svix-Signature", ours)},
		"stripe":                   {proof: stripeProof, secret: "whsec_x", body: "{}", at: 1700000000, header: headers("Stripe-Signature", "t=1700000000,v1="+hexOf("whsec_x", "1700000000.{}")+",v0=ab")},
		"stripe, two keys":         {proof: stripeProof, secret: "whsec_x", body: "{}", at: 1700000000, header: headers("Stripe-Signature", "t=1700000000,v1="+hexOf("other", "1700000000.{}")+", v1="+hexOf("whsec_x", "1700000000.{}"))},
		"hmac":                     {proof: hmacProof(&api.HMAC{Header: "X-Sig"}, ""), secret: "s", body: "b", header: headers("X-Sig", hexOf("s", "b"))},
		"hmac, sha1 and a prefix":  {proof: hmacProof(&api.HMAC{Header: "X-Sig", Prefix: "sha1=", Algorithm: "sha1"}, ""), secret: "s", body: "b", header: headers("X-Sig", "sha1="+hex.EncodeToString(macOf(sha1.New, "s", "b")))},
		"hmac, sha512 and base64":  {proof: hmacProof(&api.HMAC{Header: "X-Sig", Encoding: "base64", Algorithm: "sha512"}, ""), secret: "s", body: "b", header: headers("X-Sig", base64.StdEncoding.EncodeToString(macOf(sha512.New, "s", "b")))},
		"hmac, with a time":        {proof: hmacProof(&api.HMAC{Header: "X-Sig", TimestampHeader: "X-At"}, ""), secret: "s", body: "b", at: 1700000000, header: headers("X-Sig", hexOf("s", "1700000000.b"), "X-At", "1700000000")},
		"hmac, with an id":         {proof: hmacProof(&api.HMAC{Header: "X-Sig", TimestampHeader: "X-At", Signed: "{id}.{timestamp}.{body}"}, "X-Id"), secret: "s", body: "b", at: 1700000000, header: headers("X-Sig", hexOf("s", "7.1700000000.b"), "X-At", "1700000000", "X-Id", "7")},
		"hmac, as another says it": {proof: hmacProof(&api.HMAC{Header: "X-Sig", TimestampHeader: "X-At", Signed: "v1:{body}|{timestamp}"}, ""), secret: "s", body: "b", at: 1700000000, header: headers("X-Sig", hexOf("s", "v1:b|1700000000"), "X-At", "1700000000")},
	} {
		p, err := c.proof(c.header, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		now := time.Unix(c.at, 0)
		for _, secrets := range [][][]byte{{[]byte(c.secret)}, {[]byte("bmV3"), []byte(c.secret)}} { // alone, and the old one of two
			if err := p.check(secrets, now.Add(tolerance), tolerance); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		wrong := func(err error, reason string) {
			t.Helper()
			if r, ok := errors.AsType[*refusal](err); !ok || r.reason != reason {
				t.Errorf("%s: %v, want %s", name, err, reason)
			}
		}
		wrong(p.check([][]byte{[]byte("bmV3")}, now, tolerance), wrongSignature)
		wrong(p.check(nil, now, tolerance), wrongSignature)
		other, err := c.proof(c.header, []byte(c.body+" "))
		if err != nil {
			t.Fatal(err)
		}
		wrong(other.check([][]byte{[]byte(c.secret)}, now, tolerance), wrongSignature)
		if c.at == 0 {
			continue
		}
		wrong(p.check([][]byte{[]byte(c.secret)}, now.Add(tolerance+time.Second), tolerance), tooOld)
		wrong(p.check([][]byte{[]byte(c.secret)}, now.Add(-tolerance-time.Second), tolerance), tooNew)
	}
}

func TestSignaturesThatDoNotHold(t *testing.T) {
	t.Parallel()
	mac := strings.Repeat("ab", 32)
	timed := hmacProof(&api.HMAC{Header: "X-Sig", Prefix: "sha256=", TimestampHeader: "X-At"}, "")
	named := hmacProof(&api.HMAC{Header: "X-Sig", Signed: "{id}.{body}"}, "X-Id")
	for _, c := range []struct {
		proof          func(h http.Header, body []byte) (*proof, error)
		header         http.Header
		reason, detail string
	}{
		{githubProof, headers(), noSignature, "the header X-Hub-Signature-256 is missing"},
		{githubProof, headers("X-Hub-Signature", "sha1="+mac), noSignature, "the header X-Hub-Signature-256 is missing"},
		{githubProof, headers("X-Hub-Signature-256", mac), badSignature, "the header X-Hub-Signature-256 is not sha256= and 64 hex digits"},
		{githubProof, headers("X-Hub-Signature-256", "sha256=ab"), badSignature, "the header X-Hub-Signature-256 is not sha256= and 64 hex digits"},
		{githubProof, headers("X-Hub-Signature-256", "sha256="+strings.Repeat("xy", 32)), badSignature, "the header X-Hub-Signature-256 is not sha256= and 64 hex digits"},
		{slackProof, headers(), noSignature, "the header X-Slack-Signature is missing"},
		{slackProof, headers("X-Slack-Signature", "v1="+mac), badSignature, "the header X-Slack-Signature is not v0= and 64 hex digits"},
		{slackProof, headers("X-Slack-Signature", "v0="+mac), noTime, "the header X-Slack-Request-Timestamp is missing"},
		{stripeProof, headers(), noSignature, "the header Stripe-Signature is missing"},
		{stripeProof, headers("Stripe-Signature", "v1="+mac), noTime, "the header Stripe-Signature has no t="},
		{stripeProof, headers("Stripe-Signature", "t=1,v0="+mac), badSignature, "the header Stripe-Signature has no v1= with hex digits"},
		{stripeProof, headers("Stripe-Signature", "t=1,v1=xyz"), badSignature, "the header Stripe-Signature has no v1= with hex digits"},
		{standardProof, headers(), noSignature, "the header Webhook-Signature is missing"},
		{standardProof, headers("Webhook-Signature", "v1,QUFB"), noID, "the header Webhook-Id is missing"},
		{standardProof, headers("Webhook-Signature", "v1,QUFB", "Webhook-Id", "1.2", "Webhook-Timestamp", "1"), noID, "the header Webhook-Id has a dot, which Standard Webhooks forbids"},
		{standardProof, headers("Webhook-Signature", "v1,QUFB", "Webhook-Id", "1"), noTime, "the header Webhook-Timestamp is missing"},
		{standardProof, headers("Webhook-Signature", "QUFB", "Webhook-Id", "1", "Webhook-Timestamp", "1"), badSignature, "the header Webhook-Signature has no v1, or v1a, with base64"},
		{standardProof, headers("Webhook-Signature", "v1,?", "Webhook-Id", "1", "Webhook-Timestamp", "1"), badSignature, "the header Webhook-Signature has no v1, or v1a, with base64"},
		{timed, headers(), noSignature, "the header X-Sig is missing"},
		{timed, headers("X-Sig", mac), badSignature, `the header X-Sig is not hex of 32 bytes behind "sha256="`},
		{timed, headers("X-Sig", "sha256="+mac), noTime, "the header X-At is missing"},
		{named, headers("X-Sig", mac), noID, "the header X-Id is missing"},
		{named, headers("X-Sig", mac, "X-Id", "1.2"), noID, `the header X-Id has a ".", which divides what is signed`},
	} {
		_, err := c.proof(c.header, nil)
		if r, ok := errors.AsType[*refusal](err); !ok || r.reason != c.reason || r.detail != c.detail {
			t.Errorf("%v: %v, want %s: %s", c.header, err, c.reason, c.detail)
		}
	}
}

// A time is only believed when it is signed, and only as a number.
func TestTimesOfDeliveries(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"now", "1.5", "-5", "1e9", "99999999999999999999", strconv.Itoa(1 << 41)} {
		p, err := stripeProof(headers("Stripe-Signature", fmt.Sprintf("t=%s,v1=%s", at, hexOf("s", at+"."))), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := errors.AsType[*refusal](p.check([][]byte{[]byte("s")}, clock, time.Minute)); !ok || r.reason != badTime || r.detail != "the time of the delivery is no number of Unix seconds" {
			t.Errorf("t=%s: %+v", at, r)
		}
	}
}

// Of two values of a secret one may be of no use; only when none is, the runtime is to blame.
func TestSecretsThatAreNone(t *testing.T) {
	t.Parallel()
	h := headers("Webhook-Id", "1", "Webhook-Timestamp", strconv.FormatInt(clock.Unix(), 10), "Webhook-Signature", "v1,QUFB")
	p, err := standardProof(h, nil)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{
		"whsec_?": "it is not whsec_ and base64, as Standard Webhooks writes secrets", "whsec_": "it is not whsec_ and base64, as Standard Webhooks writes secrets",
		"whpk_QUFB": "it begins with whpk_, and no base64 of 32 bytes follows", "my secret": "it is not whsec_ and base64, as Standard Webhooks writes secrets",
	} {
		err := p.check([][]byte{[]byte(secret)}, clock, time.Minute)
		if _, refused := errors.AsType[*refusal](err); err == nil || refused || err.Error() != want {
			t.Errorf("%s: %v", secret, err)
		}
		if r, ok := errors.AsType[*refusal](p.check([][]byte{[]byte(secret), []byte("whsec_QUFB")}, clock, time.Minute)); !ok || r.reason != wrongSignature {
			t.Errorf("%s and another: %v", secret, r)
		}
	}
}

// Whatever headers say, a proof is refused or checked; without the secret none holds.
func fuzzProof(f *testing.F, of func(h http.Header, body []byte) (*proof, error), set func(h http.Header, signature, at, id string)) {
	f.Fuzz(func(t *testing.T, signature, at, id string, body []byte) {
		h := http.Header{}
		set(h, signature, at, id)
		p, err := of(h, body)
		if err != nil {
			if r, ok := errors.AsType[*refusal](err); !ok || r.reason == "" || r.detail == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(p.macs)+len(p.sigs) == 0 || len(p.macs)+len(p.sigs) > maxSignatures {
			t.Fatalf("%d codes, %d signatures", len(p.macs), len(p.sigs))
		}
		if err := p.check([][]byte{[]byte("whsec_c2VjcmV0IHRoYXQgaXMgbm90IGtub3du")}, time.Unix(1700000000, 0), tolerance); err == nil {
			t.Fatal("holds")
		}
		if len(p.id()) != 32 {
			t.Fatalf("id %q", p.id())
		}
	})
}

func FuzzGitHubSignature(f *testing.F) {
	f.Add("sha256="+strings.Repeat("ab", 32), "", "", []byte("{}"))
	fuzzProof(f, githubProof, func(h http.Header, signature, _, _ string) { h.Set("X-Hub-Signature-256", signature) })
}

func FuzzSlackSignature(f *testing.F) {
	f.Add("v0="+strings.Repeat("ab", 32), "1700000000", "", []byte("{}"))
	fuzzProof(f, slackProof, func(h http.Header, signature, at, _ string) {
		h.Set("X-Slack-Signature", signature)
		h.Set("X-Slack-Request-Timestamp", at)
	})
}

func FuzzStripeSignature(f *testing.F) {
	f.Add("t=1700000000,v1="+strings.Repeat("ab", 32)+",v1=,v0=x", "", "", []byte("{}"))
	f.Add("t=1,t=2,=,,v1=ab"+strings.Repeat(",v1=ab", 20), "", "", []byte("{}"))
	fuzzProof(f, stripeProof, func(h http.Header, signature, _, _ string) { h.Set("Stripe-Signature", signature) })
}

func FuzzStandardSignature(f *testing.F) {
	f.Add("v1,QUFB v1a,QUFB", "1700000000", "msg_1", []byte("{}"))
	f.Add(strings.Repeat("v1a,QUFB ", 20), "1700000000", "msg_1", []byte("{}"))
	fuzzProof(f, standardProof, func(h http.Header, signature, at, id string) {
		h.Set("Webhook-Signature", signature)
		h.Set("Webhook-Timestamp", at)
		h.Set("Webhook-Id", id)
	})
}

func FuzzHMACSignature(f *testing.F) {
	f.Add("sha256="+strings.Repeat("ab", 32), "1700000000", "1", []byte("{}"))
	fuzzProof(f, hmacProof(&api.HMAC{Header: "X-Sig", Prefix: "sha256=", TimestampHeader: "X-At", Signed: "{id}.{timestamp}.{body}"}, "X-Id"), func(h http.Header, signature, at, id string) {
		h.Set("X-Sig", signature)
		h.Set("X-At", at)
		h.Set("X-Id", id)
	})
}

package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestWebhookPaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, ns, want string }{
		{"", "default", "/webhooks/f"}, {"", "acme", "/@acme/webhooks/f"}, {"/webhooks/git", "default", "/webhooks/git"}, {"/webhooks/git", "acme", "/@acme/webhooks/git"},
	} {
		w := api.WebhookTrigger{Path: c.path}
		if got := w.URLPath(c.ns, "f"); got != c.want {
			t.Errorf("%q in %s: %s", c.path, c.ns, got)
		}
	}
	for _, path := range []string{"/webhooks/a", "/webhooks/a-1", "/webhooks/" + strings.Repeat("a", 63)} {
		if err := api.CheckWebhookPath(path); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{"", "/", "/webhooks/", "/webhooks", "/webhooks/A", "/webhooks/-a", "/webhooks/a/b", "/webhooks/a?b", "/webhooks/..", "/webhooks/" + strings.Repeat("a", 64)} {
		if err := api.CheckWebhookPath(path); err == nil || !strings.Contains(err.Error(), `is not /webhooks/NAME, where NAME is 1 to 63 lower-case letters, digits and inner "-"`) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestWhatIsSigned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		h    api.HMAC
		want string
	}{
		{api.HMAC{TimestampHeader: "X", Signed: "{id}.{timestamp}.{body}"}, "{id} . {timestamp} . {body}"}, {api.HMAC{Signed: "{id}:{body}"}, "{id} : {body}"},
		{api.HMAC{}, "{body}"}, {api.HMAC{TimestampHeader: "X"}, "{timestamp} . {body}"}, {api.HMAC{TimestampHeader: "X", Signed: "v1:{timestamp}{timestamp}:{body}}"}, "v1: {timestamp} {timestamp} : {body} }"},
	} {
		if got, err := c.h.Parts(idHeader(c.want)); err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %q, %v", c.h, got, err)
		}
	}
}

// idHeader is one when the id is signed.
func idHeader(signed string) string {
	if strings.Contains(signed, "{id}") {
		return "X-Id"
	}
	return ""
}

// FuzzHMACParts: what is read is all of the text, with the body in it once.
func FuzzHMACParts(f *testing.F) {
	for _, seed := range []string{"{body}", "{timestamp}.{body}", "{", "}{body", "{body}{", "a{timestamp}", "{id}.{timestamp}.{body}", "{id}{body}"} {
		f.Add(seed, "X-At", "X-Id")
		f.Add(seed, "", "")
	}
	f.Fuzz(func(t *testing.T, signed, header, id string) {
		h := api.HMAC{TimestampHeader: header, Signed: signed}
		parts, err := h.Parts(id)
		if err != nil {
			return
		}
		if signed != "" && strings.Join(parts, "") != signed {
			t.Errorf("%q is %q", signed, parts)
		}
		bodies := 0
		for _, p := range parts {
			if p == "{body}" {
				bodies++
			}
		}
		if i := slices.Index(parts, "{id}"); i >= 0 && (id == "" || i+1 == len(parts) || parts[i+1] == "" || parts[i+1][0] == '{') {
			t.Errorf("%q with id header %q is %q", signed, id, parts)
		}
		if bodies != 1 || slices.Contains(parts, "{timestamp}") != (header != "") || header != "" && id != "" && !slices.Contains(parts, "{id}") {
			t.Errorf("%q with header %q is %q", signed, header, parts)
		}
	})
}

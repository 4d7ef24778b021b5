package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestChangesAreRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t, withRoot)
	ci := b.token("ci", api.AccessTokenRequest{Role: "viewer"})
	digest := b.do("PUT", b.admin+"/api/v1/modules/sha256:00", "x", "Authorization", "Bearer "+ci)
	if digest.status != 403 {
		t.Fatalf("a viewer uploads: %d", digest.status)
	}
	for _, request := range []string{"GET /ns/shop/functions", "DELETE /ns/shop/functions/a%2Fb", "POST /ns/shop/functions/nobody/invoke", "PUT /ns/shop/apps/a"} {
		method, path, _ := strings.Cut(request, " ")
		b.do(method, b.admin+"/api/v1"+path, `{"functions":{"x":{"module":"s3cret"}}}`, "Authorization", "Bearer root")
	}
	b.do("DELETE", b.admin+"/api/v1/tokens/ci", "", "Authorization", "Bearer nobody's")
	got := b.do("GET", b.admin+"/api/v1/audit", "", "Authorization", "Bearer root")
	var changes []api.Audit
	if err := json.Unmarshal([]byte(got.body), &changes); err != nil || got.status != 200 {
		t.Fatalf("%d %s: %v", got.status, got.body, err)
	}
	var lines []string
	for _, a := range changes {
		if a.Address != "127.0.0.1" || !a.Time.Equal(clock) {
			t.Errorf("%+v", a)
		}
		lines = append(lines, strings.TrimSpace(strings.Join([]string{a.Who, a.Method, a.Path(), statusOf(a), a.Problem}, " ")))
	}
	want := []string{
		"root PUT /tokens/ci 201",
		"token:ci PUT /modules/sha256:00 403 forbidden",
		"root DELETE /ns/shop/functions/a/b 404 unknown-function",
		"root POST /ns/shop/functions/nobody/invoke 404 unknown-function",
		"root PUT /ns/shop/apps/a 400 wrong-digest",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	for _, secret := range []string{"s3cret", ci, ci[len(ci)-20:]} {
		if strings.Contains(got.body, secret) {
			t.Errorf("the audit log has %q: %s", secret, got.body)
		}
	}
	if got := b.do("GET", b.admin+"/api/v1/audit?since=1h&limit=1", "", "Authorization", "Bearer root"); !strings.Contains(got.body, "/ns/:ns/apps/:app") || strings.Contains(got.body, "tokens") {
		t.Errorf("the newest: %s", got.body)
	}
}

func statusOf(a api.Audit) string {
	text, _ := json.Marshal(a.Status)
	return string(text)
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.o.Audit.Close(); err != nil {
		t.Fatal(err)
	}
	p := b.send("PUT", b.admin+"/api/v1/tokens/first", api.AccessTokenRequest{Role: "admin"}).problem(t)
	if p.Status != 503 || p.Detail != "the audit log cannot be written" || !strings.Contains(p.Next, "nothing was changed") {
		t.Errorf("%+v", p)
	}
	if got := b.do("GET", b.admin+"/api/v1/tokens", ""); got.body != "[]\n" {
		t.Errorf("a token was made: %s", got.body)
	}
}

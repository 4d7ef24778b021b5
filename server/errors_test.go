package server

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/labstack/echo/v4"
)

// Every row is answered under its own name, also when its error is wrapped.
func TestEveryRowOfTheTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	statusOf := map[string]int{}
	for _, r := range table {
		rec := httptest.NewRecorder()
		c := echo.New().NewContext(httptest.NewRequest("GET", "/", nil), rec)
		b.fail(fmt.Errorf("publish to orders: %w", r.err), c)
		got := answer{rec.Code, rec.Header(), rec.Body.String()}
		p := got.problem(t)
		if rec.Code != r.status || p.Type != "https://evoke.run/problems/"+r.slug || p.Title != r.title || p.Detail != "publish to orders: "+r.err.Error() || p.Next != r.next {
			t.Errorf("%v: %+v", r.err, p)
		}
		if (r.after > 0) != (rec.Header().Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After %q", r.err, rec.Header().Get("Retry-After"))
		}
		if !form.MatchString(r.slug) || r.title == "" {
			t.Errorf("%v: slug %q, title %q", r.err, r.slug, r.title)
		}
		if was, ok := statusOf[r.slug]; ok && was != r.status {
			t.Errorf("slug %s has status %d and %d", r.slug, was, r.status)
		}
		statusOf[r.slug] = r.status
	}
	if log := b.logged.String(); log != "" {
		t.Errorf("known errors are logged: %s", log)
	}
}

func TestProblemIsStable(t *testing.T) {
	t.Parallel()
	p, _, known := answerFor(refuse(errUnknownTopic, "try this", "no topic %q", "x"))
	text, err := json.Marshal(p)
	const want = `{"type":"https://evoke.run/problems/unknown-topic","title":"No such topic","status":404,"detail":"no topic \"x\"","next":"try this"}`
	if err != nil || !known || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}

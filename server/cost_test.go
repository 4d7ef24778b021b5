package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/event"
)

// What a request has many of costs no more than it must: these would take minutes if each were compared with each.
func TestManyNamesInConnection(t *testing.T) {
	t.Parallel()
	const n = 200_000
	var options strings.Builder
	h := http.Header{}
	for i := range n {
		fmt.Fprintf(&options, "x-%d, ", i)
		h[fmt.Sprintf("X-%d", i)], h[fmt.Sprintf("Y-%d", i)] = []string{""}, []string{""}
	}
	h["Connection"] = []string{"keep-alive, close", options.String()}
	seen := 0
	for name := range headerPairs(&http.Request{Header: h}, nil) {
		if strings.HasPrefix(name, "x-") {
			t.Fatal(name)
		}
		seen++
	}
	if seen != 1+n { // with host
		t.Errorf("%d", seen)
	}
}

func TestKeyOfABatchIsLookedForOnce(t *testing.T) {
	t.Parallel()
	d := delivery{hook: &hook{key: newKeyPlace("query.k")}, r: &http.Request{URL: &url.URL{RawQuery: strings.Repeat("%41&", 1_000_000) + "k=v"}}}
	events := make([]event.Event, maxBatch)
	if err := d.setKeys(events); err != nil || events[0].Key() != "v" || events[maxBatch-1].Key() != "v" {
		t.Errorf("%q %q %v", events[0].Key(), events[maxBatch-1].Key(), err)
	}
	d.r.URL.RawQuery = "k=" + strings.Repeat("v", 10_000)
	if err := d.setKeys(events); err == nil || !strings.Contains(err.Error(), "the keys of the events have more than 32 MiB together") {
		t.Errorf("a long one for all: %v", err)
	}
}

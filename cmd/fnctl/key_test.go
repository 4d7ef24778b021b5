package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestKeyCreate(t *testing.T) {
	t.Parallel()
	web := api.Key{Namespace: "shop", Name: "web", Functions: []string{"checkout"}, Topics: []string{"orders.*"}}
	f := newFake(t, map[string]any{"PUT /ns/shop/keys/web": api.NewKey{Key: web, Secret: "evk_secret"}})
	f.fnctl("key", "create", "web", "-n", "shop", "--function", "checkout", "--topic", "orders.*", "--rate", "100/s", "--expires", "1d").want(t, 0, "evk_secret\n",
		"made key web for functions checkout and topics orders.*, until it is revoked; this is the only time that it is shown\n")
	if got, want := f.requests(), `PUT /ns/shop/keys/web {"functions":["checkout"],"topics":["orders.*"],"rate":{"limit":100,"period":"1s"},"lifetime":"24h0m0s"}`; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	for rate, want := range map[string]string{
		"100":   "error: --rate is \"100\"; it must be a number and a period\nTry: --rate 100/s, --rate 1000/h or --rate 10/15m\n",
		"0/s":   "error: --rate is \"0/s\"; it must be a number and a period\nTry: --rate 100/s, --rate 1000/h or --rate 10/15m\n",
		"5/day": "error: --rate: \"day\" is not a duration; try 500ms, 30s, 5m, 24h or 14d\nTry: --rate 100/s, --rate 1000/h or --rate 10/15m\n",
	} {
		f.fnctl("key", "create", "web", "--rate", rate).want(t, 2, "", want)
	}
	f.fnctl("key", "create").want(t, 2, "", "error: fnctl key create needs a NAME for the key\nTry: fnctl key create --help\n")
}

func TestKeyLsAndRevoke(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /ns/default/keys": []api.Key{
			{Namespace: "default", Name: "all", Created: now.Add(-time.Hour)},
			{Namespace: "default", Name: "web", Topics: []string{"a", "b.>"}, Rate: &api.KeyRate{Limit: 10, Period: api.Duration(time.Minute)}, Created: now, Expires: now.Add(-1)},
			{Namespace: "default", Name: "slow", Functions: []string{"f"}, Rate: &api.KeyRate{Limit: 1, Period: api.Duration(15 * time.Minute)}, Created: now},
		},
		"DELETE /ns/default/keys/web": stub{status: http.StatusNoContent},
		"GET /ns/none/keys":           []api.Key{},
	})
	f.fnctl("key", "ls").want(t, 0, `NAME   FOR                               RATE    ENDS      AGE
all    everything in namespace default   any     never     1h
web    topics a,b.>                      10/m    expired   0s
slow   functions f                       1/15m   never     0s
`, "")
	f.fnctl("key", "ls", "-n", "none").want(t, 0, "", "no API keys in namespace none\n")
	f.fnctl("key", "revoke", "web").want(t, 0, "", "revoked key web in namespace default\n")
	f.fnctl("key", "revoke", "no").want(t, 3, "", "error: there is no DELETE /ns/default/keys/no\nTry: fnctl ls -n default\n")
}

func FuzzParseKeyRate(f *testing.F) {
	for _, seed := range []string{"", "100/s", "1/15m", "7/14d", "-1/s", "1e9/s", "5/", "/s", "9/s/m"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := parseKeyRate(text)
		if err != nil || rate == nil {
			return
		}
		if rate.Limit < 1 || rate.Period < 0 {
			t.Errorf("%q is read as %+v", text, rate)
		}
		if again, err := parseKeyRate(keyRateText(api.Key{Rate: rate})); rate.Period > 0 && (err != nil || *again != *rate) {
			t.Errorf("%q is shown as %s, which is read as %+v, %v", text, keyRateText(api.Key{Rate: rate}), again, err)
		}
	})
}

package auth

import (
	"testing"
	"time"
)

func TestReadClaims(t *testing.T) {
	t.Parallel()
	c, err := readClaims([]byte(`{"iss":"i","sub":"s","aud":["a","b"],"exp":1769860800.5,"nbf":0,"x":{"y":[1,"z"]}}`))
	if err != nil || c.issuer != "i" || c.subject != "s" || len(c.audience) != 2 || !c.expires.Equal(time.Date(2026, 1, 31, 12, 0, 0, 5e8, time.UTC)) || c.notBefore.Unix() != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if v, ok := claimOf(c.all, "x.y"); !ok || !claimIs(v, "1", false) || !claimIs(v, "z", false) {
		t.Errorf("x.y is %v, %v", v, ok)
	}
	none, err := readClaims([]byte(`{}`))
	if err != nil || none.issuer != "" || none.audience != nil || !none.expires.IsZero() || !none.notBefore.IsZero() {
		t.Errorf("%+v, %v", none, err)
	}
}

func FuzzReadClaims(f *testing.F) {
	for _, seed := range []string{`{"iss":"i","aud":["a"],"exp":1e9,"nbf":-0}`, `{"exp":253402300800}`, `null`, `[]`, `{"aud":{}}`, `{"a":1,"a":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := readClaims(payload)
		if err != nil {
			return
		}
		for _, at := range []time.Time{c.expires, c.notBefore} {
			if !at.IsZero() && (at.Unix() < 0 || at.UTC().Year() > 9999) {
				t.Errorf("%s: %s", payload, at)
			}
		}
		hasClaim(c.all, "a.b.c", "x")
	})
}

package auth

import (
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
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

// Numbers are as the token has them: two ids of 64 bits are two, though a float64 cannot tell them apart.
func TestNumbersOfClaims(t *testing.T) {
	t.Parallel()
	c, err := readClaims([]byte(`{"iss":"i","org":9007199254740993,"list":[9007199254740993],"half":0.50,"big":1e3,"minus":-7}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string]map[string]bool{
		"org":   {"9007199254740993": true, "9007199254740992": false, "9007199254740993.0": false},
		"list":  {"9007199254740993": true, "9007199254740992": false},
		"half":  {"0.5": true, "0.50": false},
		"big":   {"1000": true, "1e3": false},
		"minus": {"-7": true, "7": false},
	} {
		for value, want := range values {
			if hasClaim(c.all, name, value) != want {
				t.Errorf("%s is %v: %s must be %t", name, c.all[name], value, want)
			}
		}
	}
	who, err := identityOf(&verified{claims: c}, &api.JWTAuth{Forward: []string{"org", "list", "half"}})
	if want := `{"half":0.50,"iss":"i","list":[9007199254740993],"org":9007199254740993}`; err != nil || who.Claims != want {
		t.Errorf("forwarded %s, %v, want %s", who.Claims, err, want)
	}
	for _, text := range []string{`{"exp":1}{}`, `{"exp":1} x`, `{"exp":1}}`, `{"a":1,"a":2}`, `{"exp":"1"}`, `{"exp":1e400}`, `null`, `7`} {
		if _, err := readClaims([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
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

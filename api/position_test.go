package api

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestPositions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	token := Token{Directory: 1<<64 - 3, Namespace: "default", Topic: "orders.created", Offsets: []uint64{0, 1, 1 << 40}}.String()
	for text, want := range map[string]string{
		"": "", "latest": "", "earliest": "earliest", "-2h": "2026-01-31T10:00:00Z", "-1d": "2026-01-30T12:00:00Z", token: token,
		"2026-01-31T13:00:00.5+02:00": "2026-01-31T11:00:00.5Z",
	} {
		p, err := ParsePosition(text)
		if got := p.Resolve(now); err != nil || got != want {
			t.Errorf("%q resolves to %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"yesterday":                  "is no position; it is latest, earliest, a time like",
		"2026-01-31":                 "is no position",
		"-0s":                        "is not a time span back from now; try -2h or -7d",
		"-":                          "is not a time span back from now",
		"--2h":                       "is not a time span back from now",
		"pos":                        "is not a token; copy one from fnctl topic tail -o wide",
		"posX-abc":                   "is not a token",
		"pos2-abc":                   "has version 2, this program reads 1: a newer one made it",
		"pos1-":                      "is cut or has a wrong character; copy it whole",
		token[:len(token)-1]:         "is cut or has a wrong character",
		token + "A":                  "is cut or has a wrong character",
		token + "\n":                 "is cut or has a wrong character",
		token[:9] + "z" + token[10:]: "is cut or has a wrong character",
	} {
		if _, err := ParsePosition(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("pos1-", uint64(7), "default", "orders", uint64(900))
	f.Fuzz(func(t *testing.T, text string, directory uint64, namespace, topic string, offset uint64) {
		if token, err := ParseToken(text); err == nil && token.String() != text {
			t.Errorf("%q became %q", text, token)
		}
		want := Token{directory, namespace, topic, []uint64{offset, 0}}
		if got, err := ParseToken(want.String()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
	})
}

// What has a right checksum and is no token still is refused.
func TestTokensWithOtherInsides(t *testing.T) {
	t.Parallel()
	good := Token{Namespace: "n", Topic: "t", Offsets: []uint64{1}}
	if _, err := readToken(nil); err != errShortToken {
		t.Error(err)
	}
	for _, b := range [][]byte{make([]byte, 7), make([]byte, 8), append(make([]byte, 8), 200, 200), append(make([]byte, 8), 0, 0, 3, 1)} {
		if got, err := readToken(b); err != errShortToken {
			t.Errorf("%v became %+v, %v", b, got, err)
		}
	}
	if _, err := readToken(append(make([]byte, 8), 0, 0, 1, 5, 9)); err == nil || !strings.Contains(err.Error(), "has more in it than a token") {
		t.Error(err)
	}
	if got, err := ParseToken(good.String()); err != nil || !reflect.DeepEqual(got, good) {
		t.Errorf("%+v, %v", got, err)
	}
}

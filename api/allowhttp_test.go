package api

import (
	"strings"
	"testing"
)

func TestHTTPTargets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"api.stripe.com:443":     "https://api.stripe.com:443",
		"API.Stripe.com.":        "https://api.stripe.com:443",
		"https://api.stripe.com": "https://api.stripe.com:443",
		"http://localhost:3000":  "http://localhost:3000",
		"http://localhost":       "http://localhost:80",
		"*.example.com":          "https://*.example.com:443",
		"*.example.com:*":        "https://*.example.com:*",
		"*":                      "https://*:443",
		"http://*:*":             "http://*:*",
		"10.0.0.5:8080":          "https://10.0.0.5:8080",
		"http://[::1]:8080":      "http://[::1]:8080",
		"[2001:DB8:0::1]":        "https://[2001:db8::1]:443",
		"my_host":                "https://my_host:443",
		"xn--bcher-kva.example":  "https://xn--bcher-kva.example:443",
	} {
		got, err := ParseHTTPTarget(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestHTTPTargetsThatAreWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              `"" has no host; write api.stripe.com:443, *.example.com or http://localhost:3000`,
		"https://":                      `"https://" has no host`,
		"ftp://a":                       `"ftp://a" begins with neither https:// nor http://`,
		"https://a.b/v1/":               `"https://a.b/v1/" has a path; only the host and port are looked at, write https://a.b`,
		"a.b?x":                         `"a.b?x" has a path; only the host and port are looked at, write a.b`,
		"user:pw@a.b":                   `"user:pw@a.b" has a user in it`,
		"a.b:":                          `"a.b:": the port is empty`,
		"a.b:0":                         `"a.b:0": "0" is no port from 1 to 65535, or *`,
		"a.b:65536":                     `"a.b:65536": "65536" is no port`,
		"a.b:+80":                       `"a.b:+80": "+80" is no port`,
		"a.b:https":                     `"a.b:https": "https" is no port`,
		"::1":                           `"::1": an address of IPv6 is written in brackets, [::1]`,
		"[::1":                          `"[::1": the bracket is not closed`,
		"[::1]x":                        `"[::1]x": behind the bracket there is no port, but "x"`,
		"[fe80::1%eth0]":                `"[fe80::1%eth0]": [fe80::1%eth0] is no address of IPv6`,
		"[10.0.0.1]":                    `"[10.0.0.1]": [10.0.0.1] is no address of IPv6`,
		"a..b":                          `"a..b": the host "a..b" has two dots behind each other`,
		".a":                            `".a": the host ".a" has two dots behind each other, or one at an end`,
		"a.*.b":                         `"a.*.b": the host "a.*.b" has a * that is not alone in the first place; write *.example.com`,
		"*a.b":                          `"*a.b": the host "*a.b" has a * that is not alone in the first place`,
		"*.10.0.0.1":                    `"*.10.0.0.1": nothing is below the address 10.0.0.1`,
		"bücher.example":                `"bücher.example": the host "bücher.example" has the character 'ü'; write the name in its ASCII form, xn--…`,
		"a b":                           `"a b": the host "a b" has the character ' '`,
		"127.1":                         `"127.1": the host "127.1" ends in a number and is no address of IPv4 such as 192.0.2.1`,
		"2130706433":                    `"2130706433": the host "2130706433" ends in a number`,
		"0177.0.0.1":                    `"0177.0.0.1": the host "0177.0.0.1" ends in a number`,
		"0x7f.0.0.0x1":                  `"0x7f.0.0.0x1": the host "0x7f.0.0.0x1" ends in a number`,
		strings.Repeat("a", 64):         "a part of the host",
		strings.Repeat("a.", 130) + "b": "the host has 261 characters, the limit is 253",
	} {
		if got, err := ParseHTTPTarget(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestHTTPTargetAllows(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		target, scheme, host string
		port                 int
		want                 bool
	}{
		{"a.example", "https", "a.example", 443, true},
		{"a.example", "https", "a.example", 8443, false},
		{"a.example", "http", "a.example", 443, false},
		{"a.example", "https", "b.a.example", 443, false},
		{"a.example:*", "https", "a.example", 8443, true},
		{"*.example", "https", "a.example", 443, true},
		{"*.example", "https", "a.b.example", 443, true},
		{"*.example", "https", "example", 443, false},
		{"*.example", "https", ".example", 443, false},
		{"*.example", "https", "badexample", 443, false},
		{"*", "https", "anything.example", 443, true},
		{"*", "https", "93.184.215.14", 443, false},
		{"*", "https", "2606:2800::1", 443, false},
		{"93.184.215.14", "https", "93.184.215.14", 443, true},
		{"http://[::1]:80", "http", "::1", 80, true},
	} {
		target, err := ParseHTTPTarget(tc.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.Allows(tc.scheme, tc.host, tc.port); got != tc.want {
			t.Errorf("%s allows %s %s %d: %v", tc.target, tc.scheme, tc.host, tc.port, got)
		}
	}
}

// FuzzParseHTTPTarget: what is read can be written down and read again, and allows just its own host when it has no star.
func FuzzParseHTTPTarget(f *testing.F) {
	for _, seed := range []string{"api.stripe.com:443", "*.example.com", "http://localhost:3000", "[::1]:*", "*", "127.1", "a.b/c", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseHTTPTarget(text)
		if err != nil {
			return
		}
		again, err := ParseHTTPTarget(target.String())
		if err != nil || again != target {
			t.Errorf("%q is read as %s, and that as %s, %v", text, target, again, err)
		}
		if target.Host != "." && strings.HasPrefix(target.Host, ".") == target.Allows(target.Scheme, target.Host, max(1, target.Port)) {
			t.Errorf("%q: %s and its own host", text, target)
		}
	})
}

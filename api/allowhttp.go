package api

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// HTTPTarget is one entry of allow.http: where a function may send requests.
//
//	api.stripe.com            https, port 443
//	api.stripe.com:8443       https, that port; :* is every port
//	*.example.com             every name below example.com, however deep, but not example.com itself
//	*                         every name
//	http://localhost:3000     http; its port is 80 unless one is given
//	[2001:db8::1]:8443        an address
type HTTPTarget struct {
	Scheme string // "https" or "http"
	Host   string // lower case; of *.example.com it is ".example.com", of * it is "."
	Port   int    // 0 = every port
}

// MaxHTTPTargets is how many entries allow.http has at most.
const MaxHTTPTargets = 256

// ParseHTTPTarget reads an entry of allow.http. What is left out is filled in, so that two entries which allow the same are equal.
func ParseHTTPTarget(text string) (HTTPTarget, error) {
	t := HTTPTarget{Scheme: "https", Port: 443}
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		switch t.Scheme, rest = strings.ToLower(scheme), after; t.Scheme {
		case "https":
		case "http":
			t.Port = 80
		default:
			return t, fmt.Errorf("%q begins with neither https:// nor http://", shortText(text))
		}
	}
	switch {
	case rest == "":
		return t, fmt.Errorf("%q has no host; write api.stripe.com:443, *.example.com or http://localhost:3000", shortText(text))
	case strings.ContainsRune(rest, '@'):
		return t, fmt.Errorf("%q has a user in it; credentials belong into a header of the request, and a secret", shortText(text))
	case strings.ContainsAny(rest, "/?#"):
		return t, fmt.Errorf("%q has a path; only the host and port are looked at, write %s", shortText(text), shortText(text[:len(text)-len(rest)+strings.IndexAny(rest, "/?#")]))
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return t, fmt.Errorf("%q: %w", shortText(text), err)
	}
	switch port {
	case "":
	case "*":
		t.Port = 0
	default:
		if t.Port, err = strconv.Atoi(port); err != nil || t.Port < 1 || t.Port > 65535 || port[0] == '+' {
			return t, fmt.Errorf("%q: %q is no port from 1 to 65535, or *", shortText(text), shortText(port))
		}
	}
	if t.Host, err = targetHost(host); err != nil {
		return t, fmt.Errorf("%q: %w", shortText(text), err)
	}
	return t, nil
}

// splitPort takes host:port apart; an address of IPv6 is in brackets.
func splitPort(s string) (host, port string, err error) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", fmt.Errorf("the bracket is not closed")
		}
		rest := s[end+1:]
		if rest == "" {
			return s[:end+1], "", nil
		}
		if !strings.HasPrefix(rest, ":") || rest == ":" {
			return "", "", fmt.Errorf("behind the bracket there is no port, but %q", shortText(rest))
		}
		return s[:end+1], rest[1:], nil
	}
	host, port, ok := strings.Cut(s, ":")
	switch {
	case ok && strings.Contains(port, ":"):
		return "", "", fmt.Errorf("an address of IPv6 is written in brackets, [%s]", shortText(s))
	case ok && port == "":
		return "", "", fmt.Errorf("the port is empty")
	}
	return host, port, nil
}

func targetHost(host string) (string, error) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", fmt.Errorf("%s is no address of IPv6", shortText(host))
		}
		return addr.String(), nil
	}
	if host == "*" {
		return ".", nil
	}
	name, below := strings.CutPrefix(host, "*.")
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if err := CheckTargetHost(name); err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(name); err == nil && below {
		return "", fmt.Errorf("nothing is below the address %s", name)
	}
	if below {
		return "." + name, nil
	}
	return name, nil
}

// CheckTargetHost says what is wrong with the name of a host, which is in lower case and without a dot at its end, or with an address of IPv4 in its place. Addresses have one form
// only: programs do not agree on what 0177.1, 2130706433 or 127.1 mean.
func CheckTargetHost(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the host is empty")
	case len(name) > 253:
		return fmt.Errorf("the host has %d characters, the limit is 253", len(name))
	}
	var label string
	for label = range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return fmt.Errorf("the host %q has two dots behind each other, or one at an end", shortText(name))
		case len(label) > 63:
			return fmt.Errorf("a part of the host %q has %d characters, the limit is 63", shortText(name), len(label))
		case strings.ContainsRune(label, '*'):
			return fmt.Errorf("the host %q has a * that is not alone in the first place; write *.example.com", shortText(name))
		}
		for _, r := range label {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			case r > 127:
				return fmt.Errorf("the host %q has the character %q; write the name in its ASCII form, xn--…", shortText(name), r)
			default:
				return fmt.Errorf("the host %q has the character %q", shortText(name), r)
			}
		}
	}
	if label[0] >= '0' && label[0] <= '9' && (strings.Trim(label, "0123456789") == "" || strings.HasPrefix(label, "0x")) {
		if _, err := netip.ParseAddr(name); err != nil {
			return fmt.Errorf("the host %q ends in a number and is no address of IPv4 such as 192.0.2.1", shortText(name))
		}
	}
	return nil
}

// Allows says whether the entry is for a scheme, host (in lower case, without a dot at its end and without brackets) and port.
func (t HTTPTarget) Allows(scheme, host string, port int) bool {
	if scheme != t.Scheme || t.Port != 0 && port != t.Port {
		return false
	}
	if !strings.HasPrefix(t.Host, ".") {
		return host == t.Host
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false // an address is no name
	}
	return t.Host == "." || strings.HasSuffix(host, t.Host) && len(host) > len(t.Host)
}

// String is the entry with all that was left out.
func (t HTTPTarget) String() string {
	host := t.Host
	switch {
	case host == ".":
		host = "*"
	case strings.HasPrefix(host, "."):
		host = "*" + host
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	port := "*"
	if t.Port != 0 {
		port = strconv.Itoa(t.Port)
	}
	return t.Scheme + "://" + host + ":" + port
}

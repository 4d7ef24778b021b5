package api

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Auth says who may send to an http trigger or a topic: whoever passes one of its rules.
type Auth struct {
	Any []AuthRule `json:"any"`
}

// AuthRule is one way in. Exactly one is set.
type AuthRule struct {
	Key *KeyAuth `json:"key,omitempty"`
	JWT *JWTAuth `json:"jwt,omitempty"`
}

// KeyAuth lets in who has an API key of the namespace that is for the function or topic.
type KeyAuth struct {
	// Names are the only keys that it lets in; none = all that are for it.
	Names []string `json:"names,omitempty"`
}

// JWTAuth lets in who has a JSON Web Token.
type JWTAuth struct {
	// Issuer is what the token's iss must be. Its keys are found by OpenID discovery, at ISSUER/.well-known/openid-configuration.
	Issuer string `json:"issuer"`
	// Audience must be among the token's aud.
	Audience string `json:"audience"`
	// JWKS is where the issuer's keys are; "" = discovery says.
	JWKS string `json:"jwks,omitempty"`
	// Claims must be in the token: with this value, with a list that has it, or, of scope and scp, with words that it is one of.
	Claims map[string]string `json:"claims,omitempty"`
	// Forward names claims that go to the function with the event, in its attribute authclaims; those of Claims always do.
	Forward []string `json:"forward,omitempty"`
}

// CheckIssuer says what is wrong with the address of an issuer.
func CheckIssuer(address string) error {
	if err := CheckJWKS(address); err != nil {
		return err
	}
	if strings.ContainsAny(address, "?#") {
		return errors.New("has a query or a fragment, which an issuer cannot have")
	}
	return nil
}

// CheckJWKS says what is wrong with the address of an issuer's keys.
func CheckJWKS(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is not an address like https://id.example.com")
	case u.User != nil:
		return errors.New("has a user name or password in it; leave it out")
	case len(address) > 1024:
		return fmt.Errorf("has %d characters, the limit is 1024", len(address))
	}
	return nil
}

// IsLoopback says whether the host of an address is this machine.
func IsLoopback(u *url.URL) bool {
	host := u.Hostname()
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || net.ParseIP(host).IsLoopback()
}

// String says in a line who may.
func (a *Auth) String() string {
	if a == nil || len(a.Any) == 0 {
		return "none"
	}
	var parts []string
	for _, r := range a.Any {
		switch {
		case r.JWT != nil:
			parts = append(parts, "jwt of "+r.JWT.Issuer)
		case r.Key != nil && len(r.Key.Names) > 0:
			parts = append(parts, "key "+strings.Join(r.Key.Names, ", "))
		default:
			parts = append(parts, "key")
		}
	}
	return strings.Join(parts, " or ")
}

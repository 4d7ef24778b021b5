package rules

import (
	"fmt"
	"maps"
	"slices"

	"github.com/evoke-run/evoke/api"
)

// Limits of what auth can say.
const (
	maxAuthRules = 10
	maxClaims    = 20
	maxClaim     = 256 // characters of a claim's name and value, and of an audience
)

// auth checks who is let in to a trigger or topic.
func (f *faults) auth(path string, a *api.Auth) {
	if a == nil {
		return
	}
	if n := len(a.Any); n == 0 || n > maxAuthRules {
		f.add(path, "there are %d ways in, it must be 1 to %d; leave auth out for everybody", n, maxAuthRules)
		return
	}
	for i, r := range a.Any {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case (r.Key == nil) == (r.JWT == nil):
			f.add(at, "has not exactly one of key and jwt")
		case r.Key != nil:
			if len(r.Key.Names) > maxListed {
				f.add(at+".key.names", "there are %d, the limit is %d", len(r.Key.Names), maxListed)
				continue
			}
			for n, name := range r.Key.Names {
				f.name(fmt.Sprintf("%s.key.names[%d]", at, n), name)
			}
		default:
			f.jwt(at+".jwt", r.JWT)
		}
	}
}

func (f *faults) jwt(path string, j *api.JWTAuth) {
	if err := api.CheckIssuer(j.Issuer); err != nil {
		f.add(path+".issuer", "%q %v", shorten(j.Issuer), err)
	}
	if j.JWKS != "" {
		if err := api.CheckJWKS(j.JWKS); err != nil {
			f.add(path+".jwks", "%q %v", shorten(j.JWKS), err)
		}
	}
	if j.Audience == "" || len(j.Audience) > maxClaim {
		f.add(path+".audience", "has %d characters, it must be 1 to %d: without it, a token for another service would be good here", len(j.Audience), maxClaim)
	}
	if len(j.Forward) > maxClaims {
		f.add(path+".forward", "there are %d, the limit is %d", len(j.Forward), maxClaims)
		return
	}
	for i, name := range j.Forward {
		if name == "" || len(name) > maxClaim {
			f.add(fmt.Sprintf("%s.forward[%d]", path, i), "the name of a claim must have 1 to %d characters", maxClaim)
		}
	}
	if len(j.Claims) > maxClaims {
		f.add(path+".claims", "there are %d, the limit is %d", len(j.Claims), maxClaims)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(j.Claims)) {
		if name == "" || len(name) > maxClaim || len(j.Claims[name]) > maxClaim {
			f.add(fmt.Sprintf("%s.claims[%q]", path, shorten(name)), "the name must have 1 to %d characters, and the value at most as many", maxClaim)
		}
	}
}

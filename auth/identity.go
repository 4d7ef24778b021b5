package auth

import (
	"fmt"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/evoke-run/evoke/api"
)

// Identity is who sent something, as the Auth Context extension of CloudEvents says it: the values of authtype, authid and authclaims. The zero value is nobody in particular.
type Identity struct {
	Type   string
	ID     string
	Claims string
}

// Types of identities.
const (
	AppUser        = "app_user"
	ServiceAccount = "service_account"
	APIKey         = "api_key"
	Unknown        = "unknown"
)

// maxForwarded bounds what a token adds to an event.
const maxForwarded = 4 << 10

// identityOf is who a token is of, with its issuer and the claims that the rule names.
func identityOf(v *verified, rule *api.JWTAuth) (Identity, error) {
	claims := map[string]any{"iss": v.issuer}
	for name := range rule.Claims {
		claims[name], _ = claimOf(v.all, name) // it is there, and right
	}
	for _, name := range rule.Forward {
		if value, ok := claimOf(v.all, name); ok {
			claims[name] = value
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return Identity{}, fmt.Errorf("claims of a token: %w", err)
	}
	if len(text) > maxForwarded {
		return Identity{}, &DeniedError{fmt.Sprintf("the claims of the token that go to the function have %d bytes, the limit is %d", len(text), maxForwarded)}
	}
	return Identity{Type: principal(v), ID: v.subject, Claims: string(text)}, nil
}

// principal tells programs from people: a client that got a token for itself is its own subject (RFC 9068, section 2.2).
func principal(v *verified) string {
	if v.subject == "" {
		return Unknown
	}
	for _, name := range [...]string{"client_id", "azp", "cid"} {
		if v.all[name] == v.subject {
			return ServiceAccount
		}
	}
	return AppUser
}

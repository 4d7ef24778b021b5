package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// Secret is what is told of a secret: never its value.
type Secret struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
	// OldUntil is how long webhooks take the value before this one, too; absent when they do not.
	OldUntil time.Time `json:"oldUntil,omitzero"`
	// Key is the id of the key that has sealed the value.
	Key string `json:"key"`
	// UsedBy are the functions whose `secrets:` or triggers name it.
	UsedBy []string `json:"usedBy,omitempty"`
	// Problem says why the value cannot be opened.
	Problem string `json:"problem,omitempty"`
}

// SecretRequest sets a secret: PUT /api/v1/ns/{ns}/secrets/{name}.
type SecretRequest struct {
	// Value is the secret, 1 byte to MaxSecret; base64 on the wire.
	Value []byte `json:"value"`
	// KeepOld is how long webhooks go on taking the value before; 0 = they do not. At most MaxKeepOld.
	KeepOld Duration `json:"keepOld,omitempty"`
}

// Limits of secrets.
const (
	MaxSecret  = 64 << 10
	MaxKeepOld = Duration(30 * 24 * time.Hour)
	MaxSecrets = 64 // that one function names
)

// The pattern is read-only.
var secretName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?$`)

// SecretNameRule says what IsSecretName wants.
const SecretNameRule = "1 to 63 letters, digits, _, - and ., beginning and ending with a letter, a digit or _"

// IsSecretName says whether a secret may have the name.
func IsSecretName(name string) bool { return secretName.MatchString(name) }

// CheckSecretName is an error that says what a secret may be called.
func CheckSecretName(name string) error {
	if !IsSecretName(name) {
		return fmt.Errorf("%q is no name of a secret: it has %s", shortText(name), SecretNameRule)
	}
	return nil
}

// Secrets lists the secrets of a namespace by name, without their values.
func (c *Client) Secrets(ctx context.Context, ns string) ([]Secret, error) {
	return get[[]Secret](ctx, c, request{path: []string{"ns", ns, "secrets"}})
}

// SetSecret makes a secret or exchanges its value, and returns when that is in force on the node that answers.
func (c *Client) SetSecret(ctx context.Context, ns, name string, r SecretRequest) (Secret, error) {
	return withBody[Secret](ctx, c, request{method: http.MethodPut, path: []string{"ns", ns, "secrets", name}}, r)
}

// DeleteSecret removes a secret; a *Problem with status 409 says who uses it, which force passes over.
func (c *Client) DeleteSecret(ctx context.Context, ns, name string, force bool) error {
	query := url.Values{}
	if force {
		query.Set("force", strconv.FormatBool(force))
	}
	return c.send(ctx, request{method: http.MethodDelete, path: []string{"ns", ns, "secrets", name}, query: query})
}

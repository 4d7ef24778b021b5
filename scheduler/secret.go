package scheduler

import (
	"errors"
	"fmt"
	"slices"

	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/sdk/abi"
)

// secret reads a secret as it is now: a new value is there for the next event, without a deploy.
func (h *host) secret(name string) (status int32, answer []byte) {
	f := h.function.spec
	if !slices.Contains(f.Spec.Secrets, name) {
		return abi.StatusDenied, fmt.Appendf(nil, "the secret %.64q is not listed; add it to secrets: of the function in fn.yaml", name)
	}
	values, err := h.scheduler.opts.Registry.Secret(f.Namespace, name)
	if errors.Is(err, registry.ErrNotFound) {
		return abi.StatusNotFound, fmt.Appendf(nil, "the secret %q is not set; set it with fnctl secret set %s", name, name)
	}
	if err != nil {
		return abi.StatusInternal, []byte(err.Error())
	}
	return abi.StatusOK, values[0]
}

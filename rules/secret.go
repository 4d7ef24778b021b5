package rules

import (
	"time"

	"github.com/evoke-run/evoke/api"
)

// Secret checks a secret that is to be kept; the one before counts for keepOld longer.
func Secret(namespace, name string, value []byte, keepOld time.Duration) error {
	f := &faults{}
	f.name("namespace", namespace)
	if !api.IsSecretName(name) {
		f.add("name", "%q is no name of a secret: it has %s", shorten(name), api.SecretNameRule)
	}
	if len(value) == 0 {
		f.add("value", "it is empty")
	} else if len(value) > api.MaxSecret {
		f.add("value", "it has %d bytes, the limit is %d", len(value), api.MaxSecret)
	}
	if keepOld < 0 || keepOld > time.Duration(api.MaxKeepOld) {
		f.add("keepOld", "%s is not between 0 and 30 days", keepOld)
	}
	return f.err()
}

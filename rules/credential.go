package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evoke-run/evoke/api"
)

// maxListed bounds what one credential can name.
const maxListed = 100

// Token checks what a new token for the management API is to be.
func Token(t *api.AccessToken) error {
	f := &faults{}
	f.name("name", t.Name)
	if !slices.Contains(api.Roles[:], t.Role) {
		f.add("role", "%q is no role; there are %s", shorten(t.Role), strings.Join(api.Roles[:], ", "))
	}
	if len(t.Namespaces) > maxListed {
		f.add("namespaces", "there are %d, the limit is %d", len(t.Namespaces), maxListed)
	}
	for i, ns := range t.Namespaces {
		f.name(fmt.Sprintf("namespaces[%d]", i), ns)
	}
	return f.err()
}

// Key checks what a new API key is to be.
func Key(k *api.Key) error {
	f := &faults{}
	f.name("namespace", k.Namespace)
	f.name("name", k.Name)
	if n := len(k.Functions) + len(k.Topics); n > maxListed {
		f.add("functions", "the key is for %d functions and topics, the limit is %d; a topic with * or > can stand for many", n, maxListed)
		return f.err()
	}
	for i, name := range k.Functions {
		f.name(fmt.Sprintf("functions[%d]", i), name)
	}
	for i, topic := range k.Topics {
		f.pattern(fmt.Sprintf("topics[%d]", i), topic)
	}
	if r := k.Rate; r != nil {
		f.limit("rate.limit", r.Limit)
		if r.Period < api.MinPeriod || r.Period > api.MaxPeriod {
			f.add("rate.period", "%s is not between %s and %s", time.Duration(r.Period), time.Duration(api.MinPeriod), time.Duration(api.MaxPeriod))
		}
	}
	return f.err()
}

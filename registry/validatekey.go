package registry

import (
	"fmt"
	"time"

	"github.com/evoke-run/evoke/api"
)

// apiKey checks what a new API key is to be.
func (f *faults) apiKey(k *api.Key) {
	f.name("namespace", k.Namespace)
	f.name("name", k.Name)
	if n := len(k.Functions) + len(k.Topics); n > maxListed {
		f.add("functions", "the key is for %d functions and topics, the limit is %d; a topic with * or > can stand for many", n, maxListed)
		return
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
}

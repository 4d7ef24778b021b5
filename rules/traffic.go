package rules

import (
	"errors"
	"fmt"

	"github.com/evoke-run/evoke/api"
)

func (f *faults) canary(c *api.Canary) {
	if c == nil {
		return
	}
	if wrong, ok := errors.AsType[*api.CanaryError](c.WithDefaults().Check()); ok {
		f.add("canary."+wrong.Field, "%s", wrong.Problem)
	}
}

// Traffic checks shares, which are sorted by revision.
func Traffic(traffic []api.Share) error {
	f := &faults{}
	sum := 0
	for i, s := range traffic {
		at := fmt.Sprintf("traffic[%d]", i)
		if s.Revision < 1 {
			f.add(at+".revision", "%d is no revision; they count from 1", s.Revision)
		}
		if s.Percent < 1 || s.Percent > 100 {
			f.add(at+".percent", "%d is not between 1 and 100; leave out a revision that gets nothing", s.Percent)
		}
		if i > 0 && traffic[i-1].Revision == s.Revision {
			f.add(at+".revision", "revision %d is named twice", s.Revision)
		}
		sum += s.Percent
	}
	if len(traffic) > 0 && sum != 100 && len(f.list) == 0 {
		f.add("traffic", "the shares add up to %d percent, not to 100", sum)
	}
	return f.err()
}

package manifest

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/evoke-run/evoke/api"
)

// position reads where a trigger starts into out.
func (d *decoder) position(out *string) func(value) {
	return func(v value) {
		if _, isInt := v.node.(*ast.IntegerNode); isInt {
			d.fault(v.at(), "%s: %s is no position; try -2h, or a time like 2026-01-31T12:00:00Z", v.path, kindName(v.node))
			return
		}
		s, ok := d.text(v, "latest, earliest, a time, a time span back like -2h, or a token of fnctl topic tail -o wide")
		if !ok {
			return
		}
		if _, err := api.ParsePosition(s); err != nil || s == "" {
			d.fault(v.at(), "%s: %s", v.path, positionFault(s, err))
			return
		}
		*out = s
	}
}

func positionFault(s string, err error) string {
	if s == "" {
		return "it is empty; leave it out to begin with the events after the deploy"
	}
	return err.Error()
}

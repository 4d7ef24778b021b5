package manifest

import "github.com/evoke-run/evoke/api"

// concurrency reads a number, a limit of each key, or a list of both.
func (d *decoder) concurrency(v value, out *api.FunctionSpec) {
	items := []value{v}
	if kindName(v.node) == "a list" {
		items = d.items(v, "a list of limits")
	}
	numbers, keys := 0, 0
	for _, item := range items {
		if kindName(item.node) == "a map" {
			keys++
			out.KeyConcurrency = d.keyLimit(item)
			continue
		}
		numbers++
		d.limit(&out.Concurrency)(item)
	}
	if numbers > 1 || keys > 1 {
		d.fault(v.at(), "%s has more than one limit of a kind; write one number and one { limit: 2, key: subject } at most", v.path)
	}
}

func (d *decoder) keyLimit(v value) *api.KeyLimit {
	out := &api.KeyLimit{}
	limited, keyed := false, false
	ok := d.object(v, keys{read: map[string]func(value){
		"limit": func(v value) { limited = true; d.limit(&out.Limit)(v) },
		"key":   func(v value) { keyed = true; d.anyText(&out.Key, keyExample)(v) },
	}})
	if ok && !(limited && keyed) {
		d.fault(v.at(), "%s needs both limit and key; write { limit: 2, key: subject }, or only the number for all keys together", v.path)
	}
	return out
}

const keyExample = "an expression like subject or data.customer"

// rate reads so many in a period. With queues what is more waits, and burst says how many may begin at once.
func (d *decoder) rate(v value, queues bool) *api.Rate {
	out := &api.Rate{}
	limited, timed := false, false
	read := map[string]func(value){
		"limit":  func(v value) { limited = true; d.limit(&out.Limit)(v) },
		"period": func(v value) { timed = true; d.duration(&out.Period)(v) },
		"key":    d.anyText(&out.Key, keyExample),
	}
	if queues {
		read["burst"] = d.limit(&out.Burst)
	}
	ok := d.object(v, keys{read: read})
	if ok && !(limited && timed) {
		d.fault(v.at(), "%s needs both limit and period; write { limit: 10, period: 1s }", v.path)
	}
	return out
}

// adaptive reads true, false, or a map.
func (d *decoder) adaptive(v value) *api.Adaptive {
	out := &api.Adaptive{}
	if kindName(v.node) == "a map" {
		d.object(v, keys{read: map[string]func(value){"latency": d.duration(&out.Latency)}})
		return out
	}
	on := true
	d.boolean(&on)(v)
	if on {
		return nil
	}
	out.Off = true
	return out
}

package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/sdk/abi"
)

// listState answers state.list: a page of the names of the entries under the event's key, with what the delivery has written itself. What it saw of others counts as read.
func (h *host) listState(request []byte) (status int32, answer []byte) {
	prefix, after, reason := abi.ParseStateList(request)
	if reason != "" {
		return abi.StatusInvalid, []byte(reason)
	}
	for {
		names, more, err := h.page(prefix, after)
		if err != nil {
			return abi.StatusInternal, []byte(err.Error())
		}
		if h.listed > abi.MaxStateNames {
			return abi.StatusTooLarge, fmt.Appendf(nil, "the delivery lists more than %d names of state entries", abi.MaxStateNames)
		}
		if len(names) == 0 && more { // it has deleted them all
			after = h.lists[len(h.lists)-1].UpTo
			continue
		}
		for _, name := range names {
			answer = abi.AppendText(answer, name)
		}
		if more {
			return abi.StatusPartial, answer
		}
		return abi.StatusOK, answer
	}
}

// page reads the next names, and puts the delivery's own in their places.
func (h *host) page(prefix, after string) (names []string, more bool, err error) {
	spec := h.function.spec
	seen, more, err := h.scheduler.opts.Table.StateNames(spec.Namespace, spec.Name, h.key, prefix, after, abi.MaxStatePage)
	if err != nil {
		return nil, false, fmt.Errorf("list state: %w", err)
	}
	list := partition.StateList{Prefix: prefix, After: after, Seen: seen}
	if more {
		list.UpTo = seen[len(seen)-1].Name
	}
	h.lists = append(h.lists, list)
	h.listed += 1 + len(seen) // also a look at nothing costs something
	for _, e := range seen {
		names = append(names, e.Name)
	}
	for i := range h.state {
		e := &h.state[i]
		if !e.changed || !strings.HasPrefix(e.name, prefix) || after != "" && e.name <= after || more && e.name > list.UpTo {
			continue
		}
		at, there := slices.BinarySearch(names, e.name)
		switch {
		case there && e.value == nil:
			names = slices.Delete(names, at, at+1)
		case !there && e.value != nil:
			names = slices.Insert(names, at, e.name)
		}
	}
	return names, more, nil
}

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// ignoreMember is the member of a golden file that lists places which may differ: ids that are drawn anew, durations. Each is a JSON pointer (RFC 6901), in which * is any member or item.
const ignoreMember = "ignore"

// ignoredText takes the place of what is ignored.
const ignoredText = "(ignored)"

// ignored is the list of a golden file, for the one that takes its place; nil = there is none.
func ignored(golden []byte) []string {
	var o struct {
		Ignore []string `json:"ignore"`
	}
	if json.Unmarshal(golden, &o) != nil {
		return nil
	}
	return o.Ignore
}

// ignore makes the places that expected lists the same in both, and takes the list away. One that is in neither is likely a mistake.
func ignore(expected, got any) error {
	members, _ := expected.(map[string]any)
	list, there := members[ignoreMember]
	if !there {
		return nil
	}
	delete(members, ignoreMember)
	pointers, ok := list.([]any)
	if !ok {
		return fmt.Errorf("%q is a list of places such as \"/reply/data/id\"", ignoreMember)
	}
	for _, p := range pointers {
		text, ok := p.(string)
		if !ok || !strings.HasPrefix(text, "/") {
			return fmt.Errorf("%q lists %v, which is no place; one is written as \"/reply/data/id\", \"/emitted/*/event/data/id\"", ignoreMember, p)
		}
		path := strings.Split(text[1:], "/")
		inExpected, inGot := blank(expected, path), blank(got, path)
		if !inExpected && !inGot {
			return fmt.Errorf("%q lists %q, which is neither in the file nor in what came", ignoreMember, text)
		}
	}
	return nil
}

var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

// blank replaces what is at a path, which is not empty, and says whether there was anything.
func blank(v any, path []string) (found bool) {
	name := pointerEscapes.Replace(path[0])
	at := func(child any, set func(any)) {
		if len(path) == 1 {
			set(ignoredText)
			found = true
		} else if blank(child, path[1:]) {
			found = true
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			if path[0] == "*" || key == name {
				at(child, func(to any) { v[key] = to })
			}
		}
	case []any:
		for i, child := range v {
			if path[0] == "*" || strconv.Itoa(i) == name {
				at(child, func(to any) { v[i] = to })
			}
		}
	}
	return found
}

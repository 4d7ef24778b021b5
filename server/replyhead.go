package server

import (
	"encoding/json"
	"strconv"
	"strings"
)

// replyHead is the JSON of a reply to a plain HTTP request, docs/abi.md section 5.
type replyHead struct {
	Status  *int        `json:"status"`
	Headers [][2]string `json:"headers"`
}

// readHead reads the JSON of a reply, nil for a reply without.
func readHead(b []byte) (h replyHead, err error) {
	if b == nil {
		return replyHead{}, nil
	}
	if h, ok := plainHead(string(b)); ok {
		return h, nil
	}
	err = json.Unmarshal(b, &h)
	return h, err
}

// plainHead reads what nearly every guest writes: both members or the headers alone, without spaces and escapes. ok says that it was that.
func plainHead(s string) (h replyHead, ok bool) {
	if s, ok = strings.CutPrefix(s, "{"); !ok || !isPlain(s) {
		return h, false
	}
	if rest, has := strings.CutPrefix(s, `"status":`); has {
		number, rest, _ := strings.Cut(rest, ",")
		status, err := strconv.Atoi(number)
		if err != nil || strconv.Itoa(status) != number {
			return h, false
		}
		h.Status, s = &status, rest
	}
	if s, ok = strings.CutPrefix(s, `"headers":[`); !ok {
		return h, false
	}
	for separator := `["`; s != "]}"; separator = `,["` {
		if s, ok = strings.CutPrefix(s, separator); !ok {
			return h, false
		}
		var pair [2]string
		var text string
		text, s, _ = strings.Cut(s, `"]`)
		if pair[0], pair[1], ok = strings.Cut(text, `","`); !ok || strings.Contains(pair[0], `"`) || strings.Contains(pair[1], `"`) {
			return h, false
		}
		h.Headers = append(h.Headers, pair)
	}
	return h, true
}

// isPlain says that what quotes enclose in s means itself.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '\\' {
			return false
		}
	}
	return true
}

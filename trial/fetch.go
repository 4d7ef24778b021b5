package trial

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/fetch"
	"github.com/evoke-run/evoke/sdk/abi"
)

// fetch answers http.fetch from the stubs. What fn.yaml does not allow is refused as the runtime does.
func (h *host) fetch(raw []byte) (status int32, answer []byte) {
	r, err := fetch.Parse(raw)
	if err != nil {
		a := fetch.Invalid(err)
		return a.Status, a.Body
	}
	if !h.mayFetch(r.URL) {
		a := fetch.NotAllowed(raw)
		return a.Status, a.Body
	}
	at := slices.IndexFunc(h.stubs.HTTP, func(s api.TrialResponse) bool { return fits(s, r) })
	if at < 0 {
		what := fmt.Sprintf("http: %s %s", r.Method, r.URL)
		h.lacks(what)
		return abi.StatusUnreachable, []byte("no stub answers " + what)
	}
	s := h.stubs.HTTP[at]
	if s.Error != "" {
		return abi.StatusUnreachable, []byte(s.Error)
	}
	body := []byte{}
	if len(s.Data) > 0 {
		body = bytesOf(s.Data)
	}
	if len(body) > r.MaxBytes {
		return abi.StatusTooLarge, fmt.Appendf(nil, "the response has %d bytes, maxBytes is %d", len(body), r.MaxBytes)
	}
	head := responseHead(s, r)
	answer = binary.LittleEndian.AppendUint32(nil, uint32(len(head)))
	return abi.StatusOK, append(append(answer, head...), body...)
}

func (h *host) mayFetch(u *url.URL) bool {
	port, err := strconv.Atoi(u.Port())
	if err != nil { // none
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	return slices.ContainsFunc(h.function.http, func(t api.HTTPTarget) bool { return t.Allows(u.Scheme, u.Hostname(), port) })
}

func fits(s api.TrialResponse, r *fetch.Request) bool {
	if s.Method != "" && !strings.EqualFold(s.Method, r.Method) {
		return false
	}
	if prefix, any := strings.CutSuffix(s.URL, "*"); any {
		return strings.HasPrefix(r.URL.String(), prefix)
	}
	return s.URL == r.URL.String()
}

func responseHead(s api.TrialResponse, r *fetch.Request) []byte {
	out := struct {
		Status  int         `json:"status"`
		URL     string      `json:"url"`
		Headers [][2]string `json:"headers"`
	}{Status: s.Status, URL: r.URL.String(), Headers: [][2]string{}}
	if out.Status == 0 {
		out.Status = 200
	}
	typed := false
	for name, value := range s.Headers {
		typed = typed || strings.EqualFold(name, "content-type")
		out.Headers = append(out.Headers, [2]string{strings.ToLower(name), value})
	}
	if len(s.Data) > 0 && s.Data[0] != '"' && !typed {
		out.Headers = append(out.Headers, [2]string{"content-type", "application/json"})
	}
	slices.SortFunc(out.Headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	b, _ := json.Marshal(out) // texts and numbers
	return b
}

package server

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// minCompressed is how long a reply is that compression pays for: a shorter one fits into a packet in any case.
const minCompressed = 1 << 10

// compressors are used again: a new one takes more memory than most replies.
var compressors = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// compressed is the data of a reply as the client gets it; h is set accordingly. It stays as it is when the client does not ask for gzip, or when nothing is to be gained.
func compressed(h http.Header, r *http.Request, status int, data []byte) []byte {
	if len(data) < minCompressed || status == http.StatusPartialContent || h.Get("Content-Encoding") != "" || h.Get("Content-Range") != "" ||
		hasToken(h.Values("Cache-Control"), "no-transform") || isCompressed(h.Get("Content-Type")) {
		return data
	}
	h.Add("Vary", "Accept-Encoding")
	if !acceptsGzip(r.Header.Values("Accept-Encoding")) {
		return data
	}
	var out bytes.Buffer
	out.Grow(len(data) / 2)
	w := compressors.Get().(*gzip.Writer) //nolint:forcetypeassert // the pool has nothing else
	defer compressors.Put(w)
	w.Reset(&out)
	if _, err := w.Write(data); err != nil || w.Close() != nil || out.Len() >= len(data) {
		return data
	}
	h.Set("Content-Encoding", "gzip")
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag) // a strong one would promise the same bytes to all
	}
	return out.Bytes()
}

// acceptsGzip reads Accept-Encoding, RFC 9110 section 12.5.3.
func acceptsGzip(lines []string) bool {
	others := false
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "gzip", "x-gzip":
				return quality(params) > 0
			case "*":
				others = quality(params) > 0
			}
		}
	}
	return others
}

// quality reads ";q=0.5"; what is not well-formed is 0, not wanted.
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// isCompressed knows the types whose data is compressed by itself.
func isCompressed(contentType string) bool {
	t, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	t = strings.TrimSpace(t)
	family, kind, _ := strings.Cut(t, "/")
	switch family {
	case "image":
		return kind != "svg+xml" && kind != "bmp"
	case "video", "audio":
		return true
	case "font":
		return strings.HasPrefix(kind, "woff")
	}
	for _, sign := range [...]string{"zip", "zstd", "x-7z", "x-xz", "x-bzip", "x-rar", "br", "pdf"} {
		if strings.HasPrefix(kind, sign) || strings.HasSuffix(kind, "+"+sign) || kind == "g"+sign {
			return true
		}
	}
	return false
}

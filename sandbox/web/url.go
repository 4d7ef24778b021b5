package web

import (
	"bytes"
	"net/url"
	"strings"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// Bounds of a URL. The parser goes over all of the user, of a host beyond ASCII and of a path again for each character or segment, and nothing stops it: ten seconds for
// 64 KiB of "@".
const (
	maxURL       = 64 << 10 // bytes
	maxAuthority = 1 << 10  // bytes of user, password, host and port together
	maxSegments  = 4096     // of the path
	maxHref      = 8 * maxURL
)

// parseURL parses a URL (0), relative to a base (1) when there is one. The result is the parts of it, one a line, and nothing for what is no URL.
func parseURL(c *Call) (Result, error) {
	if tooMuch(c.argument(0)) || tooMuch(c.argument(1)) {
		return Result{Text: true}, nil
	}
	var u *whatwg.Url
	var err error
	if c.argument(1) == nil {
		u, err = parser.Parse(c.text(0))
	} else {
		u, err = parser.ParseRef(c.text(1), c.text(0))
	}
	if err != nil {
		return Result{Text: true}, nil
	}
	return urlParts(u), nil
}

var parser = whatwg.NewParser()

// tooMuch says that the parser is not asked about a URL, or a reference to one.
func tooMuch(in []byte) bool {
	if len(in) > maxURL {
		return true
	}
	text := strings.TrimLeftFunc(string(in), func(r rune) bool { return r <= ' ' })
	text = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(text) // as the parser does
	scheme, path, named := strings.Cut(text, ":")
	if named = named && isScheme(scheme); !named {
		path = text
	}
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	special := named && isSpecial(strings.ToLower(scheme))
	authority := strings.TrimLeft(path, `/\`)
	switch slashes := len(path) - len(authority); {
	case named && !special && slashes == 0: // data:text/plain
		return false
	case special || slashes > 1:
		authority, _, _ = strings.Cut(authority, "/")
	default:
		authority = ""
	}
	return len(authority) > maxAuthority || strings.Count(path, "/")+strings.Count(path, `\`) > maxSegments
}

func isScheme(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' && r != '-' && r != '.'
	})
}

func isSpecial(scheme string) bool {
	switch scheme {
	case "http", "https", "ftp", "ws", "wss", "file":
		return true
	}
	return false
}

// setURL sets a part (1) of a URL (0) to a value (2), as its setters do: what does not fit leaves all as it was. There is no result when the value was to be the whole URL and is none.
func setURL(c *Call) (Result, error) {
	part, value := c.word(1), c.argument(2)
	most := maxURL
	switch part {
	case "username", "password", "host", "hostname", "port":
		most = maxAuthority
	}
	if len(value) > most || len(c.argument(0)) > maxHref || part == "pathname" && bytes.Count(value, []byte("/"))+bytes.Count(value, []byte(`\`)) > maxSegments {
		return Result{Text: true}, nil
	}
	if part == "href" {
		return parseURL(&Call{Arguments: c.Arguments[2:]})
	}
	u, err := parser.Parse(c.text(0))
	if err != nil {
		return Result{Text: true}, nil
	}
	set := map[string]func(string){
		"protocol": u.SetProtocol, "username": u.SetUsername, "password": u.SetPassword, "host": u.SetHost, "hostname": u.SetHostname, "port": u.SetPort,
		"pathname": u.SetPathname, "search": u.SetSearch, "hash": u.SetHash,
	}[part]
	if set == nil {
		return Result{}, fail("NotSupportedError", "a URL has no part %q that can be set", part)
	}
	set(string(value))
	return urlParts(u), nil
}

func urlParts(u *whatwg.Url) Result {
	parts := []string{
		u.Href(false), urlOrigin(u), u.Protocol(), u.Username(), u.Password(), u.Host(), u.Hostname(), u.Port(), u.Pathname(), u.Search(), u.Hash(),
	}
	return Result{Bytes: []byte(strings.Join(parts, "\n")), Text: true}
}

// urlOrigin is https://url.spec.whatwg.org/#concept-url-origin as text.
func urlOrigin(u *whatwg.Url) string {
	switch u.Scheme() {
	case "http", "https", "ftp", "ws", "wss":
		return u.Protocol() + "//" + u.Host()
	case "blob":
		if tooMuch([]byte(u.Pathname())) {
			break
		}
		if inner, err := parser.Parse(u.Pathname()); err == nil && (inner.Scheme() == "http" || inner.Scheme() == "https") {
			return urlOrigin(inner)
		}
	}
	return "null"
}

// decodeURLPart decodes a name or a value of a form. A % that no two digits follow stands for itself.
func decodeURLPart(c *Call) (Result, error) {
	in := c.text(0)
	if out, err := url.PathUnescape(in); err == nil {
		text, _ := decodeUTF8([]byte(out))
		return Result{Bytes: text, Text: true}, nil
	}
	out := make([]byte, 0, len(in))
	for n := 0; n < len(in); n++ {
		if in[n] == '%' {
			if b, err := url.PathUnescape(in[n:min(n+3, len(in))]); err == nil {
				out = append(out, b...)
				n += 2
				continue
			}
		}
		out = append(out, in[n])
	}
	text, _ := decodeUTF8(out)
	return Result{Bytes: text, Text: true}, nil
}

package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// claims are what a token says (RFC 7519, section 4.1), and all of it by name.
type claims struct {
	issuer, subject    string
	audience           []string
	expires, notBefore time.Time // zero = it does not say
	all                map[string]any
}

// readClaims reads the payload of a token, by the library's own reading of JSON, which takes no name twice. Numbers stay as they are written: those of 64 bits, as ids are,
// would be others as float64.
func readClaims(payload []byte) (c claims, err error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.SetNumberType(json.UnmarshalJSONNumber)
	if err := d.Decode(&c.all); err != nil {
		return c, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("more follows their JSON")
	}
	if c.all == nil {
		return c, errors.New("they are no JSON object")
	}
	if c.issuer, err = textOf(c.all, "iss"); err != nil {
		return c, err
	}
	if c.subject, err = textOf(c.all, "sub"); err != nil {
		return c, err
	}
	if c.audience, err = textsOf(c.all, "aud"); err != nil {
		return c, err
	}
	if c.expires, err = timeOf(c.all, "exp"); err != nil {
		return c, err
	}
	c.notBefore, err = timeOf(c.all, "nbf")
	return c, err
}

func textOf(all map[string]any, name string) (string, error) {
	v, there := all[name]
	s, ok := v.(string)
	if there && !ok {
		return "", fmt.Errorf("%s is no text", name)
	}
	return s, nil
}

func textsOf(all map[string]any, name string) ([]string, error) {
	switch v := all[name].(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, len(v))
		for i, one := range v {
			s, ok := one.(string)
			if !ok {
				return nil, fmt.Errorf("%s is no list of texts", name)
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s is neither a text nor a list of texts", name)
}

// lastSecond is the end of the year 9999: what is behind it cannot be written as a time.
const lastSecond = 253402300799

func timeOf(all map[string]any, name string) (time.Time, error) {
	v, there := all[name]
	if !there {
		return time.Time{}, nil
	}
	number, _ := v.(json.Number)
	seconds, err := number.Float64() // "" is none
	if err != nil || seconds < 0 || seconds > lastSecond {
		return time.Time{}, fmt.Errorf("%s is no number of seconds since 1970", name)
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

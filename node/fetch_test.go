package node

import (
	"fmt"
	"strings"
	"testing"
)

func TestNetworksThatFunctionsMayReach(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "[]",
		"10.1.0.0/16,fd00::/8":    "[10.1.0.0/16 fd00::/8]",
		"127.0.0.1/32":            "[127.0.0.1/32]",
		"169.254.169.254/32":      "[169.254.169.254/32]",
		"10.1.2.3":                `"10.1.2.3" is no network such as 10.1.0.0/16; a single address is 10.1.2.3/32`,
		"10.0.0.0/33":             `"10.0.0.0/33" is no network`,
		"localhost":               `"localhost" is no network`,
		"10.1.2.3/8":              `"10.1.2.3/8" has bits behind its network; write 10.0.0.0/8, or 10.1.2.3/32 for the address alone`,
		"::ffff:10.0.0.0/104":     `"::ffff:10.0.0.0/104" is a form of IPv6 that stands for addresses of IPv4; write those, as in 10.1.0.0/16`,
		"127.0.0.0/8,fe80::1%a/1": `"fe80::1%a/1" is no network`,
	} {
		c := Config{}
		for part := range strings.SplitSeq(text, ",") {
			if part != "" {
				c.FetchAllow = append(c.FetchAllow, part)
			}
		}
		got, err := c.fetchNetworks()
		if shown := fmt.Sprint(got); err == nil && shown != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v; want %s", text, shown, err, want)
		}
	}
}

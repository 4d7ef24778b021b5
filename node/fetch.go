package node

import (
	"fmt"
	"net/netip"

	"github.com/evoke-run/evoke/fetch"
)

// fetchNetworks reads the networks of the setting fetch-allow.
func (c *Config) fetchNetworks() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range c.FetchAllow {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is no network such as 10.1.0.0/16; a single address is 10.1.2.3/32", text)
		case p.Addr().Is4In6():
			return nil, fmt.Errorf("%q is a form of IPv6 that stands for addresses of IPv4; write those, as in 10.1.0.0/16", text)
		case p != p.Masked():
			return nil, fmt.Errorf("%q has bits behind its network; write %s, or %s for the address alone", text, p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
		}
		out = append(out, p)
	}
	return out, nil
}

// fetchClient makes the requests of functions.
func (n *Node) fetchClient() (*fetch.Client, error) {
	networks, err := n.config.fetchNetworks()
	if err != nil {
		return nil, err
	}
	return fetch.New(fetch.Options{Networks: networks, UserAgent: "evoke/" + Version}), nil
}

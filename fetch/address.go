package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/evoke-run/evoke/api"
)

// metadata is what gives the keys of a machine to everybody who can reach it.
const metadata = "the metadata of the machine"

// special are the networks that are not the internet, and what they are.
//
// It is read-only.
var special = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("169.254.169.254/32"), metadata}, // most clouds
	{netip.MustParsePrefix("169.254.170.2/32"), metadata},   // AWS ECS
	{netip.MustParsePrefix("169.254.170.23/32"), metadata},  // AWS EKS
	{netip.MustParsePrefix("169.254.0.23/32"), metadata},    // Tencent
	{netip.MustParsePrefix("168.63.129.16/32"), metadata},   // Azure
	{netip.MustParsePrefix("100.100.100.200/32"), metadata}, // Alibaba
	{netip.MustParsePrefix("192.0.0.192/32"), metadata},     // Oracle
	{netip.MustParsePrefix("fd00:ec2::254/128"), metadata},  // AWS
	{netip.MustParsePrefix("fd00:ec2::23/128"), metadata},   // AWS EKS
	{netip.MustParsePrefix("fd20:ce::254/128"), metadata},   // Google
	{netip.MustParsePrefix("fe80::a9fe:a9fe/128"), metadata},

	{netip.MustParsePrefix("0.0.0.0/8"), "this machine"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by a carrier (CGNAT)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "this machine"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a relay of 6to4"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for measurements"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},

	{netip.MustParsePrefix("::/128"), "this machine"},
	{netip.MustParsePrefix("::1/128"), "this machine"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "private"},
	{netip.MustParsePrefix("100::/64"), "for discarding"},
	{netip.MustParsePrefix("2001::/32"), "a tunnel (Teredo)"},
	{netip.MustParsePrefix("2001::/23"), "reserved"},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
	{netip.MustParsePrefix("5f00::/16"), "reserved"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "private"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// embedding are the networks whose addresses have one of IPv4 in them, and behind how many bytes. What is connected to may be that.
//
// It is read-only.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // translated (SIIT)
}

// refusal says that an address or a target may not be reached. It is the guest's to see.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// what says which kind of network an address is in; "" = the internet.
func what(addr netip.Addr) string {
	addr = addr.Unmap()
	for _, s := range special {
		if s.prefix.Contains(addr) {
			return s.what
		}
	}
	if !addr.Is6() {
		return ""
	}
	for _, e := range embedding {
		if e.prefix.Contains(addr) {
			b := addr.As16()
			return what(netip.AddrFrom4([4]byte(b[e.at : e.at+4])))
		}
	}
	return ""
}

// mayReach refuses what is not the internet, unless the operator allows it. What is in the middle of a network is not the metadata by intention: it must be named by itself.
func (c *Client) mayReach(host string, addr netip.Addr) error {
	kind, addr := what(addr), addr.Unmap()
	if kind == "" && addr.Zone() == "" {
		return nil
	}
	for _, p := range c.networks {
		if p.Contains(addr) && (kind != metadata || p.IsSingleIP()) {
			return nil
		}
	}
	subject := fmt.Sprintf("%s has the address %s, which is %s", host, addr, kind)
	if host == addr.String() {
		subject = fmt.Sprintf("the address %s is %s", addr, kind)
	}
	return &refusal{fmt.Sprintf("%s; only addresses of the internet may be reached, and those that the operator allows: runtime --fetch-allow %s", subject, netip.PrefixFrom(addr.WithZone(""), addr.BitLen()))}
}

// Closed says which entries of an allow list nothing can be sent to, because the operator does not allow their address.
func (c *Client) Closed(allow []string) (why []string) {
	if c == nil {
		return nil
	}
	for _, text := range allow {
		t, err := api.ParseHTTPTarget(text)
		if err != nil {
			continue // somebody else refuses it
		}
		host := t.Host
		if host == "localhost" {
			host = "127.0.0.1"
		}
		if addr, err := netip.ParseAddr(host); err == nil {
			if err := c.mayReach(t.Host, addr); err != nil {
				why = append(why, fmt.Sprintf("allow.http has %s, to which nothing can be sent: %s", text, err))
			}
		}
	}
	return why
}

// dial connects to an address that was resolved once and checked: another answer of the name's server a moment later changes nothing.
func (c *Client) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the port %q is none", portText)
	}
	addrs, err := c.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		if err := c.mayReach(host, addr); err != nil {
			return nil, err // also when others may: a name that has both is no honest one
		}
	}
	var errs []error
	for i, addr := range addrs {
		conn, err := c.dialOne(ctx, network, netip.AddrPortFrom(addr, uint16(port)), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// connectTimeout is for all addresses of a name together.
const connectTimeout = 10 * time.Second

// dialOne takes no more than its part of the time, so that an address which does not answer leaves some to the others.
func (c *Client) dialOne(ctx context.Context, network string, to netip.AddrPort, left int) (net.Conn, error) {
	limit := connectTimeout
	if at, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(at))
	}
	ctx, cancel := context.WithTimeout(ctx, max(limit/time.Duration(left), time.Millisecond))
	defer cancel()
	return c.dialer.DialContext(ctx, network, to.String())
}

func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

package node

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/evoke-run/evoke/api"
)

// Config says how one runtime runs. NewConfig has the defaults. Each field is a setting of the same name as flag, environment variable (EVOKE_DATA_DIR for
// data-dir) and key of the configuration file; a flag wins over the environment, which wins over the file.
type Config struct {
	DataDir    string
	Listen     string   // gateway, host:port; port 0 takes a free one
	Admin      string   // management API
	AdminToken string   // "" is only allowed on loopback
	AdminHosts []string // more names under which the management API may be called
	// PublicURL is where clients find the gateway, "https://fn.example.com"; "" = its address.
	PublicURL string
	// TLSCert and TLSKey are files in PEM; the gateway speaks TLS when they are set. AdminTLSCert and AdminTLSKey are the management API's.
	TLSCert, TLSKey           string
	AdminTLSCert, AdminTLSKey string
	// TrustedProxies are ranges of addresses whose X-Forwarded-For and X-Forwarded-Proto are believed.
	TrustedProxies []string
	Issuers        []string // hosts whose keys for tokens may come over plain HTTP
	Etcd           []string // URLs of an etcd cluster; none = the embedded one
	Partitions     int
	// SecretsKeyFile has the keys of the secrets, one a line, the first seals. SecretsKey has them in itself and is of the environment only: what processes are called with
	// is seen by others. None = a file in DataDir, made for the first secret.
	SecretsKeyFile string
	SecretsKey     string
	// FetchAllow are networks that functions may send requests to though they are not the internet, in CIDR notation.
	FetchAllow []string
	Node       string // name of this node in the log
	MinFree    float64
	Running    int
	Memory     int64
	Drain      time.Duration
	LogLevel   string
	LogFormat  string
	// StopWithStdin ends the runtime as SIGTERM does when its stdin ends, so that it does not outlive who has started it. It is the program's to heed.
	StopWithStdin bool

	// Compiler is the command of the process that compiles modules, see sandbox.Options. It is the program's to know, not the user's; none = this process
	// compiles, which a module made to hurt the compiler can use up.
	Compiler []string
}

// NewConfig is the configuration that nobody has touched.
func NewConfig() Config {
	return Config{
		DataDir: "evoke-data", Listen: "127.0.0.1:8080", Admin: "127.0.0.1:8081", Partitions: 16, Node: "node-1",
		MinFree: 5, Drain: 30 * time.Second, LogLevel: "info", LogFormat: "text",
	}
}

// setting is one field of Config under its name.
type setting struct {
	name, usage string
	get         func(*Config) string
	set         func(*Config, string) error
}

func (s setting) env() string {
	return "EVOKE_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// settings is the one list of what can be configured.
func settings() []setting {
	return []setting{
		text("data-dir", "directory of everything that is kept", func(c *Config) *string { return &c.DataDir }),
		text("listen", "address of the gateway: events and functions", func(c *Config) *string { return &c.Listen }),
		text("admin", "address of the management API, for fnctl and metrics", func(c *Config) *string { return &c.Admin }),
		text("admin-token", "token that the management API asks for; needed when its address is not loopback", func(c *Config) *string { return &c.AdminToken }),
		list("admin-hosts", "more host names under which the management API may be called, by comma", func(c *Config) *[]string { return &c.AdminHosts }),
		text("public-url", "where clients find the gateway, https://fn.example.com, for the URLs that a deploy shows; empty = its address", func(c *Config) *string { return &c.PublicURL }),
		text("tls-cert", "file of the gateway's certificate, with those that it needs behind it; the gateway then speaks TLS", func(c *Config) *string { return &c.TLSCert }),
		text("tls-key", "file of its key", func(c *Config) *string { return &c.TLSKey }),
		text("admin-tls-cert", "file of the management API's certificate; it then speaks TLS", func(c *Config) *string { return &c.AdminTLSCert }),
		text("admin-tls-key", "file of its key", func(c *Config) *string { return &c.AdminTLSKey }),
		list("trusted-proxies", "addresses or ranges of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, by comma", func(c *Config) *[]string { return &c.TrustedProxies }),
		list("insecure-issuers", "hosts of token issuers that may be asked for their keys over plain HTTP, by comma", func(c *Config) *[]string { return &c.Issuers }),
		list("etcd", "URLs of an etcd cluster, by comma; empty = etcd runs inside this process", func(c *Config) *[]string { return &c.Etcd }),
		number("partitions", "number of partitions, fixed when the data directory is made", func(c *Config) *int { return &c.Partitions }),
		text("secrets-key-file", "file with the keys of the secrets, base64, one a line; empty = secrets.key in the data directory", func(c *Config) *string { return &c.SecretsKeyFile }),
		list("fetch-allow", "networks that functions may reach by http.fetch though they are not the internet, by comma: 10.1.0.0/16,127.0.0.1/32", func(c *Config) *[]string { return &c.FetchAllow }),
		text("node", "name of this node", func(c *Config) *string { return &c.Node }),
		percent("min-free", "part of the disk that must be free for new events to be taken", func(c *Config) *float64 { return &c.MinFree }),
		number("running", "how many functions run at once, without those that sleep; 0 = as many as there are processors", func(c *Config) *int { return &c.Running }),
		size("memory", "what functions that have begun may take together, by their limits; 0 = three quarters of the memory", func(c *Config) *int64 { return &c.Memory }),
		duration("drain", "how long a stop waits for what has started", func(c *Config) *time.Duration { return &c.Drain }),
		text("log-level", "debug, info, warn or error", func(c *Config) *string { return &c.LogLevel }),
		text("log-format", "text or json", func(c *Config) *string { return &c.LogFormat }),
		yesNo("stop-with-stdin", "true or false: stop when stdin ends, as fnctl dev has it, so that the runtime never outlives who has started it", func(c *Config) *bool { return &c.StopWithStdin }),
	}
}

func text(name, usage string, at func(*Config) *string) setting {
	return setting{name, usage,
		func(c *Config) string { return *at(c) },
		func(c *Config, v string) error { *at(c) = v; return nil }}
}

func list(name, usage string, at func(*Config) *[]string) setting {
	return setting{name, usage,
		func(c *Config) string { return strings.Join(*at(c), ",") },
		func(c *Config, v string) error {
			*at(c) = slices.DeleteFunc(strings.Split(v, ","), func(s string) bool { return s == "" })
			return nil
		}}
}

func number(name, usage string, at func(*Config) *int) setting {
	return setting{name, usage,
		func(c *Config) string { return strconv.Itoa(*at(c)) },
		func(c *Config, v string) (err error) {
			if *at(c), err = strconv.Atoi(v); err != nil {
				return fmt.Errorf("%q is not a whole number", v)
			}
			return nil
		}}
}

func size(name, usage string, at func(*Config) *int64) setting {
	return setting{name, usage,
		func(c *Config) string { return api.FormatSize(*at(c)) },
		func(c *Config, v string) (err error) {
			*at(c), err = api.ParseSize(v)
			return err
		}}
}

func percent(name, usage string, at func(*Config) *float64) setting {
	return setting{name, usage,
		func(c *Config) string { return strconv.FormatFloat(*at(c), 'g', -1, 64) + "%" },
		func(c *Config, v string) (err error) {
			if *at(c), err = strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64); err != nil || !strings.HasSuffix(v, "%") {
				return fmt.Errorf("%q is not a percentage such as 5%%", v)
			}
			return nil
		}}
}

func yesNo(name, usage string, at func(*Config) *bool) setting {
	return setting{name, usage,
		func(c *Config) string { return strconv.FormatBool(*at(c)) },
		func(c *Config, v string) (err error) {
			if *at(c), err = strconv.ParseBool(v); err != nil {
				return fmt.Errorf("%q is not true or false", v)
			}
			return nil
		}}
}

func duration(name, usage string, at func(*Config) *time.Duration) setting {
	return setting{name, usage,
		func(c *Config) string { return at(c).String() },
		func(c *Config, v string) (err error) {
			if *at(c), err = time.ParseDuration(v); err != nil {
				return fmt.Errorf("%q is not a duration such as 30s", v)
			}
			return nil
		}}
}

// UsageError is a fault in how the program was called or configured.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }
func (e *UsageError) Unwrap() error { return e.err }

// LoadConfig reads flags, environment and, when --config or EVOKE_CONFIG names one, a file. It returns flag.ErrHelp when help was asked for, which is then on out,
// and *UsageError for what is wrong.
func LoadConfig(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var fromFlags []func(*Config) error
	file := getenv("EVOKE_CONFIG")
	flags := flag.NewFlagSet("runtime", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&file, "config", file, "configuration file")
	for _, s := range settings() {
		flags.Func(s.name, s.usage, func(v string) error {
			fromFlags = append(fromFlags, func(c *Config) error { return wrapSetting("--"+s.name, s.set(c, v)) })
			return nil
		})
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return Config{}, errors.Join(err, printHelp(out))
	} else if err != nil {
		return Config{}, &UsageError{fmt.Errorf("%w; try: runtime --help", err)}
	}
	if flags.NArg() > 0 {
		return Config{}, &UsageError{fmt.Errorf("unexpected argument %q; try: runtime --help", flags.Arg(0))}
	}
	c := NewConfig()
	errs := []error{c.readFile(file), c.readEnv(getenv)}
	for _, set := range fromFlags {
		errs = append(errs, set(&c))
	}
	errs = append(errs, c.Validate())
	if err := errors.Join(errs...); err != nil {
		return Config{}, &UsageError{err}
	}
	return c, nil
}

func wrapSetting(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// secretsKeyEnv has the keys themselves.
const secretsKeyEnv = "EVOKE_SECRETS_KEY"

func (c *Config) readEnv(getenv func(string) string) error {
	var errs []error
	for _, s := range settings() {
		if v := getenv(s.env()); v != "" {
			errs = append(errs, wrapSetting(s.env(), s.set(c, v)))
		}
	}
	c.SecretsKey = getenv(secretsKeyEnv)
	return errors.Join(errs...)
}

func (c *Config) readFile(path string) error {
	if path == "" {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	return c.parseFile(path, raw)
}

// parseFile reads a YAML mapping of settings; lists may be sequences.
func (c *Config) parseFile(path string, raw []byte) error {
	doc, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var errs []error
	for _, d := range doc.Docs {
		switch body := d.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.NullNode:
		case *ast.MappingNode:
			for _, v := range body.Values {
				errs = append(errs, c.readPair(path, v))
			}
		case *ast.MappingValueNode:
			errs = append(errs, c.readPair(path, body))
		default:
			errs = append(errs, fmt.Errorf("%s: not a list of settings such as \"listen: 127.0.0.1:8080\"", path))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) readPair(path string, pair *ast.MappingValueNode) error {
	at := pair.Key.GetToken().Position
	where := fmt.Sprintf("%s:%d:%d", path, at.Line, at.Column)
	name := pair.Key.GetToken().Value
	all := settings()
	i := slices.IndexFunc(all, func(s setting) bool { return s.name == name })
	if i < 0 {
		var names []string
		for _, s := range all {
			names = append(names, s.name)
		}
		return fmt.Errorf("%s: unknown key %q; known are %s", where, name, strings.Join(names, ", "))
	}
	value, ok := scalar(pair.Value)
	if !ok {
		return fmt.Errorf("%s: %s must be one value or a list of values", where, name)
	}
	return wrapSetting(where+": "+name, all[i].set(c, value))
}

// scalar is the text of a plain value; the elements of a list come joined by commas.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.NullNode:
		return "", true
	case *ast.SequenceNode:
		var parts []string
		for _, v := range n.Values {
			s, ok := scalar(v)
			if !ok {
				return "", false
			}
			parts = append(parts, s)
		}
		return strings.Join(parts, ","), true
	case ast.ScalarNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// Validate reports all faults, each with its setting and value.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, name, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(name+": "+format, args...))
		}
	}
	check(c.DataDir != "", "data-dir", "must not be empty")
	for _, a := range []struct{ name, value string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		_, _, err := net.SplitHostPort(a.value)
		check(err == nil, a.name, "%q is not an address such as 127.0.0.1:8080", a.value)
	}
	for _, host := range c.AdminHosts {
		check(isHost(host), "admin-hosts", "%q is not a name such as evoke.internal, with or without a port", host)
	}
	check(c.PublicURL == "" || isBaseURL(c.PublicURL), "public-url", "%q is not an http or https URL without a path, such as https://fn.example.com", c.PublicURL)
	for _, p := range []struct{ name, cert, key string }{{"tls", c.TLSCert, c.TLSKey}, {"admin-tls", c.AdminTLSCert, c.AdminTLSKey}} {
		check((p.cert == "") == (p.key == ""), p.name+"-cert", "%q with %s-key %q: both are needed, or none", p.cert, p.name, p.key)
	}
	for _, text := range c.TrustedProxies {
		_, err := parseRange(text)
		check(err == nil, "trusted-proxies", "%v", err)
	}
	check(c.Partitions >= 1 && c.Partitions <= 1024, "partitions", "%d is not from 1 to 1024", c.Partitions)
	check(c.SecretsKey == "" || c.SecretsKeyFile == "", "secrets-key-file", "%s has keys, too; give one of the two", secretsKeyEnv)
	_, err := c.fetchNetworks()
	check(err == nil, "fetch-allow", "%v", err)
	check(c.MinFree >= 0 && c.MinFree <= 100, "min-free", "%g%% is not from 0%% to 100%%", c.MinFree)
	check(c.Running >= 0, "running", "%d is below 0", c.Running)
	check(c.Drain >= 0, "drain", "%s is below 0", c.Drain)
	check(slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel), "log-level", "%q is not debug, info, warn or error", c.LogLevel)
	check(slices.Contains([]string{"text", "json"}, c.LogFormat), "log-format", "%q is not text or json", c.LogFormat)
	return errors.Join(errs...)
}

// parseRange reads a range of addresses, 10.0.0.0/8, or one address.
func parseRange(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not an address or a range such as 10.0.0.0/8", text)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q is a range with an address inside it; write %s, or the address alone", text, p.Masked())
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is written as IPv6; write its IPv4 form", text)
	case p.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("%q is everybody, and everybody can write what a proxy writes; name the proxies", text)
	}
	return p, nil
}

// proxies are the trusted ones, which have been validated.
func (c *Config) proxies() []netip.Prefix {
	out := make([]netip.Prefix, len(c.TrustedProxies))
	for i, text := range c.TrustedProxies {
		out[i], _ = parseRange(text)
	}
	return out
}

func printHelp(out io.Writer) error {
	defaults := NewConfig()
	var b strings.Builder
	b.WriteString("runtime runs Evoke: functions on events.\n\nusage: runtime [--config FILE] [--SETTING VALUE …]\n       runtime restore [--SETTING VALUE …] FILE|-\n\n" +
		"Each setting is a flag, a variable of the environment, and a key of the file; a flag wins over the\nenvironment, which wins over the file.\n\n")
	fmt.Fprintf(&b, "  --%-12s %-21s %s\n", "config", "EVOKE_CONFIG", "configuration file (YAML)")
	for _, s := range settings() {
		fmt.Fprintf(&b, "  --%-12s %-21s %s (%s)\n", s.name, s.env(), s.usage, cmp.Or(s.get(&defaults), "none"))
	}
	fmt.Fprintf(&b, "\nThe environment can hold the keys of the secrets themselves: %s=KEY[,KEY …].\n", secretsKeyEnv)
	b.WriteString("\nexample: runtime --data-dir /var/lib/evoke --listen 0.0.0.0:8080\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// NewLogger writes log lines as the configuration wants them.
func NewLogger(c Config, out io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		panic(err) // Validate has checked it
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}

// isHost says whether a Host header can be this. There are no wildcards: each name is one under which a page can call the management API.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	u, err := url.Parse("http://" + text)
	return err == nil && text != "" && u.Host == text && !strings.Contains(text, "*")
}

// isBaseURL says whether what the gateway serves can be put behind it.
func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && !strings.ContainsAny(text, "?#")
}

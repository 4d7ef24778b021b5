package node

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// environment answers as os.Getenv does.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "evoke.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shown is a configuration as text, setting by setting.
func shown(c Config) map[string]string {
	out := map[string]string{}
	for _, s := range settings() {
		out[s.name] = s.get(&c)
	}
	return out
}

func TestFlagWinsOverEnvironmentWinsOverFile(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "node: file\ndrain: 1s\npartitions: 1\nlog-level: warn\n")
	c, err := LoadConfig([]string{"--config", file, "--node", "flag"}, environment("EVOKE_NODE", "env", "EVOKE_DRAIN", "2s"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if c.Node != "flag" || c.Drain != 2*time.Second || c.Partitions != 1 || c.LogLevel != "warn" || c.Listen != NewConfig().Listen {
		t.Errorf("got %+v", c)
	}
}

func TestFileIsNamedByFlagOrEnvironment(t *testing.T) {
	t.Parallel()
	one, two := writeFile(t, "node: one\n"), writeFile(t, "node: two\n")
	for want, args := range map[string][]string{"one": nil, "two": {"--config", two}} {
		c, err := LoadConfig(args, environment("EVOKE_CONFIG", one), io.Discard)
		if err != nil || c.Node != want {
			t.Errorf("%q: %s, %v; want %s", args, c.Node, err, want)
		}
	}
}

// Each setting can be given in each of the three ways, and all mean the same.
func TestEverySettingInEveryWay(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"data-dir": "/tmp/x", "listen": "0.0.0.0:1", "admin": "localhost:2", "admin-token": "s3cret", "admin-hosts": "a.example,b.example", "insecure-issuers": "id.internal,id2.internal:81", "trusted-proxies": "10.0.0.0/8,192.0.2.7",
		"tls-cert": "a.pem", "tls-key": "b.pem", "admin-tls-cert": "c.pem", "admin-tls-key": "d.pem",
		"etcd": "http://a:1,http://b:2", "partitions": "4", "secrets-key-file": "/run/keys", "fetch-allow": "10.1.0.0/16,fd00::/8",
		"node": "n2", "min-free": "7.5%", "running": "3", "memory": "1536Mi", "drain": "1m30s",
		"log-level": "debug", "log-format": "json", "public-url": "https://fn.example.com", "stop-with-stdin": "true",
	}
	needs := map[string][]string{ // what makes no sense alone
		"tls-cert": {"--tls-key", "x"}, "tls-key": {"--tls-cert", "x"}, "admin-tls-cert": {"--admin-tls-key", "x"}, "admin-tls-key": {"--admin-tls-cert", "x"},
	}
	for _, s := range settings() {
		v, ok := values[s.name]
		if !ok {
			t.Errorf("no value for %s in this test", s.name)
			continue
		}
		want := NewConfig()
		if err := s.set(&want, v); err != nil {
			t.Fatal(err)
		}
		ways := map[string]func() (Config, error){
			"flag": func() (Config, error) {
				return LoadConfig(append(needs[s.name], "--"+s.name, v), environment(), io.Discard)
			},
			"env": func() (Config, error) { return LoadConfig(needs[s.name], environment(s.env(), v), io.Discard) },
			"file": func() (Config, error) {
				return LoadConfig(append(needs[s.name], "--config", writeFile(t, s.name+": "+v+"\n")), environment(), io.Discard)
			},
		}
		for way, load := range ways {
			c, err := load()
			if err != nil {
				t.Errorf("%s by %s: %v", s.name, way, err)
				continue
			}
			if got := s.get(&c); got != v || shown(c)[s.name] != shown(want)[s.name] {
				t.Errorf("%s by %s is %q, want %q", s.name, way, got, v)
			}
			if shown(c)[s.name] == shown(NewConfig())[s.name] {
				t.Errorf("%s: the test's value is the default", s.name)
			}
		}
	}
}

func TestListsMayBeSequences(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"etcd: [http://a:1, http://b:2]\n", "etcd:\n  - http://a:1\n  - http://b:2\n", "etcd: http://a:1,http://b:2\n"} {
		c := NewConfig()
		if err := c.parseFile("f", []byte(text)); err != nil || !slices.Equal(c.Etcd, []string{"http://a:1", "http://b:2"}) {
			t.Errorf("%q: %q, %v", text, c.Etcd, err)
		}
	}
}

func TestFilesThatAreWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"unknown key":         {"# mine\nnode: a\nlisten_on: x\n", "f:3:1: unknown key \"listen_on\"; known are data-dir, listen, admin, "},
		"the only key":        {"port: 1\n", "f:1:1: unknown key \"port\""},
		"value of a map":      {"node:\n  name: a\n", "f:1:1: node must be one value or a list of values"},
		"list in a list":      {"etcd: [[{a: b}]]\n", "f:1:1: etcd must be one value or a list of values"},
		"not a number":        {"\npartitions: many\n", "f:2:1: partitions: \"many\" is not a whole number"},
		"not a percentage":    {"min-free: 5\n", "f:1:1: min-free: \"5\" is not a percentage such as 5%"},
		"not true, not false": {"stop-with-stdin: maybe\n", "f:1:1: stop-with-stdin: \"maybe\" is not true or false"},
		"not a duration":      {"drain: 30\n", "f:1:1: drain: \"30\" is not a duration such as 30s"},
		"a list":              {"- node: a\n", "f: not a list of settings such as \"listen: 127.0.0.1:8080\""},
		"a word":              {"hello\n", "f: not a list of settings"},
		"not YAML":            {"node: [a\n", "f: [1:7]"},
		"twice":               {"node: a\nnode: b\n", "f: [2:1] mapping key \"node\" already defined at [1:1]"},
		"all at once":         {"a: 1\nb: 2\n", "f:2:1: unknown key \"b\""},
	} {
		c := NewConfig()
		err := c.parseFile("f", []byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want %s", name, err, tc.want)
		}
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "node: a\n"} {
		c := NewConfig()
		if err := c.parseFile("f", []byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestValidateReportsAllFaults(t *testing.T) {
	t.Parallel()
	c := Config{Listen: "8080", Admin: "", AdminHosts: []string{"https://evoke.internal", "evoke.internal", "*.internal", "evoke.internal/", "other.internal:99", "[fd00::1]:8081", "fd00::1"}, PublicURL: "https://fn.example.com/evoke", Partitions: 1025, FetchAllow: []string{"10.1.2.3/16"}, MinFree: 101, Running: -1, Drain: -time.Second, LogLevel: "loud", LogFormat: "xml",
		TLSCert: "c.pem", AdminTLSKey: "k.pem", TrustedProxies: []string{"proxy.example", "10.0.0.1/8", "0.0.0.0/0", "::ffff:10.0.0.0/104", "fe80::1%eth0", "192.0.2.1", "fd00::/8"}}
	want := `data-dir: must not be empty
listen: "8080" is not an address such as 127.0.0.1:8080
admin: "" is not an address such as 127.0.0.1:8080
admin-hosts: "https://evoke.internal" is not a name such as evoke.internal, with or without a port
admin-hosts: "*.internal" is not a name such as evoke.internal, with or without a port
admin-hosts: "evoke.internal/" is not a name such as evoke.internal, with or without a port
public-url: "https://fn.example.com/evoke" is not an http or https URL without a path, such as https://fn.example.com
tls-cert: "c.pem" with tls-key "": both are needed, or none
admin-tls-cert: "" with admin-tls-key "k.pem": both are needed, or none
trusted-proxies: "proxy.example" is not an address or a range such as 10.0.0.0/8
trusted-proxies: "10.0.0.1/8" is a range with an address inside it; write 10.0.0.0/8, or the address alone
trusted-proxies: "0.0.0.0/0" is everybody, and everybody can write what a proxy writes; name the proxies
trusted-proxies: "::ffff:10.0.0.0/104" is written as IPv6; write its IPv4 form
trusted-proxies: "fe80::1%eth0" is not an address or a range such as 10.0.0.0/8
partitions: 1025 is not from 1 to 1024
fetch-allow: "10.1.2.3/16" has bits behind its network; write 10.1.0.0/16, or 10.1.2.3/32 for the address alone
min-free: 101% is not from 0% to 100%
running: -1 is below 0
drain: -1s is below 0
log-level: "loud" is not debug, info, warn or error
log-format: "xml" is not text or json`
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	c = NewConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		env  []string
		want []string
	}{
		"unknown flag":     {[]string{"--lisen", "x"}, nil, []string{"flag provided but not defined: -lisen; try: runtime --help"}},
		"flag without":     {[]string{"--listen"}, nil, []string{"flag needs an argument: -listen; try: runtime --help"}},
		"argument":         {[]string{"serve"}, nil, []string{`unexpected argument "serve"; try: runtime --help`}},
		"no such file":     {[]string{"--config", "/nowhere"}, nil, []string{"read configuration: open /nowhere: no such file or directory"}},
		"each with source": {[]string{"--running", "x"}, []string{"EVOKE_PARTITIONS", "y"}, []string{`EVOKE_PARTITIONS: "y" is not`, `--running: "x" is not`}},
		"and the rules":    {[]string{"--running", "x"}, []string{"EVOKE_LOG_LEVEL", "y"}, []string{`log-level: "y" is not`, `--running: "x" is not`}},
	} {
		_, err := LoadConfig(tc.args, environment(tc.env...), io.Discard)
		var usage *UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%s: %v is no UsageError", name, err)
			continue
		}
		for _, w := range tc.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v; want %s", name, err, w)
			}
		}
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if _, err := LoadConfig([]string{"--help"}, environment(), &out); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("error %v", err)
	}
	for _, s := range settings() {
		if !strings.Contains(out.String(), "--"+s.name+" ") || !strings.Contains(out.String(), s.env()+" ") || !strings.Contains(out.String(), s.usage) {
			t.Errorf("%s is not in the help:\n%s", s.name, &out)
		}
	}
}

// deploy/evoke.yaml shows every setting at its default.
func TestSampleFileIsTheDefaults(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../deploy/evoke.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c Config // not the defaults: the file has to give them
	if err := c.parseFile("evoke.yaml", raw); err != nil {
		t.Fatal(err)
	}
	defaults := shown(NewConfig())
	for name, got := range shown(c) {
		if got != defaults[name] {
			t.Errorf("%s is %q in the file, its default is %q", name, got, defaults[name])
		}
	}
	doc, err := parser.ParseBytes(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, v := range doc.Docs[0].Body.(*ast.MappingNode).Values {
		keys = append(keys, v.Key.GetToken().Value)
	}
	var names []string
	for _, s := range settings() {
		names = append(names, s.name)
	}
	if !slices.Equal(keys, names) {
		t.Errorf("the file has %q, the settings are %q", keys, names)
	}
}

func TestLoggerFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ level, format, want string }{
		{"info", "text", "level=INFO msg=hello"}, {"info", "json", `"level":"INFO","msg":"hello"`}, {"warn", "text", ""}, {"debug", "text", "level=INFO msg=hello"},
	} {
		c := NewConfig()
		c.LogLevel, c.LogFormat = tc.level, tc.format
		var out strings.Builder
		NewLogger(c, &out).Info("hello")
		if !strings.Contains(out.String(), tc.want) || tc.want == "" && out.Len() > 0 {
			t.Errorf("%s, %s: %q, want %q", tc.level, tc.format, &out, tc.want)
		}
	}
}

// FuzzParseFile: never a panic; what is read can be written down and read again.
func FuzzParseFile(f *testing.F) {
	sample, err := os.ReadFile("../deploy/evoke.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(sample), "node: a", "etcd: [a, [b]]", "? a\n: b", "a: &a b\nc: *a", "min-free: 1e400%", "- a", "{}", "node: |\n  a\n", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := NewConfig()
		if err := c.parseFile("f", []byte(text)); err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, s := range settings() {
			again := NewConfig()
			if err := s.set(&again, s.get(&c)); err != nil || s.get(&again) != s.get(&c) {
				t.Errorf("%s: %q is read as %q, %v", s.name, s.get(&c), s.get(&again), err)
			}
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "192.0.2.1", "::1", "fd00::/8", "::ffff:10.0.0.1", "0.0.0.0/0", "fe80::1%eth0", "10.0.0.1/33", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseRange(text)
		if err != nil {
			return
		}
		if p.Bits() == 0 || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" || !p.Contains(p.Addr()) {
			t.Errorf("%q is read as %s", text, p)
		}
	})
}

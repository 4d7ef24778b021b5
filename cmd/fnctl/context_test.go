package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/evoke-run/evoke/api"
)

// user has a directory for configuration and, beside it, variables.
type user struct {
	t   *testing.T
	dir string
	env map[string]string
}

func newUser(t *testing.T, env ...string) *user {
	u := &user{t: t, dir: t.TempDir(), env: map[string]string{}}
	u.env["XDG_CONFIG_HOME"] = u.dir
	for i := 0; i < len(env); i += 2 {
		u.env[env[i]] = env[i+1]
	}
	return u
}

func (u *user) file() string { return filepath.Join(u.dir, "fnctl", "config.yaml") }

func (u *user) fnctl(args ...string) result { return u.fnctlIn("", args...) }

func (u *user) fnctlIn(stdin string, args ...string) result {
	u.t.Helper()
	return execute(u.t.Context(), u.t, stdin, u.env, args...)
}

// witness answers which token and namespace a request had.
func witness(t *testing.T, name string) *fake {
	answer := func(ns string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			writeProblem(w, api.Problem{Status: 418, Title: "seen", Detail: name + " saw " + ns + " with " + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + "."})
		}
	}
	return newFake(t, map[string]any{"GET /ns/default/functions": answer("default"), "GET /ns/shop/functions": answer("shop"), "GET /ns/other/functions": answer("other")})
}

func TestContextsAreKeptAndUsed(t *testing.T) {
	t.Parallel()
	prod, test := witness(t, "prod"), witness(t, "test")
	u := newUser(t)
	u.fnctl("context", "ls").want(t, 0, "", "no contexts; make one with fnctl context set NAME --server URL\n")
	u.fnctlIn("evt_prod\n", "context", "set", "prod", "--server", prod.url+"/", "--token", "-", "-n", "shop").want(t, 0, "", "context prod is "+prod.url+"/, and the current one\n")
	u.fnctl("context", "set", "test", "--server", test.url, "--token", "evt_test").want(t, 0, "", "context test is "+test.url+"\n")
	if runtime.GOOS != "windows" {
		info, err := os.Stat(u.file())
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file is %v, %v", info.Mode(), err)
		}
	}
	got := u.fnctl("context", "ls")
	if got.code != 0 || fold(got.out) != fold("CURRENT NAME SERVER NAMESPACE TOKEN\n* prod "+prod.url+"/ shop yes\n- test "+test.url+" - yes\n") || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	for _, form := range []string{"json", "yaml", "jsonl"} {
		if got := u.fnctl("context", "ls", "-o", form); strings.Contains(got.out, "evt_") || !strings.Contains(got.out, "hasToken") {
			t.Errorf("-o %s: %s", form, got.out)
		}
	}

	u.sees(t, "prod saw shop with evt_prod.")
	u.sees(t, "prod saw other with evt_prod.", "-n", "other")
	u.sees(t, "prod saw shop with evt_flag.", "--token", "evt_flag")
	u.sees(t, "test saw default with evt_test.", "--context", "test")
	u.fnctl("context", "use", "test").want(t, 0, "", "the current context is test: "+test.url+"\n")
	u.sees(t, "test saw default with evt_test.")
	u.fnctl("context", "set", "test", "-n", "other", "--token", "").want(t, 0, "", "context test is "+test.url+", and the current one\n")
	u.sees(t, "test saw other with .")
	u.fnctl("context", "rm", "test").want(t, 0, "", "forgot context test\nnote: it was the current one; there is none now\n")
	u.fnctl("context", "rm", "prod").want(t, 0, "", "forgot context prod\nnote: its token is still good; to end it: fnctl token revoke NAME\n")
}

// sees runs fnctl ls; the server says what it saw.
func (u *user) sees(t *testing.T, want string, args ...string) {
	t.Helper()
	if got := u.fnctl(append([]string{"ls"}, args...)...); !strings.HasPrefix(got.stderr, "error: "+want+"\n") {
		t.Errorf("%v, %v: %s, want %s", args, u.env, got.stderr, want)
	}
}

// Flags come before --context, that before variables, and those before the current context. The token of a context goes to its server and to no other.
func TestWhatComesBeforeAContext(t *testing.T) {
	t.Parallel()
	prod, other := witness(t, "prod"), witness(t, "other")
	u := newUser(t)
	u.fnctl("context", "set", "prod", "--server", prod.url, "--token", "evt_prod", "-n", "shop")
	with := func(env ...string) *user {
		v := newUser(t, append(env, "XDG_CONFIG_HOME", u.dir)...)
		return v
	}
	with("FNCTL_SERVER", other.url).sees(t, "other saw default with .")
	with("FNCTL_SERVER", other.url, "FNCTL_TOKEN", "evt_env", "FNCTL_NAMESPACE", "shop").sees(t, "other saw shop with evt_env.")
	with("FNCTL_SERVER", prod.url+"/").sees(t, "prod saw shop with evt_prod.")
	with("FNCTL_TOKEN", "evt_env", "FNCTL_NAMESPACE", "other").sees(t, "prod saw other with evt_env.")
	with("FNCTL_SERVER", other.url, "FNCTL_TOKEN", "evt_env").sees(t, "prod saw shop with evt_prod.", "--context", "prod")
	with("FNCTL_CONTEXT", "prod", "FNCTL_SERVER", other.url).sees(t, "other saw default with .")
	u.sees(t, "other saw default with .", "--server", other.url)
	u.sees(t, "prod saw shop with evt_prod.", "--server", prod.url)

	with("FNCTL_SERVER", other.url).fnctl("context", "use", "prod").want(t, 0, "",
		"the current context is prod: "+prod.url+"\nnote: FNCTL_SERVER is set to "+other.url+", which comes before the current context\n")
	u.fnctl("ls", "--server", other.url, "--context", "prod").want(t, 2, "",
		"error: --server "+other.url+" and --context prod, which is "+prod.url+", are two servers\nTry: only one of them\n")
	// A context that gets another server loses the token of the one that it had.
	u.fnctl("context", "set", "prod", "--server", other.url).want(t, 0, "", "context prod is "+other.url+", and the current one\n")
	u.sees(t, "other saw shop with .")
}

func TestContextsThatCannotBe(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.fnctl("ls", "--context", "prod").want(t, 2, "", "error: there is no context \"prod\"\nTry: fnctl context set prod --server URL\n")
	u.fnctl("context", "set", "a b").want(t, 2, "", "error: \"a b\" is no name of a context: it has letters, digits, dots, hyphens and underscores, at most 63\nTry: a name like prod\n")
	u.fnctl("context", "set", "prod").want(t, 2, "", "error: a context needs a --server\nTry: fnctl context set prod --server "+api.DefaultServer+"\n")
	u.fnctl("context", "set", "prod", "--server", "example.com").want(t, 2, "", "error: server \"example.com\" is not an address like "+api.DefaultServer+"\nTry: fnctl context set --help\n")
	u.fnctl("context", "set", "prod", "--server", api.DefaultServer, "--token", "-").want(t, 2, "",
		"error: stdin has no token\nTry: fnctl token create NAME --role deployer | fnctl context set prod --token -\n")
	u.fnctl("context", "set", "prod", "--server", api.DefaultServer, "--token", "a b").want(t, 2, "",
		"error: the token has a space, a line end or another character that a token cannot have\nTry: fnctl context set --help\n")
	if _, err := os.Stat(u.file()); err == nil {
		t.Error("something was kept")
	}
	u.fnctl("context", "set", "prod", "--server", api.DefaultServer)
	u.fnctl("context", "use", "test").want(t, 2, "", "error: there is no context \"test\"\nTry: one of prod, or fnctl context set test --server URL\n")
	u.fnctl("context", "rm", "test").want(t, 2, "", "error: there is no context \"test\"\nTry: one of prod, or fnctl context set test --server URL\n")
	u.env["FNCTL_CONTEXT"] = "test"
	u.fnctl("ls").want(t, 2, "", "error: there is no context \"test\", which FNCTL_CONTEXT names\nTry: one of prod, or fnctl context set test --server URL\n")

	nowhere := newUser(t)
	delete(nowhere.env, "XDG_CONFIG_HOME")
	nowhere.fnctl("context", "set", "prod", "--server", api.DefaultServer).want(t, 2, "",
		"error: there is no place for contexts: none of FNCTL_CONFIG, XDG_CONFIG_HOME and HOME is set\nTry: FNCTL_CONFIG=FILE\n")
}

// A file that is wrong is named, with the place, and nothing of what it says.
func TestFilesOfContextsThatAreWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"contexts:\n  prod:\n    server: http://x\n    tokn: evt_secret\n": `unknown field "tokn"`,
		"contexts: [evt_secret\n":                    "is no file of contexts: ",
		"contexts:\n  prod: { token: evt_secret }\n": "context prod has no server\nTry: fnctl context set prod --server URL",
	} {
		u := newUser(t)
		u.write(text, 0o600)
		got := u.fnctl("ls")
		if got.code != exitFailed || !strings.HasPrefix(got.stderr, "error: "+u.file()) || !strings.Contains(got.stderr, want) || strings.Contains(got.stderr, "evt_secret") {
			t.Errorf("%q: %d %s, want %s", text, got.code, got.stderr, want)
		}
		if got := u.fnctl("completion", "bash"); got.code != 0 {
			t.Errorf("%q: completion: %s", text, got.stderr)
		}
	}
	u := newUser(t)
	u.write("current: gone\n", 0o600)
	u.fnctl("ls").want(t, 2, "", "error: there is no context \"gone\", which "+u.file()+" has as the current one\nTry: fnctl context set gone --server URL\n")
}

func (u *user) write(text string, mode os.FileMode) {
	u.t.Helper()
	if err := os.MkdirAll(filepath.Dir(u.file()), 0o700); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(u.file(), []byte(text), mode); err != nil {
		u.t.Fatal(err)
	}
}

func TestOthersWhoCanReadTokens(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files of Windows have other rights")
	}
	u := newUser(t)
	u.write("contexts: { prod: { server: http://127.0.0.1:1, token: evt_secret } }\n", 0o644)
	if got := u.fnctl("context", "ls"); got.stderr != "warning: others can read "+u.file()+", which has tokens; to keep them out: chmod 600 "+u.file()+"\n" {
		t.Errorf("%+v", got)
	}
	u.fnctl("context", "set", "prod", "-n", "shop") // makes it anew
	if got := u.fnctl("context", "ls"); got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

func TestConfigPath(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("paths of Unix")
	}
	for want, env := range map[string]map[string]string{
		"/f.yaml":                       {"FNCTL_CONFIG": "/f.yaml", "XDG_CONFIG_HOME": "/x", "HOME": "/h"},
		"/x/fnctl/config.yaml":          {"XDG_CONFIG_HOME": "/x", "HOME": "/h"},
		"/h/.config/fnctl/config.yaml":  {"XDG_CONFIG_HOME": "x", "HOME": "/h"},
		"/h2/.config/fnctl/config.yaml": {"HOME": "/h2"},
		"":                              {},
	} {
		c, _, _ := newCLI(t, "", env)
		if got := c.configPath(); got != want {
			t.Errorf("%v: %s, want %s", env, got, want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("current: a\ncontexts: { a: { server: http://x, token: t, namespace: n, ca: c } }\n"))
	f.Add([]byte("contexts: { a: }\n"))
	f.Add([]byte("- a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseConfig("config.yaml", text)
		if err != nil || len(got.Contexts) == 0 {
			return
		}
		first, err := yaml.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseConfig("config.yaml", first)
		if err != nil {
			t.Fatalf("what was written of %q cannot be read: %v", text, err)
		}
		if second, _ := yaml.Marshal(again); !bytes.Equal(first, second) {
			t.Errorf("%q became\n%s\nthen\n%s", text, first, second)
		}
	})
}

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
)

func TestSecretSet(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"PUT /ns/default/secrets/stripe_key": api.Secret{Name: "stripe_key", Created: now, Updated: now},
		"PUT /ns/default/secrets/hook":       api.Secret{Name: "hook", Created: now.Add(-time.Hour), Updated: now, OldUntil: now.Add(24 * time.Hour)},
	})
	f.fnctlIn(t.Context(), "sk_live_1\n", "secret", "set", "stripe_key").want(t, 0, "", "set secret stripe_key in namespace default (9 B)\n")
	r := f.fnctlIn(t.Context(), "two\nlines\r\n", "secret", "set", "hook", "--keep-old", "1d")
	if r.code != 0 || r.out != "" || !strings.HasPrefix(r.stderr, "changed secret hook in namespace default (9 B)\nwebhooks take the value before until ") {
		t.Errorf("%+v", r)
	}
	dir := writeFiles(t, map[string]string{"key": "as it is\n"})
	f.fnctl("secret", "set", "stripe_key", "--from-file", dir+"/key").want(t, 0, "", "set secret stripe_key in namespace default (9 B)\n")
	want := `PUT /ns/default/secrets/stripe_key {"value":"c2tfbGl2ZV8x"}
PUT /ns/default/secrets/hook {"value":"dHdvCmxpbmVz","keepOld":"24h0m0s"}
PUT /ns/default/secrets/stripe_key {"value":"YXMgaXQgaXMK"}`
	if got := f.requests(); got != want {
		t.Errorf("asked\n%s\nwant\n%s", got, want)
	}
}

func TestSecretLsAndRm(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]any{
		"GET /ns/default/secrets": []api.Secret{
			{Name: "hook", Created: now.Add(-2 * time.Hour), Updated: now.Add(-time.Minute), Key: "ab12", UsedBy: []string{"charge", "refund"}},
			{Name: "lost", Created: now.Add(-2 * time.Hour), Updated: now.Add(-time.Hour), Key: "cd34", Problem: "no key"},
		},
		"GET /ns/empty/secrets":                      []api.Secret{},
		"DELETE /ns/default/secrets/hook":            api.Problem{Status: http.StatusConflict, Detail: "function charge names it", Next: "remove it there"},
		"DELETE /ns/default/secrets/hook?force=true": stub{status: http.StatusNoContent},
	})
	f.fnctl("secret", "ls").want(t, 0, "SECRET   USED BY          CREATED   UPDATED   OLD UNTIL\nhook     charge, refund   2h        1m        -\nlost     -                2h        1h        -\n", "")
	f.fnctl("secret", "ls", "-o", "wide").want(t, 0, "SECRET   USED BY          CREATED   UPDATED   OLD UNTIL   KEY    PROBLEM\nhook     charge, refund   2h        1m        -           ab12   -\nlost     -                2h        1h        -           cd34   no key\n", "")
	f.fnctl("secret", "ls", "-o", "name").want(t, 0, "hook\nlost\n", "")
	f.fnctl("secret", "ls", "-n", "empty").want(t, 0, "", "no secrets in namespace empty; make one with fnctl secret set NAME\n")
	f.fnctl("secret", "rm", "hook").want(t, exitConflict, "", "error: function charge names it\nTry: remove it there\n")
	f.fnctl("secret", "rm", "hook", "--force").want(t, 0, "", "removed secret hook from namespace default\n")
}

func TestSecretsThatAreWrong(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	for _, tc := range []struct {
		args, stdin, want string
	}{
		{"secret set", "x", "error: fnctl secret set needs a NAME\nTry: fnctl secret set --help\n"},
		{"secret set key sk_live_1", "", "error: a value on the command line can be seen by others, and stays in the history of the shell; it comes from stdin or --from-file\nTry: printf %s \"$VALUE\" | fnctl secret set key\n"},
		{"secret set key", "\n", "error: the value from stdin is empty\nTry: printf %s \"$VALUE\" | fnctl secret set key\n"},
		{"secret set a/b", "x", `error: "a/b" is no name of a secret: it has ` + api.SecretNameRule + "\nTry: fnctl secret set --help\n"},
		{"secret set key --keep-old 31d", "x", "error: --keep-old \"31d\" is no time span from 0 to 30d\nTry: --keep-old 24h\n"},
		{"secret set key --keep-old soon", "x", "error: --keep-old \"soon\" is no time span from 0 to 30d\nTry: --keep-old 24h\n"},
		{"secret set key", strings.Repeat("x", 70_000), "error: the value from stdin has more than 64 KiB\nTry: a secret that opens the rest, like a key\n"},
		{"secret set key --from-file /no/file", "", "error: --from-file: open /no/file: no such file or directory\nTry: --from-file FILE with a file that is there, or the value on stdin\n"},
	} {
		f.fnctlIn(t.Context(), tc.stdin, strings.Fields(tc.args)...).want(t, exitUsage, "", tc.want)
	}
	if got := f.requests(); got != "" {
		t.Errorf("asked %s", got)
	}
}

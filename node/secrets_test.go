package node

import (
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// aKey is one of several keys.
func aKey(n byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune('a'+n)), 32)))
}

func (n *testNode) setSecret(t *testing.T, name, value string) {
	t.Helper()
	if _, err := n.client.SetSecret(t.Context(), "default", name, api.SecretRequest{Value: []byte(value)}); err != nil {
		t.Fatal(err)
	}
}

func (n *testNode) wantSecret(t *testing.T, name, want string) {
	t.Helper()
	if values, err := n.registry.Secret("default", name); err != nil || len(values) != 1 || string(values[0]) != want {
		t.Errorf("secret %s: %q, %v", name, values, err)
	}
}

// A secret outlives restarts, changes of its key, and a backup to which the key is given.
func TestSecretsAndTheirKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := serve(t, smallConfig(dir))
	n.setSecret(t, "stripe_key", "sk_live_1")
	if !strings.Contains(n.log.String(), "made the key of the secrets; keep a copy, backups do not have it") {
		t.Errorf("logged %s", n.log)
	}
	made, err := os.ReadFile(filepath.Join(dir, "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	backup := n.backup(t)
	if strings.Contains(string(backup), "sk_live") || strings.Contains(string(backup), base64.StdEncoding.EncodeToString([]byte("sk_live_1"))) {
		t.Error("the backup has the value")
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}

	// A new key in front, then alone.
	keys := filepath.Join(t.TempDir(), "keys")
	c := smallConfig(dir)
	c.SecretsKeyFile = keys
	writeKeys(t, keys, aKey(0)+"\n"+string(made), 0o644)
	n = serve(t, c)
	n.wantSecret(t, "stripe_key", "sk_live_1")
	for _, want := range []string{"sealed secrets again with the first key", "others on this machine can read the keys of the secrets; chmod 600 helps"} {
		if !strings.Contains(n.log.String(), want) {
			t.Errorf("logged %s, want %s", n.log, want)
		}
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	c = smallConfig(dir)
	c.SecretsKey = aKey(0)
	n = serve(t, c)
	n.wantSecret(t, "stripe_key", "sk_live_1")
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}

	// The wrong key: it starts, and says what does not work.
	c.SecretsKey = aKey(1)
	n = serve(t, c)
	if log := n.log.String(); !strings.Contains(log, "a secret cannot be used") || !strings.Contains(log, "open secret stripe_key in namespace default: no key: it is sealed with key ") {
		t.Errorf("logged %s", log)
	}
	if _, err := n.registry.Secret("default", "stripe_key"); err == nil || !strings.Contains(err.Error(), "which is not in EVOKE_SECRETS_KEY") {
		t.Errorf("with the wrong key: %v", err)
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}

	// Restored without the key, then with it.
	restored := smallConfig(t.TempDir())
	result, err := restoreTo(t, restored, backup)
	if err != nil || !strings.Contains(result.Sealed, "open secret stripe_key in namespace default: no key") {
		t.Fatalf("restored %+v, %v", result, err)
	}
	n = serve(t, restored)
	_, err = n.client.SetSecret(t.Context(), "default", "new", api.SecretRequest{Value: []byte("x")})
	if p := (*api.Problem)(nil); !asProblem(err, &p) || p.Status != 503 || !strings.Contains(p.Detail, "secrets that are there were sealed with key ") {
		t.Errorf("a second key was made: %v", err)
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	writeKeys(t, filepath.Join(restored.DataDir, "secrets.key"), string(made), 0o600)
	serve(t, restored).wantSecret(t, "stripe_key", "sk_live_1")
}

func writeKeys(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "keys")
	writeKeys(t, bad, "not a key", 0o600)
	for name, tc := range map[string]struct {
		file, key, want string
	}{
		"no file": {file: bad + ".none", want: "secrets-key-file: read the keys of the secrets: open "},
		"no key":  {file: bad, want: "secrets-key-file: " + bad + ": line 1 is no base64; a key is made by: head -c 32 /dev/urandom | base64"},
		"env":     {key: "AAAA", want: "EVOKE_SECRETS_KEY: line 1 is a key of 3 bytes, not 32"},
	} {
		c := smallConfig(t.TempDir())
		c.SecretsKeyFile, c.SecretsKey = tc.file, tc.key
		if _, err := New(t.Context(), c, NewLogger(c, io.Discard)); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	_, err := LoadConfig([]string{"--secrets-key-file", bad}, environment("EVOKE_SECRETS_KEY", aKey(0)), io.Discard)
	if err == nil || err.Error() != "secrets-key-file: EVOKE_SECRETS_KEY has keys, too; give one of the two" {
		t.Errorf("both: %v", err)
	}
	if c, err := LoadConfig(nil, environment("EVOKE_SECRETS_KEY", aKey(0)), io.Discard); err != nil || c.SecretsKey != aKey(0) {
		t.Errorf("from the environment: %q, %v", c.SecretsKey, err)
	}
}

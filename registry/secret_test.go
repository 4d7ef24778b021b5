package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

// key is one of several keys, as in a file.
func key(n byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, keySize)) }

func ring(t *testing.T, keys ...string) *KeyRing {
	t.Helper()
	k, err := NewKeyRing("the test", strings.Join(keys, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// withKeys is a registry on the same etcd with other keys.
func (b *bundle) withKeys(t *testing.T, k *KeyRing) *Registry {
	t.Helper()
	o := b.options
	o.SecretKeys = k
	return open(t, o)
}

func put(t *testing.T, r *Registry, name, value string, keepOld time.Duration) int64 {
	t.Helper()
	_, revision, err := r.PutSecret(t.Context(), "default", name, []byte(value), keepOld)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func wantSecret(t *testing.T, r *Registry, name string, want ...string) {
	t.Helper()
	values, err := r.Secret("default", name)
	var got []string
	for _, v := range values {
		got = append(got, string(v))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("secret %s is %q, %v; want %q", name, got, err, want)
	}
}

func TestSecretIsSealedAndComesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.withKeys(t, ring(t, key(1)))
	next := run(t, r)
	next(1)
	if _, err := r.Secret("default", "stripe_key"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a secret that is not there: %v", err)
	}
	next(put(t, r, "stripe_key", "sk_live_1", 0))
	wantSecret(t, r, "stripe_key", "sk_live_1")
	next(put(t, r, "stripe_key", "sk_live_2", 0))
	wantSecret(t, r, "stripe_key", "sk_live_2")
	if _, err := r.Secret("other", "stripe_key"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of another namespace: %v", err)
	}

	export, err := r.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text := string(mustMarshal(t, export)); !strings.Contains(text, "secrets/default/stripe_key") || strings.Contains(text, "sk_live") ||
		strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("sk_live_2"))) {
		t.Errorf("the backup has %s", text)
	}
	if list := mustMarshal(t, r.Secrets("default")); bytes.Contains(list, []byte("sk_live")) {
		t.Errorf("the list has the value: %s", list)
	}
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOldValueCountsUntilItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := b.options.Now()
	b.options.Now = func() time.Time { return now }
	r := b.withKeys(t, ring(t, key(1)))
	next := run(t, r)
	put(t, r, "hook", "first", 0)
	next(put(t, r, "hook", "second", time.Hour))
	wantSecret(t, r, "hook", "second", "first")
	if s := r.Secrets("default")[0]; !s.OldUntil.Equal(now.Add(time.Hour)) {
		t.Errorf("the old value counts until %v", s.OldUntil)
	}
	next(put(t, r, "hook", "second", 2*time.Hour)) // set again by mistake: the old one must not go
	wantSecret(t, r, "hook", "second", "first")
	now = now.Add(time.Hour)
	wantSecret(t, r, "hook", "second")
	now = now.Add(-time.Hour)
	next(put(t, r, "hook", "second", 0)) // ends the rotation
	wantSecret(t, r, "hook", "second")
}

func TestSecretCannotTakeThePlaceOfAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.withKeys(t, ring(t, key(1)))
	next := run(t, r)
	put(t, r, "mine", "a", 0)
	put(t, r, "theirs", "b", 0)
	resp, err := r.client.Get(t.Context(), r.keys.secret("default", "theirs"))
	if err != nil {
		t.Fatal(err)
	}
	moved, err := r.client.Put(t.Context(), r.keys.secret("default", "mine"), string(resp.Kvs[0].Value))
	if err != nil {
		t.Fatal(err)
	}
	next(moved.Header.Revision)
	_, err = r.Secret("default", "mine")
	if err == nil || !strings.Contains(err.Error(), "open secret mine in namespace default: what is stored was not sealed by key") {
		t.Errorf("a secret in the place of another: %v", err)
	}
}

func TestKeysAreExchanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	put(t, b.withKeys(t, ring(t, key(1))), "one", "1", 0)
	put(t, b.withKeys(t, ring(t, key(1))), "two", "2", 0)

	other := b.withKeys(t, ring(t, key(2)))
	next := run(t, other)
	revision := next(1).Revision
	_, err := other.Secret("default", "one")
	old, _ := ring(t, key(1)).first()
	if !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "open secret one in namespace default: no key: it is sealed with key "+old.id+", which is not in the test") {
		t.Errorf("with another key: %v", err)
	}
	if list := other.Secrets("default"); len(list) != 2 || list[1].Key != old.id || !strings.Contains(list[1].Problem, "sealed with key "+old.id) {
		t.Errorf("listed as %+v", list)
	}
	if n, err := other.Reseal(t.Context()); n != 0 || !strings.Contains(err.Error(), "secret one") || !strings.Contains(err.Error(), "secret two") {
		t.Errorf("sealed %d again, %v", n, err)
	}

	both := b.withKeys(t, ring(t, key(2), key(1)))
	if n, err := both.Reseal(t.Context()); n != 2 || err != nil {
		t.Fatalf("sealed %d again, %v", n, err)
	}
	if n, err := both.Reseal(t.Context()); n != 0 || err != nil {
		t.Errorf("sealed %d again a second time, %v", n, err)
	}
	next(revision + 2)
	wantSecret(t, other, "one", "1")
	wantSecret(t, other, "two", "2")
}

func TestKeyIsMadeForTheFirstSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := filepath.Join(t.TempDir(), "secrets.key")
	var logged bytes.Buffer
	b.options.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	open := func() *Registry {
		k, err := OpenKeyRing(path, true)
		if err != nil {
			t.Fatal(err)
		}
		return b.withKeys(t, k)
	}
	first := open()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before the first secret: %v", err)
	}
	put(t, first, "one", "1", 0)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the key's file: %v, %v", info.Mode(), err)
	}
	if !strings.Contains(logged.String(), "made the key of the secrets; keep a copy, backups do not have it") || !strings.Contains(logged.String(), path) {
		t.Errorf("logged %s", logged.String())
	}
	again := open()
	next := run(t, again)
	next(1)
	wantSecret(t, again, "one", "1")

	// A lost key is not replaced by a new one in silence.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, _, err = open().PutSecret(t.Context(), "default", "two", []byte("2"), 0)
	if !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "secrets that are there were sealed with key ") || !strings.Contains(err.Error(), path) {
		t.Errorf("without the key: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("another key was made: %v", err)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":    {"# only a comment\n\n", "K: there is no key; one is made by: head -c 32 /dev/urandom | base64"},
		"no base64":  {key(1) + "\nmy secret key!\n", "K: line 2 is no base64"},
		"too short":  {"AAAA", "K: line 1 is a key of 3 bytes, not 32"},
		"one of two": {key(1) + ",AAAA", "K: line 1 is a key of 3 bytes, not 32"},
	} {
		_, err := NewKeyRing("K", tc.text)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		} else if strings.Contains(err.Error(), "my secret key") {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	if k := ring(t, "# old and new\n"+key(1)+" , "+key(2)+" # new"); len(k.keys) != 2 {
		t.Errorf("read %d keys", len(k.keys))
	}
	if _, err := OpenKeyRing(filepath.Join(t.TempDir(), "none"), false); err == nil || !strings.Contains(err.Error(), "read the keys of the secrets: open ") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add(key(1) + "\n# x\n" + key(2))
	f.Add("AAAA,,\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := NewKeyRing("x", text); err == nil {
			if first, ok := k.first(); !ok || first.aead == nil {
				t.Errorf("%q made no key", text)
			}
		}
	})
}

func TestSecretsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.withKeys(t, ring(t, key(1)))
	for name, tc := range map[string]struct {
		name    string
		value   []byte
		keepOld time.Duration
		want    string
	}{
		"name":     {"no/name", []byte("x"), 0, `name: "no/name" is no name of a secret: it has 1 to 63 letters`},
		"empty":    {"a", nil, 0, "value: it is empty"},
		"large":    {"a", make([]byte, api.MaxSecret+1), 0, "value: it has 65537 bytes, the limit is 65536"},
		"for ever": {"a", []byte("x"), 31 * 24 * time.Hour, "keepOld: 744h0m0s is not between 0 and 30 days"},
	} {
		_, _, err := r.PutSecret(t.Context(), "default", tc.name, tc.value, tc.keepOld)
		if invalid := (*rules.InvalidError)(nil); !errors.As(err, &invalid) || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	if _, _, err := b.PutSecret(t.Context(), "default", "a", []byte("x"), 0); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "this runtime was given no keys") {
		t.Errorf("without keys: %v", err)
	}
}

func TestDeployNamesSecretsThatAreThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.withKeys(t, ring(t, key(1)))
	f := function("charge")
	f.Secrets = []string{"stripe_key"}
	a := app(map[string]api.FunctionSpec{"charge": f})
	_, _, err := r.Deploy(t.Context(), "default", "shop", a, kindsOf(a))
	want := `functions.charge.secrets: there is no secret "stripe_key" in namespace default`
	if invalid := (*rules.InvalidError)(nil); !errors.As(err, &invalid) || invalid.Error() != want || invalid.Faults[0].Secret != "stripe_key" {
		t.Errorf("got %v, want %s", err, want)
	}
	put(t, r, "stripe_key", "x", 0)
	if _, _, err := r.Deploy(t.Context(), "default", "shop", a, kindsOf(a)); err != nil {
		t.Fatal(err)
	}

	_, err = r.DeleteSecret(t.Context(), "default", "stripe_key", false)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "function charge names it") {
		t.Errorf("deleted though it is named: %v", err)
	}
	// Without the secret, an older revision that has traffic still counts.
	f.Secrets = nil
	a = app(map[string]api.FunctionSpec{"charge": f})
	if _, _, err := r.Deploy(t.Context(), "default", "shop", a, kindsOf(a)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SetTraffic(t.Context(), "default", "charge", []api.Share{{Revision: 1, Percent: 10}, {Revision: 2, Percent: 90}}); err != nil {
		t.Fatal(err)
	}
	_, err = r.DeleteSecret(t.Context(), "default", "stripe_key", false)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "revision 1 of function charge, which has 10% of the traffic, names it") {
		t.Errorf("deleted though a revision names it: %v", err)
	}
	if _, err := r.DeleteSecret(t.Context(), "default", "stripe_key", true); err != nil {
		t.Errorf("with force: %v", err)
	}
	if _, err := r.DeleteSecret(context.Background(), "default", "stripe_key", false); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

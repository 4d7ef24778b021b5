package scheduler

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/registry"
	"github.com/evoke-run/evoke/sandbox/wasmtest"
	"github.com/evoke-run/evoke/sdk/abi"
)

// withSecrets gives the scheduler a registry that keeps secrets.
func withSecrets(t *testing.T) *bundle {
	t.Helper()
	ring, err := registry.NewKeyRing("the test", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.New(registry.Options{
		Client: etcd.Client(), Prefix: fmt.Sprintf("/s%d/", prefixes.Add(1)), ModuleDir: filepath.Join(t.TempDir(), "modules"), SecretKeys: ring,
	})
	if err != nil {
		t.Fatal(err)
	}
	return setupWith(t, r, nil)
}

func (b *bundle) setSecret(name, value string) {
	b.t.Helper()
	_, revision, err := b.registry.PutSecret(b.t.Context(), "default", name, []byte(value), 0)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.scheduler.WaitInForce(b.t.Context(), revision); err != nil {
		b.t.Fatal(err)
	}
}

// wantAnswer checks what a guest of wasmtest.Calls replies.
func wantAnswer(t *testing.T, r Reply, status int32, answer string) {
	t.Helper()
	if r.Verdict != abi.Done || len(r.Data) < 4 {
		t.Errorf("%s (%s): % x", r.Error, r.Class, r.Data)
		return
	}
	if got := int32(binary.LittleEndian.Uint32(r.Data)); got != status || !strings.Contains(string(r.Data[4:]), answer) {
		t.Errorf("status %d, %q; want %d, %q", got, r.Data[4:], status, answer)
	}
}

func TestSecretsOfAFunction(t *testing.T) {
	t.Parallel()
	b := withSecrets(t)
	b.setSecret("stripe_key", "sk_1")
	b.setSecret("other", "x")
	b.deploy("listed", wasmtest.Calls(abi.OpSecretGet, "stripe_key"), api.FunctionSpec{Secrets: []string{"stripe_key"}})
	b.deploy("unlisted", wasmtest.Calls(abi.OpSecretGet, "other"), api.FunctionSpec{Secrets: []string{"stripe_key"}})

	wantAnswer(t, b.call("listed", newEvent("1", "")), abi.StatusOK, "sk_1")
	wantAnswer(t, b.call("unlisted", newEvent("1", "")), abi.StatusDenied, `the secret "other" is not listed; add it to secrets: of the function in fn.yaml`)
	b.setSecret("stripe_key", "sk_2") // no deploy
	wantAnswer(t, b.call("listed", newEvent("2", "")), abi.StatusOK, "sk_2")
	revision, err := b.registry.DeleteSecret(t.Context(), "default", "stripe_key", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.scheduler.WaitInForce(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, b.call("listed", newEvent("3", "")), abi.StatusNotFound, `the secret "stripe_key" is not set; set it with fnctl secret set stripe_key`)
}

package registry

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/evoke-run/evoke/api"
)

func freeURL(t *testing.T) url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // only its address is wanted
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}

// An etcd of others, with listeners, is found over the network.
func TestDialFindsAnExternalEtcd(t *testing.T) {
	t.Parallel()
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.TickMs, cfg.ElectionMs = t.TempDir(), "fatal", 10, 100
	client := freeURL(t)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls = nil
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	<-etcd.Server.ReadyNotify()
	c, err := Dial([]string{client.String()}, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r := open(t, Options{Client: c, ModuleDir: t.TempDir()})
	first := lead(t, r, Candidate{Node: "a", Directory: "1"})
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := lead(t, r, Candidate{Node: "b", Directory: "2"})
	if second.Epoch <= first.Epoch {
		t.Errorf("second epoch %d is not above %d", second.Epoch, first.Epoch)
	}
}

func TestDialSaysWhichEtcdDoesNotAnswer(t *testing.T) {
	t.Parallel()
	nobody := freeURL(t)
	_, err := Dial([]string{nobody.String()}, 300*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "etcd at "+nobody.String()+" does not answer") || !strings.Contains(err.Error(), "check --etcd") {
		t.Errorf("got %v", err)
	}
}

func TestSeedIsARevisionsOwnAndStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run(t, b.Registry)
	spec := api.FunctionSpec{Module: "sha256:" + strings.Repeat("0", 64)}
	deploy := func(memory int64) {
		t.Helper()
		spec.Memory = memory
		if _, _, err := b.Deploy(t.Context(), "default", "app", api.App{Functions: map[string]api.FunctionSpec{"f": spec}}, map[string]string{"f": "native"}); err != nil {
			t.Fatal(err)
		}
	}
	deploy(0)
	deploy(2 << 20)
	first, err1 := b.Seed(t.Context(), "default", "f", 1)
	again, err2 := b.Seed(t.Context(), "default", "f", 1)
	second, err3 := b.Seed(t.Context(), "default", "f", 2)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if len(first) != 32 || string(first) != string(again) || string(first) == string(second) {
		t.Errorf("seeds %x, %x, %x", first, again, second)
	}
	if _, err := b.Seed(t.Context(), "default", "f", 3); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "revision 3 of f") {
		t.Errorf("got %v", err)
	}
}

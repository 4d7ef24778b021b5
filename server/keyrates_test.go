package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/registry"
)

func TestRatesOfRevokedKeysAreForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.key("kept", api.KeyRequest{Rate: &api.KeyRate{Limit: 1, Period: api.Duration(time.Hour)}})
	snapshot := b.registry.Snapshot()
	kept, _ := snapshot.Key("default", "kept")
	var rates keyRates
	if wait := rates.take(kept, clock, snapshot); wait != 0 {
		t.Fatalf("the first request waits %s", wait)
	}
	for i := range 2 * maxIdleRates { // of keys that are not there any more
		gone := registry.Credential{ID: fmt.Sprint(i), Key: &api.Key{Rate: kept.Key.Rate}}
		if wait := rates.take(&gone, clock, snapshot); wait != 0 {
			t.Fatalf("key %d waits %s", i, wait)
		}
	}
	if n := len(rates.of); n > maxIdleRates+1 {
		t.Errorf("%d rates are kept", n)
	}
	if wait := rates.take(kept, clock, snapshot); wait != time.Hour {
		t.Errorf("a key that is there was forgotten: it waits %s", wait)
	}
	free := registry.Credential{ID: "free", Key: &api.Key{}}
	if wait := rates.take(&free, clock, snapshot); wait != 0 || rates.of["free"] != nil {
		t.Errorf("a key without a rate waits %s", wait)
	}
}

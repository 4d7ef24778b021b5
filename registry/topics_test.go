package registry

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/evoke-run/evoke/api"
)

// A hundred thousand topics are deployed in parts, as each deploy is one transaction. A registry that starts knows and lists them all, and one that follows gets what comes.
func TestHundredThousandTopics(t *testing.T) { // not beside others, whose memory it would count
	if raceDetector {
		t.Skip("measures memory, which the race detector takes a multiple of")
	}
	const topics, each = 100_000, 4000
	b := setup(t)
	var revision int64
	for i := 0; i < topics; i += each {
		a := api.App{Topics: map[string]api.TopicSpec{}}
		for j := range each {
			a.Topics[fmt.Sprintf("shop.%06d.orders", i+j)] = api.TopicSpec{Ingress: true}
		}
		var err error
		if _, revision, err = b.Deploy(t.Context(), "default", "shop", a, nil); err != nil {
			t.Fatal(err)
		}
	}
	before := inUse()
	fresh := open(t, b.options)
	next := run(t, fresh)
	s := next(revision)
	used := int64(inUse()) - int64(before)
	t.Logf("%d topics take %d KiB", topics, used>>10)
	if used > 80<<20 {
		t.Errorf("%d topics take %d MiB", topics, used>>20)
	}
	all := s.Topics("default")
	if len(all) != topics || all[0].Name != "shop.000000.orders" || all[topics-1].Name != "shop.099999.orders" {
		t.Errorf("%d topics are listed", len(all))
	}
	if got, ok := s.Topic("default", "shop.077777.orders"); !ok || !got.Spec.Ingress {
		t.Errorf("one of them is %+v", got)
	}
	if _, ok := s.Topic("default", "shop.100000.orders"); ok {
		t.Error("one that is not there is found")
	}
	_, revision, err := b.Deploy(t.Context(), "default", "more", api.App{Topics: map[string]api.TopicSpec{"one.more": {}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(next(revision).Topics("default")); n != topics+1 {
		t.Errorf("after one more there are %d", n)
	}
}

// inUse is what is in use when garbage is gone.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

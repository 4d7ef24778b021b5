package local

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/evoke-run/evoke/eventlog"
	"github.com/evoke-run/evoke/eventlog/eventlogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("disk", func(t *testing.T) { eventlogtest.Run(t, diskStore) })
	t.Run("small memory tables", func(t *testing.T) { eventlogtest.Run(t, memStore) })
}

func BenchmarkLog(b *testing.B) { eventlogtest.Benchmark(b, diskStore) }

func diskStore(t testing.TB) eventlogtest.Open {
	dir := t.TempDir()
	return func(t testing.TB) eventlog.Log {
		return mustOpen(t, Options{Dir: dir, Partitions: eventlogtest.Partitions})
	}
}

// memStore makes flushes and compactions happen in a short test.
func memStore(testing.TB) eventlogtest.Open {
	files := vfs.NewMem()
	return func(t testing.TB) eventlog.Log {
		return mustOpen(t, Options{Dir: "log", Partitions: eventlogtest.Partitions, FS: files, MemTableSize: 64 << 10})
	}
}

func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	if o.Fatal == nil {
		o.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

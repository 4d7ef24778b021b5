package partition

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/eventlog/local"
)

// The log is the truth and the state follows from it. A state that knows more means that the log has lost what was acknowledged.
func TestStateAheadOfItsLogIsRefused(t *testing.T) {
	t.Parallel()
	tt := openTable(t, nil)
	tt.publish("a", newEvent("1", "k"))
	tt.close()
	if err := os.RemoveAll(filepath.Join(tt.dir, "log")); err != nil {
		t.Fatal(err)
	}
	fatal := func(err error) { t.Errorf("fatal: %v", err) }
	log, err := local.Open(local.Options{Dir: filepath.Join(tt.dir, "log"), Partitions: 4, Fatal: fatal})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{
		Log: log, Dir: filepath.Join(tt.dir, "state"), Partitions: 4, Epoch: 9, Fatal: fatal, Ready: func() {}, Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil || !strings.Contains(err.Error(), "check the log of partition 0") || !strings.Contains(err.Error(), "has lost records; restore both directories") {
		t.Errorf("got %v", err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestZapGoesToSlog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	z := zap.New(slogCore{logger: slog.New(slog.NewTextHandler(&out, nil))}).With(zap.String("member", "evoke"))
	z.Debug("below")
	z.Info("below")
	z.Warn("simple token is not cryptographically signed")
	z.Warn("slow disk", zap.Int("took", 7))
	z.Error("broken")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines:\n%s", len(lines), out.String())
	}
	for _, want := range []string{"level=WARN", `message="slow disk"`, "took=7", "member=evoke"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("%q has no %q", lines[0], want)
		}
	}
	if !strings.Contains(lines[1], "level=ERROR") || !strings.Contains(lines[1], "message=broken") {
		t.Errorf("got %q", lines[1])
	}
}

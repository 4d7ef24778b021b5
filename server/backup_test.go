package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestBackupIsStreamed(t *testing.T) {
	t.Parallel()
	const large = 1 << 20
	for name, c := range map[string]struct {
		write  int // bytes before err
		err    error
		status int // of the answer
		broken bool
	}{
		"whole":               {write: large, status: 200},
		"fails at once":       {err: errors.New("no disk"), status: 500},
		"breaks off":          {write: large, err: errors.New("no disk"), status: 200, broken: true},
		"refused in a drain":  {err: errDraining, status: 503},
		"broken off by drain": {write: large, err: errDraining, status: 200, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *Options) {
				o.AdminToken = "s3cret"
				o.Backup = func(_ context.Context, w io.Writer) error {
					if c.write == 0 {
						return c.err
					}
					_, err := w.Write([]byte(strings.Repeat("x", c.write)))
					return errors.Join(err, c.err)
				}
			})
			if got := b.do("GET", b.admin+"/api/v1/backup", ""); got.status != http.StatusUnauthorized {
				t.Errorf("without a token: %d", got.status)
			}
			client, err := api.NewClient(api.ClientOptions{Server: b.admin, Token: "s3cret", HTTP: b.http()})
			if err != nil {
				t.Fatal(err)
			}
			in, err := client.Backup(t.Context())
			if c.status != 200 {
				if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != c.status {
					t.Fatalf("got %v, want status %d", err, c.status)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close() //nolint:errcheck // read to its end
			text, err := io.ReadAll(in)
			if (err != nil) != c.broken || len(text) > large || !c.broken && len(text) < large {
				t.Errorf("%d bytes came, then %v", len(text), err)
			}
		})
	}
}

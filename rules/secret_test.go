package rules

import (
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
)

func TestSecretsNamedBadly(t *testing.T) {
	t.Parallel()
	f := function()
	f.Secrets = append(make([]string, api.MaxSecrets), "a b")
	a := app(map[string]api.FunctionSpec{"charge": f})
	err := Deploy("default", "shop", a, kindsOf(a))
	for _, want := range []string{"functions.charge.secrets: there are 65 secrets, the limit is 64", `functions.charge.secrets[64]: "a b" is no name of a secret`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

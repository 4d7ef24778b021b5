package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/evoke-run/evoke/registry"
)

// secretKeys are those of the configuration, else of a file in the data directory.
func (n *Node) secretKeys() (*registry.KeyRing, error) {
	switch c := n.config; {
	case c.SecretsKey != "":
		return registry.NewKeyRing(secretsKeyEnv, c.SecretsKey)
	case c.SecretsKeyFile != "":
		n.warnIfOpen(c.SecretsKeyFile)
		keys, err := registry.OpenKeyRing(c.SecretsKeyFile, false)
		if err != nil {
			return nil, fmt.Errorf("secrets-key-file: %w", err)
		}
		return keys, nil
	}
	n.warnIfOpen(n.path("secrets.key"))
	return registry.OpenKeyRing(n.path("secrets.key"), true)
}

func (n *Node) warnIfOpen(path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		n.log.Warn("others on this machine can read the keys of the secrets; chmod 600 helps", "file", path, "mode", fmt.Sprintf("%#o", info.Mode().Perm()))
	}
}

// checkSecrets seals all with the first key, and says which secrets cannot be opened. Functions that do not read those work, so it is no reason not to start.
func (n *Node) checkSecrets(ctx context.Context) {
	resealed, err := n.registry.Reseal(ctx)
	if resealed > 0 {
		n.log.Info("sealed secrets again with the first key; those behind it are not needed any more", "secrets", resealed)
	}
	for _, one := range problems(err) {
		n.log.Error("a secret cannot be used", "err", one)
	}
}

// problems takes joined errors apart.
func problems(err error) []error {
	var all interface{ Unwrap() []error }
	if errors.As(err, &all) {
		return all.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// sealed says what a restored registry lacks to open its secrets; "" = nothing.
func (n *Node) sealed(ctx context.Context) string {
	_, err := n.registry.Reseal(ctx)
	var lines []string
	for _, one := range problems(err) {
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

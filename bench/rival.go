package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// rival is another runtime that serves HTTP, with a guest that echoes.
type rival struct {
	name    string
	command []string
	address func(line string) (string, error) // in the first line that it prints
}

// workerdVersion is the one of npm that is measured.
const workerdVersion = "1.20261117.1"

// getRivals leaves out who cannot be built or installed here, as without a registry, and says so.
//
// Extism serves from a pool of instances, as one keeps them, and puts none back to how it began. workerd, whose workers keep their global state, makes a new
// WebAssembly.Instance of a compiled module for each request, which is what comes nearest to a fresh sandbox for every event.
func (s *session) getRivals(ctx context.Context, root string) (list []rival) {
	if extism := s.buildOptionalPeer(ctx, root, "extismhttp", "the row http_echo_1k_cpu_vs_extism"); extism != "" {
		plugin := filepath.Join(root, "bench", "testdata", "c", "extismecho.wasm")
		list = append(list, rival{"extism", []string{extism, plugin}, plainAddress})
	}
	if workerd, err := s.installWorkerd(ctx); err != nil {
		s.say("without the row http_echo_1k_cpu_vs_workerd: workerd cannot be installed here: %v", err)
	} else {
		config := filepath.Join(root, "bench", "peers", "workerd", "config.capnp")
		list = append(list, rival{"workerd", []string{workerd, "serve", config, "--control-fd=1"}, workerdAddress})
	}
	return list
}

// installWorkerd answers the path of the program itself, without the script in front of it, whose CPU time would be another process's.
func (s *session) installWorkerd(ctx context.Context) (string, error) {
	dir := filepath.Join(s.dir, "workerd")
	npm := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "workerd@"+workerdVersion)
	if text, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install: %w\n%s", err, text)
	}
	const pattern = "node_modules/@cloudflare/workerd-*/bin/workerd"
	found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("npm has no program of workerd for this machine: no %s", pattern)
	}
	return found[0], nil
}

// workerdAddress reads what workerd says on its control descriptor.
func workerdAddress(line string) (string, error) {
	var said struct {
		Event string
		Port  int
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.Event != "listen" {
		return "", fmt.Errorf("workerd does not say where it listens: %q", line)
	}
	return fmt.Sprintf("127.0.0.1:%d", said.Port), nil
}

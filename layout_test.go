package evoke_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/evoke-run/evoke"

// allowed says which of our packages each package may import. A new package or edge is a decision: change this map and docs/ARCHITECTURE.md in the
// same commit. Tests are free, but for packages of other folders' tests only.
var allowed = map[string][]string{
	"api":                          {},
	"sdk/abi":                      {},
	"sdk/js":                       {},
	"sdk/rust":                     {},
	"wire":                         {},
	"event":                        {"wire"},
	"filter":                       {"event", "ordered"},
	"manifest":                     {"api", "filter", "rules"},
	"ordered":                      {},
	"cron":                         {},
	"rules":                        {"api", "cron", "filter"},
	"registry":                     {"api", "filter", "ordered", "rules"},
	"fetch":                        {"api", "sdk/abi"},
	"archive":                      {},
	"audit":                        {"api"},
	"auth":                         {"api"},
	"journal":                      {},
	"eventlog":                     {},
	"eventlog/eventlogtest":        {"eventlog"},
	"eventlog/local":               {"eventlog", "journal", "wire"},
	"partition":                    {"archive", "event", "eventlog", "filter", "journal", "ordered", "wire"},
	"sandbox":                      {"event", "sandbox/linear", "sandbox/quickjs", "sandbox/rewrite", "sandbox/web", "sdk/abi"},
	"sandbox/linear":               {},
	"sandbox/quickjs":              {"sandbox/quickjs"}, // the program that fetches it
	"sandbox/rewrite":              {},
	"sandbox/wasmtest":             {"sdk/abi"},
	"sandbox/web":                  {},
	"sandbox/wasmtest/hostile":     {"sandbox/wasmtest", "sdk/abi"},
	"history":                      {"api", "wire"},
	"inflight":                     {},
	"scheduler":                    {"api", "event", "fetch", "filter", "history", "inflight", "partition", "registry", "sandbox", "sdk/abi", "wire"},
	"triggers":                     {"api", "cron", "event", "partition", "registry"},
	"server":                       {"api", "audit", "auth", "event", "filter", "history", "ordered", "partition", "registry", "rules", "scheduler", "sdk/abi", "triggers", "wire"},
	"embedded":                     {},
	"node":                         {"api", "archive", "audit", "embedded", "eventlog", "eventlog/local", "fetch", "history", "inflight", "partition", "registry", "sandbox", "scheduler", "sdk/abi", "server", "triggers"},
	"trial":                        {"api", "event", "fetch", "filter", "sandbox", "sdk/abi"},
	"cmd/runtime":                  {"node", "sandbox", "trial"},
	"cmd/fnctl":                    {"api", "archive", "event", "filter", "manifest", "cmd/fnctl/internal/gobuild", "cmd/fnctl/internal/jsbuild", "cmd/fnctl/internal/rustbuild", "cmd/fnctl/internal/sdkzip", "cmd/fnctl/internal/wasminfo", "cmd/fnctl/internal/watch", "sdk/rust"},
	"cmd/fnctl/internal/absent":    {},
	"cmd/fnctl/internal/gobuild":   {"cmd/fnctl/internal/absent"},
	"cmd/fnctl/internal/jsbuild":   {"sdk/abi", "sdk/js"},
	"cmd/fnctl/internal/rustbuild": {"cmd/fnctl/internal/absent"},
	"cmd/fnctl/internal/sdkzip":    {},
	"cmd/fnctl/internal/wasminfo":  {},
	"cmd/fnctl/internal/watch":     {},
	"e2e/demo":                     {"api"},
	"bench":                        nil, // measures whatever it wants
}

// onlyIn says which of our packages may import a module of others.
var onlyIn = map[string][]string{
	"github.com/tetratelabs/wazero":  {"sandbox"},
	"github.com/labstack/echo":       {"server", "bench"},
	"github.com/cockroachdb/pebble":  {"eventlog/local", "journal", "partition"},
	"go.etcd.io/etcd/client":         {"registry", "embedded", "node"},
	"go.etcd.io/etcd/api":            {"registry"},
	"go.etcd.io/etcd/server":         {"embedded"},
	"github.com/cloudevents/sdk-go":  {"event", "filter", "server"},
	"github.com/spf13":               {"cmd/fnctl"},
	"github.com/goccy/go-yaml":       {"manifest", "node", "cmd/fnctl"},
	"github.com/prometheus":          {"eventlog/local", "partition", "scheduler", "server", "triggers", "node"},
	"golang.org/x/net":               {"fetch"},
	"net/http":                       {"api", "auth", "fetch", "server", "cmd/fnctl", "e2e/demo", "bench"},
	"go.uber.org/zap":                {"registry", "embedded"},
	"github.com/netresearch/go-cron": {"cron"},
	"github.com/cespare/xxhash":      {"partition", "sandbox", "scheduler"},
	"golang.org/x/sys":               {"node", "sandbox", "sandbox/linear", "cmd/fnctl"}, // of fnctl: the terminal of dev
	"github.com/fsnotify/fsnotify":   {"cmd/fnctl/internal/watch"},
	"github.com/go-jose/go-jose":     {"auth"},
	"golang.org/x/time":              {"server"},
	"github.com/evanw/esbuild":       {"cmd/fnctl/internal/jsbuild"},
	"github.com/go-sourcemap":        {"sandbox"},
	"github.com/nlnwa/whatwg-url":    {"sandbox/web"},
	"github.com/stretchr/testify":    {},
	"github.com/nats-io/nats-server": {},
}

// notOurs are folders with a go.mod or a build of their own.
var notOurs = []string{"sdk/go", "examples", "bench/peers"}

// The files are read here and not by the go command, so that the test's cached result ends when one of them changes.
func TestImportsFollowTheLayout(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(notOurs, filepath.ToSlash(path)) || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		seen[pkg] = true
		return checkFile(t, pkg, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range allowed {
		if !seen[pkg] {
			t.Errorf("%s is in the layout and not in the repository", pkg)
		}
	}
}

func checkFile(t *testing.T, pkg, path string) error {
	t.Helper()
	ours, known := allowed[pkg]
	if !known {
		t.Errorf("%s: package %s is not in the layout; give it its one reason to exist first", path, pkg)
		return nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range file.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if p, found := strings.CutPrefix(imp, module+"/"); found && ours != nil && !slices.Contains(ours, p) {
			t.Errorf("%s: %s must not import %s", path, pkg, p)
		}
		for dep, owners := range onlyIn {
			if (imp == dep || strings.HasPrefix(imp, dep+"/")) && !slices.Contains(owners, pkg) && pkg != "bench" {
				t.Errorf("%s: only %v may import %s", path, owners, dep)
			}
		}
	}
	return nil
}

package main

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the SDK archive
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/manifest"
)

//go:generate go run sdk_generate.go

//go:embed sdk.zip
var sdkArchive []byte

const deployName = "deploy"

// parallelBuilds: the go command itself uses all processors.
const parallelBuilds = 2

func (c *cli) deployCommand() *cobra.Command {
	var file string
	var o deployFlags
	var canary canaryFlags
	cmd := &cobra.Command{
		Use:   deployName + " [DIR | -f fn.yaml] [FUNCTION…]",
		Short: "Build and deploy the app of a fn.yaml",
		Long: `Build and deploy the app of a fn.yaml.

TypeScript and JavaScript are built by fnctl itself, Go and Rust by the toolchain on PATH; the SDKs come with fnctl, no network is needed for them.
Modules that the server does not have are uploaded, then the whole app is put in force at once, or not at all.
With FUNCTION only those are built and deployed; the others stay as they are. A deploy of what runs already changes nothing, and says so.

--dry-run builds, asks the server what runs, and shows each setting that would change, its old value and its new one. It changes nothing; with -o yaml or -o json it asks nobody,
and prints the app that would be deployed. --diff shows the same, in any format, and ends with exit code 9 when something would change, 0 when nothing would. What only the server can judge
(a route that another function serves, a secret that is not set, a module that cannot run) shows at the deploy.

A function that has left the manifest stays as it is until --prune: then it is removed in the same step, with its triggers and the events that wait in them. Topics stay, and their events.

An app that gets another name in fn.yaml is another app, and functions belong to one. --formerly says what it was called: its functions go on under the new name in the same
step, with their revisions, their state and what waits for them.

With --canary the new revision of each function that changes begins with a share of the keys and gets more after every interval in which all guards held. A guard
that fails gives the traffic back at once, and what the new revision gave up on is handed to the old one. The command does not wait for that: fnctl traffic FUNCTION
shows how it stands. Guards are separated by commas; each is a metric of the new revision, < or <=, and a limit:
  errors, rejected   the share of its attempts in an interval that failed, or in which it rejected the event: errors<1%
  p50, p95, p99      the time that so many of 100 attempts keep: p95<200ms
  dead               the dead letters that it made: dead<1`,
		Example: `  fnctl deploy                       # fn.yaml in this directory
  fnctl deploy ./shop charge         # only the function charge of ./shop/fn.yaml
  fnctl deploy -f prod.yaml --dry-run
  fnctl deploy --diff || test $? = 9 # in a pipeline: show it, and go on
  fnctl deploy --prune               # and remove what fn.yaml does not have any more
  fnctl deploy --formerly shop       # app: of fn.yaml was shop
  fnctl deploy --canary 5% --step 15% --every 1m --guard 'errors<1%,dead<1'`,
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the manifest (default fn.yaml in DIR)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "build, show what would change, change nothing")
	cmd.Flags().BoolVar(&o.diff, "diff", false, "as --dry-run, with exit code 9 when something would change")
	cmd.Flags().BoolVar(&o.prune, "prune", false, "remove functions of the app that the manifest does not have any more")
	cmd.Flags().StringVar(&o.formerly, "formerly", "", "the name that the app had before; its functions become functions of this one")
	canary.add(cmd)
	c.formatFlag(cmd, table, wide, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		wanted, err := canary.read(cmd)
		if err != nil {
			return err
		}
		file, names := manifestFile(file, args)
		if o.prune && len(names) > 0 {
			return usagef("fnctl deploy --prune, without "+names[0], "--prune removes what the manifest does not have, so it is for the whole app")
		}
		m, err := readManifest(file)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("formerly") && !manifest.IsName(o.formerly) {
			return usagef("the name before the app was called "+m.App, "--formerly: %q is not a name: it is %s", o.formerly, manifest.NameRule)
		}
		partly := *m // the functions that were asked for
		if partly.Functions, err = selectFunctions(m, file, names); err != nil {
			return err
		}
		app, modules, err := c.build(cmd.Context(), &partly, filepath.Dir(file))
		if err != nil {
			return err
		}
		app.Canary, app.Prune, app.Formerly = wanted, o.prune, o.formerly
		if o.dryRun || o.diff {
			return c.plan(cmd.Context(), m.App, app, len(names) == 0, o)
		}
		deployed, err := c.deploy(cmd.Context(), m.App, app, modules)
		if err != nil {
			return err
		}
		c.sayWarnings(deployed)
		c.sayNotes(deployed)
		c.sayDue(deployed)
		c.sayOrphans(m, deployed)
		if err := c.showDeployed(deployed); err != nil {
			return err
		}
		if unchanged(deployed) && o.formerly == "" { // else functions may have changed hands
			c.say("nothing changed: app %s runs as %s says", deployed.App, file)
		}
		return nil
	}
	return cmd
}

// deployFlags say what deploy does beside deploying.
type deployFlags struct {
	dryRun, diff, prune bool
	formerly            string
}

// plan ends a deploy that only shows what it would do.
func (c *cli) plan(ctx context.Context, name string, app api.App, whole bool, o deployFlags) error {
	if !o.diff && (c.format == jsonForm || c.format == yamlForm) {
		return c.showApp(name, app)
	}
	differences, err := c.diff(ctx, name, app, whole)
	if err != nil {
		return err
	}
	if err := c.showDiff(name, differences); err != nil {
		return err
	}
	if o.diff && changesSomething(differences) {
		return errWouldChange
	}
	return nil
}

// unchanged says whether a deploy found everything as it should be.
func unchanged(d api.Deployed) bool {
	return len(d.Topics) == 0 && len(d.Removed) == 0 && !slices.ContainsFunc(d.Functions, func(f api.DeployedFunction) bool { return f.Change != changeUnchanged })
}

// manifestFile finds the manifest and says which arguments are functions: a first argument that is a directory is none.
func manifestFile(flag string, args []string) (file string, functions []string) {
	if flag != "" {
		return flag, args
	}
	if len(args) > 0 {
		info, err := os.Stat(args[0])
		isDir := err == nil && info.IsDir()
		// A plain word is a function although a directory has the same name, as they often do; but not when it has a manifest.
		_, noManifest := os.Stat(filepath.Join(args[0], "fn.yaml"))
		if strings.ContainsAny(args[0], `/\.`) || isDir && noManifest == nil {
			return filepath.Join(args[0], "fn.yaml"), args[1:]
		}
	}
	return "fn.yaml", args
}

func readManifest(file string) (*manifest.Manifest, error) {
	src, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("the same with a DIR that has a fn.yaml; fnctl new makes one", "there is no manifest %s", file)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return manifest.Parse(file, src)
}

// selectFunctions answers the named functions of the manifest, or all when there are no names.
func selectFunctions(m *manifest.Manifest, file string, names []string) ([]manifest.Function, error) {
	if len(names) == 0 {
		return m.Functions, nil
	}
	var known []string
	for _, f := range m.Functions {
		known = append(known, f.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, usagef("one of "+strings.Join(known, ", "), "%s has no function %q", file, name)
		}
	}
	var out []manifest.Function
	for _, f := range m.Functions {
		if slices.Contains(names, f.Name) {
			out = append(out, f)
		}
	}
	return out, nil
}

// build makes the app as the server takes it, and the modules that it names, by digest.
func (c *cli) build(ctx context.Context, m *manifest.Manifest, dir string) (api.App, map[string][]byte, error) {
	modulesOf, err := c.buildAll(ctx, m, dir)
	if err != nil {
		return api.App{}, nil, err
	}
	digests, modules := make(map[string]string), make(map[string][]byte)
	for i, f := range m.Functions {
		d := moduleDigest(modulesOf[i].module)
		digests[f.Name], modules[d] = d, modulesOf[i].module
	}
	return m.API(digests), modules, nil
}

// moduleDigest names a module.
func moduleDigest(module []byte) string {
	sum := sha256.Sum256(module)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// showApp ends a dry run in a format for machines.
func (c *cli) showApp(name string, app api.App) error {
	c.say("dry run: this is what would be deployed as app %s to namespace %s; nothing was changed", name, c.namespace)
	return c.object(app)
}

// deploy uploads what the server does not have and puts the app in force.
func (c *cli) deploy(ctx context.Context, name string, app api.App, modules map[string][]byte) (api.Deployed, error) {
	client, err := c.client()
	if err != nil {
		return api.Deployed{}, err
	}
	p := c.progress()
	defer p.end()
	return c.putInForce(ctx, client, p, name, app, modules)
}

// putInForce is deploy with a client and who is told how it goes.
func (c *cli) putInForce(ctx context.Context, client *api.Client, p *progress, name string, app api.App, modules map[string][]byte) (api.Deployed, error) {
	for _, function := range slices.Sorted(maps.Keys(app.Functions)) {
		digest := app.Functions[function].Module
		module, ok := modules[digest]
		if !ok {
			continue // uploaded for another function
		}
		if err := c.upload(ctx, client, p, function, digest, module); err != nil {
			return api.Deployed{}, fmt.Errorf("upload the module of %s: %w", function, err)
		}
		delete(modules, digest)
	}
	p.doing("deploying app %s", name)
	ctx, cancel := c.limit(ctx)
	defer cancel()
	deployed, err := client.Deploy(ctx, c.namespace, name, app)
	if err != nil {
		return api.Deployed{}, fmt.Errorf("deploy app %s: %w", name, err)
	}
	return deployed, nil
}

// upload sends a module unless the server has it.
func (c *cli) upload(ctx context.Context, client *api.Client, p *progress, function, digest string, module []byte) error {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	has, err := client.HasModule(ctx, digest)
	if err != nil || has {
		return err
	}
	if err := client.UploadModule(ctx, digest, module, p.upload(function, len(module))); err != nil {
		return err
	}
	p.done("uploaded %s (%s)", function, size(int64(len(module))))
	return nil
}

// buildAll answers the module of each function, in order, and reads the events that warm them into their specs. It builds all and reports all that fail: people correct them together.
func (c *cli) buildAll(ctx context.Context, m *manifest.Manifest, dir string) ([]built, error) {
	builders := c.builders()
	p := c.progress()
	modules, errs := make([]built, len(m.Functions)), make([]error, len(m.Functions))
	turn := make(chan struct{}, parallelBuilds) // holds one token for each build that runs
	var wg sync.WaitGroup
	for i, f := range m.Functions {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if ctx.Err() != nil {
				errs[i] = context.Cause(ctx)
				return
			}
			modules[i], errs[i] = loadModule(ctx, builders, p, dir, f)
			m.Functions[i].Spec.Warm = modules[i].warm
		})
	}
	wg.Wait()
	p.end()
	return modules, errors.Join(errs...)
}

func loadModule(ctx context.Context, builders builders, p *progress, dir string, f manifest.Function) (built, error) {
	p.doing("building %s", f.Name)
	b, err := builders.build(ctx, dir, f)
	if err != nil {
		return built{}, fmt.Errorf("function %s: %w", f.Name, err)
	}
	if f.Wasm == "" {
		p.done("built %s (%s)", f.Name, size(int64(len(b.module))))
	}
	for _, note := range b.notes {
		p.done("note: function %s: %s", f.Name, note)
	}
	return b, nil
}

// under is a path of the manifest as seen from here.
func under(dir, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func (c *cli) showDeployed(d api.Deployed) error {
	if c.format == jsonForm || c.format == yamlForm {
		return c.object(d)
	}
	return list[api.DeployedFunction]{
		name: func(f api.DeployedFunction) string { return f.Name },
		none: "nothing was deployed",
		columns: []column[api.DeployedFunction]{
			{title: "FUNCTION", text: func(f api.DeployedFunction) string { return f.Name }},
			{title: "REVISION", text: func(f api.DeployedFunction) string { return strconv.Itoa(f.Revision) }},
			{title: "CHANGE", text: func(f api.DeployedFunction) string { return f.Change }},
			{title: "TRIGGERS", text: func(f api.DeployedFunction) string { return strings.Join(f.Triggers, ", ") }},
			{title: "URLS", text: func(f api.DeployedFunction) string { return strings.Join(f.URLs, ", ") }},
		},
	}.show(c, d.Functions)
}

func (c *cli) sayWarnings(d api.Deployed) {
	for _, f := range d.Functions {
		for _, text := range f.Warnings {
			c.say("warning: function %s: %s", f.Name, text)
		}
	}
}

// sayOrphans names the app's functions that the manifest does not have any more. Those that were only not asked for are none.
func (c *cli) sayOrphans(m *manifest.Manifest, d api.Deployed) {
	for _, name := range d.Removed {
		c.say("removed function %s of app %s with its triggers: the manifest does not have it any more", name, d.App)
	}
	for _, name := range d.Orphans {
		if !slices.ContainsFunc(m.Functions, func(f manifest.Function) bool { return f.Name == name }) {
			c.say("note: function %s is of app %s but not in its manifest any more; it stays as it is. To remove it: fnctl deploy --prune, or fnctl rm function %s", name, d.App, name)
		}
	}
}

package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/gobuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/jsbuild"
	"github.com/evoke-run/evoke/cmd/fnctl/internal/rustbuild"
	"github.com/evoke-run/evoke/manifest"
	rustsdk "github.com/evoke-run/evoke/sdk/rust"
)

// templates has directories of files, and in each one named project, which every project gets, and one for each trigger. A language has a list of them: a file of a later one
// takes the place of one with the same name. A file's name ends in .tmpl so that it is no Go file here.
//
//go:embed templates
var templates embed.FS

// language is what a function can be written in.
type language struct {
	name  string
	title string
	// source is what fn.yaml names.
	source string
	// files are directories of templates: every is for all languages, script for TypeScript and JavaScript. The last one is the language's own, and has what it can be made for.
	files []string
	// sdk writes its SDK into a project, for editors and for its own tools; nil = there is none.
	sdk func(c *cli, dir string) error
	// marks are files by which a project that needs the SDK is known.
	marks []string
}

// languages: the first one is the default.
var languages = []language{
	{name: "ts", title: "TypeScript", source: "./main.ts", files: []string{"every", "script", "ts"}, sdk: (*cli).writeJSSDK, marks: []string{"tsconfig.json"}},
	{name: "js", title: "JavaScript", source: "./main.js", files: []string{"every", "script", "js"}, sdk: (*cli).writeJSSDK, marks: []string{"jsconfig.json"}},
	{name: "go", title: "Go", source: ".", files: []string{"every", "go"}, sdk: (*cli).writeGoSDK, marks: []string{"go.mod"}},
	{name: "rust", title: "Rust", source: ".", files: []string{"every", "rust"}, sdk: (*cli).writeRustSDK, marks: []string{rustbuild.CargoFile}},
}

// own is where the templates are that only it has.
func (l language) own() string { return path.Join("templates", l.files[len(l.files)-1]) }

// triggers are those that it has a template for.
func (l language) triggers() []string {
	dirs, err := fs.ReadDir(templates, l.own())
	if err != nil {
		panic(err) // it is embedded
	}
	var out []string
	for _, d := range dirs {
		if d.Name() != everyProject {
			out = append(out, d.Name())
		}
	}
	return out
}

const (
	everyProject = "project"
	templateEnd  = ".tmpl"
	schemaFile   = "fn.schema.json"
)

// project is what templates are filled in with.
type project struct {
	Name   string
	Secret string // a name for a secret made of it
	Source string // of the language
	Go     string // the oldest version of Go
}

func (c *cli) newCommand() *cobra.Command {
	var lang, trigger string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a project with one function",
		Long: `Make a directory NAME with a fn.yaml, a function, and events to test it with (fnctl test).

Everything comes from fnctl itself: no network, no account. NAME is the name of the app, of its function and of the directory.
fn.schema.json tells editors what a fn.yaml may have; after an update of fnctl, fnctl schema > fn.schema.json renews it.`,
		Example: `  fnctl new hello                    # TypeScript, called over HTTP
  fnctl new orders -t topic          # handles the events of a topic
  fnctl new report -l rust -t cron`,
		Args: argCount(1, 1, "the NAME of the project"),
	}
	cmd.Flags().StringVarP(&lang, "lang", "l", languages[0].name, "language: "+strings.Join(languageNames(), ", "))
	cmd.Flags().StringVarP(&trigger, "trigger", "t", "http", "what it handles: http, topic, cron or webhook")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		l, err := findLanguage(lang)
		if err != nil {
			return err
		}
		if err := oneOf("--trigger", trigger, l.triggers()...); err != nil {
			return err
		}
		return c.newProject(args[0], l, trigger)
	}
	return cmd
}

func languageNames() []string {
	var out []string
	for _, l := range languages {
		out = append(out, l.name)
	}
	return out
}

func findLanguage(name string) (language, error) {
	i := slices.IndexFunc(languages, func(l language) bool { return l.name == name || strings.EqualFold(l.title, name) })
	have := strings.Join(languageNames(), ", ")
	if i < 0 {
		return language{}, usagef("-l "+have, "there is no template for the language %q; there is %s", name, have)
	}
	return languages[i], nil
}

func (c *cli) newProject(name string, l language, trigger string) error {
	if err := checkProjectName(name); err != nil {
		return err
	}
	files, err := render(l, trigger, project{Name: name, Secret: strings.ReplaceAll(name, "-", "_"), Source: l.source, Go: gobuild.MinGo})
	if err != nil {
		return err
	}
	files[schemaFile] = manifest.JSONSchema()
	dir := filepath.Join(c.dir, name)
	if err := writeProject(dir, files); err != nil {
		return err
	}
	if l.sdk != nil {
		if err := l.sdk(c, dir); err != nil {
			return err
		}
	}
	c.say("made %s: a function in %s for %s", name, l.title, trigger)
	for _, file := range sortedNames(files) {
		c.say("  %s", path.Join(name, file))
	}
	c.say("next: cd %s && %s", name, nextSteps(name, trigger))
	return nil
}

// nextSteps are commands that try a new project and bring it into force.
func nextSteps(name, trigger string) string {
	if trigger == "webhook" {
		return "fnctl test && fnctl secret set " + strings.ReplaceAll(name, "-", "_") + " && fnctl deploy"
	}
	return "fnctl test && fnctl dev" // which needs no server and no second terminal
}

// checkProjectName: a name is a directory's, an app's and a function's.
func checkProjectName(name string) error {
	if manifest.IsName(name) {
		return nil
	}
	if strings.ContainsAny(name, `/\`) {
		return usagef("cd to where the project shall be, then fnctl new "+closestName(filepath.Base(name)), "NAME is a name, not a path: %q", name)
	}
	return usagef("fnctl new "+closestName(name), "%q is not a name for a project: it is %s", name, manifest.NameRule)
}

// closestName makes a name of what was meant to be one.
func closestName(s string) string {
	s = strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s), "-")
	if s == "" {
		return "hello"
	}
	return strings.TrimRight(s[:min(len(s), 63)], "-")
}

// render fills in the templates: files by name.
func render(l language, trigger string, p project) (map[string][]byte, error) {
	files := map[string][]byte{}
	var roots []string
	for _, layer := range l.files {
		roots = append(roots, path.Join("templates", layer, everyProject), path.Join("templates", layer, trigger))
	}
	for _, root := range roots {
		err := fs.WalkDir(templates, root, func(file string, d fs.DirEntry, err error) error {
			if file == root && errors.Is(err, fs.ErrNotExist) {
				return nil // not every layer has something for each trigger
			}
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(templates, file)
			if err != nil {
				return err
			}
			t, err := template.New(file).Option("missingkey=error").Parse(string(text))
			if err != nil {
				return err
			}
			var out bytes.Buffer
			if err := t.Execute(&out, p); err != nil {
				return err
			}
			files[projectFile(strings.TrimPrefix(file, root+"/"))] = out.Bytes()
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("make the files of a %s project: %w", l.title, err)
		}
	}
	return files, nil
}

// projectFile is what a template's file is called in a project. One that begins with a dot would not be embedded.
func projectFile(name string) string {
	name = strings.TrimSuffix(name, templateEnd)
	if name == "gitignore" {
		return ".gitignore"
	}
	return name
}

// writeProject makes the directory. It never writes into one that is there, so whatever it made can be taken away when it cannot go on.
func writeProject(dir string, files map[string][]byte) (err error) {
	if err := os.Mkdir(dir, 0o777); errors.Is(err, fs.ErrExist) {
		return usagef("another NAME, or move "+dir+" away", "%s exists; nothing was written", dir)
	} else if err != nil {
		return fmt.Errorf("make the directory of the project: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	for _, name := range sortedNames(files) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return fmt.Errorf("make the directory of %s: %w", name, err)
		}
		if err := os.WriteFile(file, files[name], 0o666); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func sortedNames(files map[string][]byte) []string {
	var out []string
	for name := range files {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// goSDKDir is where the SDK for Go is for editors and for the go command.
const goSDKDir = ".fnctl/sdk"

func (c *cli) writeGoSDK(dir string) error {
	return gobuild.Unpack(sdkArchive, filepath.Join(dir, filepath.FromSlash(goSDKDir)))
}

func (c *cli) writeJSSDK(dir string) error {
	return jsbuild.WriteSDK(filepath.Join(dir, filepath.FromSlash(jsbuild.EditorDir)))
}

func (c *cli) writeRustSDK(dir string) error {
	return rustbuild.WriteSDK(rustsdk.Files, filepath.Join(dir, filepath.FromSlash(rustbuild.SDKDir)))
}

func (c *cli) sdkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sdk [DIR]",
		Short: "Write the SDKs into a project, for editors and other tools",
		Long: `Write the SDKs that come with fnctl into a project: into ` + goSDKDir + ` when it has a go.mod, which looks for it there, into ` + rustbuild.SDKDir + ` when it has a Cargo.toml,
and into ` + jsbuild.EditorDir + ` when it has a tsconfig.json or a jsconfig.json. A project with none of them gets all.

fnctl itself needs no such directory: it builds with the SDKs that it brings. Editors, go test, cargo and tsc do, in a new clone and after an update of fnctl.`,
		Example: "  fnctl sdk",
		Args:    argCount(0, 1, "the DIR of a project"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			if _, err := os.Stat(filepath.Join(dir, "fn.yaml")); errors.Is(err, fs.ErrNotExist) {
				return usagef("fnctl sdk DIR, with a directory that has a fn.yaml", "there is no %s", filepath.Join(dir, "fn.yaml"))
			}
			return c.writeSDKs(dir)
		},
	}
}

// writeSDKs writes those that the project's files ask for, or all.
func (c *cli) writeSDKs(dir string) error {
	marked := func(l language) bool {
		return slices.ContainsFunc(l.marks, func(mark string) bool { _, err := os.Stat(filepath.Join(dir, mark)); return err == nil })
	}
	none := !slices.ContainsFunc(languages, marked)
	for _, l := range languages {
		if l.sdk == nil || !none && !marked(l) {
			continue
		}
		if err := l.sdk(c, dir); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of fn.yaml",
		Long: `Print the JSON schema of fn.yaml, for editors.

With this as its first line, a fn.yaml is completed and checked by editors that know the YAML language server:
  # yaml-language-server: $schema=./` + schemaFile,
		Example: "  fnctl schema > " + schemaFile,
		Args:    argCount(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			_, err := c.out.Write(manifest.JSONSchema())
			return err
		},
	}
}

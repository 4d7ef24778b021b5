package gobuild

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/absent"
)

// absents are what the standard library offers and a function does not have, by package.
var absents = map[string]struct {
	calls []string // prefixes of names, a whole name when it ends with "("
	why   string
}{
	"net": {[]string{"Dial", "Listen", "Lookup", "Resolve", "DefaultResolver"},
		"a function has no sockets, so it reaches nobody (\"Connection refused\"); requests go through evokehttp.Client, docs/fetch.md"},
	"net/http": {[]string{"Get(", "Head(", "Post(", "PostForm(", "DefaultClient(", "ListenAndServe"},
		"a function has no sockets, so it reaches nobody; requests go through evokehttp.Client, or with http.DefaultTransport = evokehttp.Transport{}, docs/fetch.md"},
	"os/exec": {[]string{"Command", "LookPath"},
		"a function cannot start programs (\"executable file not found\"); it can invoke another function, docs/invoke.md, and send requests, docs/fetch.md"},
	"os": {[]string{"Open", "Create", "ReadFile", "WriteFile", "ReadDir", "DirFS", "Mkdir", "Stat(", "Remove", "Rename"},
		"a function has no files (\"Bad file number\"); go:embed has what comes with it, and keyed state what it keeps"},
}

// scan looks for absent things in the packages of the user's own module. What cannot be read is the go command's to complain of.
type scan struct {
	module, root string // path and directory of the module
	context      build.Context
	files        *token.FileSet
	seen         map[string]bool // directories
	uses         []call
	transport    bool // something names http.DefaultTransport, most likely to set it
}

// call is one of a package.
type call struct {
	of string
	absent.Use
}

// absentNotes tells of what the package in dir and those of its module below it call and will not have.
func absentNotes(dir, module, root string) []string {
	s := scan{module: module, root: root, context: build.Default, files: token.NewFileSet(), seen: map[string]bool{}}
	s.context.GOOS, s.context.GOARCH, s.context.CgoEnabled = "wasip1", "wasm", false
	s.visit(dir)
	var uses []absent.Use
	for _, u := range s.uses {
		if u.of != "net/http" || !s.transport {
			uses = append(uses, u.Use)
		}
	}
	return absent.Notes(root, uses)
}

func (s *scan) visit(dir string) {
	if s.seen[dir] {
		return
	}
	s.seen[dir] = true
	pkg, err := s.context.ImportDir(dir, 0)
	if err != nil {
		return
	}
	for _, name := range pkg.GoFiles {
		if f, err := parser.ParseFile(s.files, filepath.Join(dir, name), nil, parser.SkipObjectResolution); err == nil {
			s.file(f)
		}
	}
	for _, imported := range pkg.Imports {
		if below, ok := strings.CutPrefix(imported, s.module+"/"); ok {
			s.visit(filepath.Join(s.root, filepath.FromSlash(below)))
		}
	}
}

func (s *scan) file(f *ast.File) {
	names := map[string]string{} // of imports, to paths
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if _, ok := absents[p]; err != nil || !ok {
			continue
		}
		name := path.Base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = p
	}
	if len(names) == 0 {
		return
	}
	ast.Inspect(f, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := selector.X.(*ast.Ident); ok && names[of.Name] != "" {
			s.use(names[of.Name], selector)
		}
		return true
	})
}

func (s *scan) use(of string, selector *ast.SelectorExpr) {
	name := selector.Sel.Name
	s.transport = s.transport || of == "net/http" && name == "DefaultTransport"
	for _, prefix := range absents[of].calls {
		if !strings.HasPrefix(name+"(", prefix) {
			continue
		}
		at := s.files.Position(selector.Pos())
		s.uses = append(s.uses, call{of, absent.Use{File: at.Filename, Line: at.Line, Call: path.Base(of) + "." + name, Why: absents[of].why}})
		return
	}
}

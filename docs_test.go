package evoke_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named finds functions as docs/ARCHITECTURE.md writes them: partition.(*Table).Publish, scheduler.policy.decide, node.New.
var named = regexp.MustCompile(`\b([a-z]+)\.(?:\(\*([A-Za-z]+)\)\.|([a-z][A-Za-z]+)\.)?([A-Za-z]+)\b`)

// Every function that the architecture names is in the code, under that name.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	there, packages := declarations(t)
	checked := 0
	for _, m := range named.FindAllStringSubmatch(string(text), -1) {
		pkg, receiver, name := m[1], m[2]+m[3], m[4]
		if !packages[pkg] || name == "go" || name == "md" {
			continue
		}
		checked++
		full := pkg + "." + name
		if receiver != "" {
			full = pkg + "." + receiver + "." + name
		}
		if !there[full] {
			t.Errorf("docs/ARCHITECTURE.md names %s, which is not in the code", m[0])
		}
	}
	if checked < 40 {
		t.Errorf("only %d names were found: the document or this test has changed its form", checked)
	}
}

// Every test that the page of promises names is there, and every promise names one.
func TestPromisesNameTheirTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/delivery.md")
	if err != nil {
		t.Fatal(err)
	}
	there := tests(t)
	isTest := regexp.MustCompile(`\bTest[A-Z]\w*`)
	for _, name := range isTest.FindAllString(string(text), -1) {
		if !there[name] {
			t.Errorf("docs/delivery.md names %s, which is no test", name)
		}
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| **") && !isTest.MatchString(line) {
			t.Errorf("nothing shows this promise: %s", line)
		}
	}
}

func tests(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

func declarations(t *testing.T) (there, packages map[string]bool) {
	t.Helper()
	there, packages = map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "sdk/go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := filepath.Base(filepath.Dir(path))
		packages[pkg] = true
		for _, decl := range file.Decls {
			declare(there, pkg, decl)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return there, packages
}

func declare(there map[string]bool, pkg string, decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			there[pkg+"."+d.Name.Name] = true
			return
		}
		typ := d.Recv.List[0].Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		if generic, ok := typ.(*ast.IndexExpr); ok {
			typ = generic.X
		}
		if id, ok := typ.(*ast.Ident); ok {
			there[pkg+"."+id.Name+"."+d.Name.Name] = true
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if ts, ok := spec.(*ast.TypeSpec); ok {
				there[pkg+"."+ts.Name.Name] = true
			}
		}
	}
}

package abi

import (
	"cmp"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// constants returns the exported constants of a source file without imports, by name.
func constants(t *testing.T, file string) map[string]constant.Value {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := new(types.Config).Check("abi", fset, []*ast.File{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]constant.Value{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && c.Exported() {
			out[name] = c.Val()
		}
	}
	return out
}

// TestGoSDKHasTheSameNumbers compares with the SDK, which is another module and cannot import this package. It may leave out what a Go guest has no
// use for.
func TestGoSDKHasTheSameNumbers(t *testing.T) {
	t.Parallel()
	ours, theirs := constants(t, "abi.go"), constants(t, "../go/internal/abi/abi.go")
	unused := []string{"ExitDone", "ExitRejected", "ExportInitialize", "ExportMemory", "ExportRestore", "ExportStart", "MaxLog", "MaxScript"}
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		switch want, ok := ours[name]; {
		case !ok:
			t.Errorf("the SDK has %s, which is not part of the contract", name)
		case !constant.Compare(theirs[name], token.EQL, want):
			t.Errorf("the SDK has %s = %s, want %s", name, theirs[name], want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if _, ok := theirs[name]; !ok && !slices.Contains(unused, name) {
			t.Errorf("the SDK does not have %s", name)
		}
	}
}

// TestRustSDKHasTheSameNumbers compares with the crate, whose names are ours in capitals. It may leave out what it has no use for.
func TestRustSDKHasTheSameNumbers(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../rust/src/abi.rs")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{}
	for name, value := range constants(t, "abi.go") {
		ours[strings.ToUpper(name)] = value.ExactString()
	}
	found := regexp.MustCompile(`pub const (\w+): [&\w]+ = (.+);`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 50 {
		t.Errorf("only %d numbers were found: the crate or this test has changed its form", len(found))
	}
	for _, c := range found {
		value, err := types.Eval(token.NewFileSet(), nil, token.NoPos, c[2])
		if err != nil {
			t.Fatalf("%s: %v", c[0], err)
		}
		if want, ok := ours[strings.ReplaceAll(c[1], "_", "")]; !ok || value.Value.ExactString() != want {
			t.Errorf("the crate has %s = %s, want %q", c[1], c[2], want)
		}
	}
}

// TestRustSDKImports compares the imports that the crate declares with docs/abi.md.
func TestRustSDKImports(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../rust/src/host.rs")
	if err != nil {
		t.Fatal(err)
	}
	param := regexp.MustCompile(`: (?:(i64)|(?:i32|u32|\*(?:const|mut) u8))\b`)
	want, got := signatures(t), map[string]string{}
	for _, f := range regexp.MustCompile(`(?s)#\[link_name = "(\w+)"\]\s+fn raw_(\w+)\((.*?)\)(?: -> (i32|i64))?;`).FindAllStringSubmatch(string(source), -1) {
		if f[1] != f[2] {
			t.Errorf("raw_%s is imported as %s", f[2], f[1])
		}
		var params []string
		for _, p := range param.FindAllStringSubmatch(f[3], -1) {
			params = append(params, cmp.Or(p[1], "i32"))
		}
		got[f[1]] = strings.TrimSpace(strings.Join(params, " ") + " -> " + f[4])
	}
	if len(want) < 13 || !maps.Equal(got, want) || !strings.Contains(string(source), `wasm_import_module = "`+Module+`"`) {
		t.Errorf("the crate imports\n%v, docs/abi.md has\n%v", got, want)
	}
}

// signatures reads the table of imports in docs/abi.md: name to "i32 i64 -> i32".
func signatures(t *testing.T) map[string]string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	_, imports, _ := strings.Cut(string(doc), "\n## 3. Imports")
	imports, _, _ = strings.Cut(imports, "\n## ")
	out := map[string]string{}
	param := regexp.MustCompile(`\bi(?:32|64)\b`)
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| `\\((.*?)\\)(?: -> (i32|i64))?` \\|").FindAllStringSubmatch(imports, -1) {
		out[row[1]] = strings.TrimSpace(strings.Join(param.FindAllString(row[2], -1), " ") + " -> " + row[3])
	}
	return out
}

// TestGoSDKImports compares the imports that the SDK declares with docs/abi.md.
func TestGoSDKImports(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "../go/internal/host/host_wasip1.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	want, got := signatures(t), map[string]string{}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Doc == nil {
			continue
		}
		for _, c := range fn.Doc.List {
			module, name, found := strings.Cut(strings.TrimPrefix(c.Text, "//go:wasmimport "), " ")
			if !strings.HasPrefix(c.Text, "//go:wasmimport ") || !found {
				continue
			}
			if module != Module {
				t.Errorf("%s is imported from module %q, want %q", name, module, Module)
			}
			got[name] = wasmType(t, fn.Type)
		}
	}
	if len(want) < 13 || !maps.Equal(got, want) {
		t.Errorf("the SDK imports\n%v, docs/abi.md has\n%v", got, want)
	}
}

// TestPageHasEveryNameAndNumber: docs/abi.md is the reference, so what the package has is there, in the section that is about it.
func TestPageHasEveryNameAndNumber(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(text), "\n## ")
	section := map[string]string{ // by the beginning of a constant's name
		"Export": sections[2], "Part": sections[4], "Reply": sections[5], "Level": sections[3], "Exit": sections[7], "Op": sections[8], "Status": sections[8],
	}
	for name, v := range constants(t, "abi.go") {
		prefix := regexp.MustCompile(`^[A-Z]+[a-z]*`).FindString(name)
		if name == "ExportStart" {
			prefix, section["ExportStart"] = name, sections[1] // what makes it another kind of module
		}
		if strings.HasPrefix(name, "Op") {
			prefix = "Op"
		}
		want := strings.ReplaceAll(strings.Trim(v.ExactString(), `"`), "-", "−")
		if in, ok := section[prefix]; ok && !regexp.MustCompile(`(^|[^\w.−])`+regexp.QuoteMeta(want)+`($|[^\w.])`).MatchString(in) {
			t.Errorf("section %q of docs/abi.md does not say %s, which is %s", in[:20], want, name)
		}
	}
}

func wasmType(t *testing.T, fn *ast.FuncType) string {
	t.Helper()
	one := func(f *ast.Field) string {
		switch types.ExprString(f.Type) {
		case "int32", "uint32", "unsafe.Pointer":
			return "i32"
		case "int64":
			return "i64"
		}
		t.Errorf("type %s is none of wasm's", types.ExprString(f.Type))
		return "?"
	}
	var params []string
	for _, f := range fn.Params.List {
		for range max(1, len(f.Names)) {
			params = append(params, one(f))
		}
	}
	result := ""
	if fn.Results != nil {
		result = one(fn.Results.List[0])
	}
	return strings.TrimSpace(strings.Join(params, " ") + " -> " + result)
}

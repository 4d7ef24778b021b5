package manifest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/evoke-run/evoke/manifest"
)

func compiledSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifest.JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("fn.schema.json", text); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("fn.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate holds a manifest against the schema, as an editor does.
func validate(t testing.TB, schema *jsonschema.Schema, text string) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatalf("%v:\n%s", err, asJSON)
	}
	return schema.Validate(doc)
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// manifests are all of the repository: those of the pages, and those of the examples.
func manifests(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../examples/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(append(pages, "../README.md"), files...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, ".md") {
			out[name] = string(text)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "\nfunctions:") {
				out[name+": "+m[1]] = m[1]
			}
		}
	}
	return out
}

// What can be read, an editor that knows the schema accepts.
func TestSchemaTakesEveryManifestOfThePages(t *testing.T) {
	t.Parallel()
	schema, taken := compiledSchema(t), 0
	for name, text := range manifests(t) {
		if _, err := manifest.Parse("fn.yaml", []byte(text)); err != nil {
			continue
		}
		taken++
		if err := validate(t, schema, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if taken < 10 {
		t.Errorf("only %d manifests were found", taken)
	}
}

func TestSchemaRefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	const head = "version: 1\napp: shop\nfunctions:\n  f: { source: ., "
	for _, text := range []string{
		"version: 2\n", "app: Shop\n", "sources: {}\n", "functions: []\n",
		head + "sauce: x }", head + "memory: [] }", head + "timeout: 5 }", head + "weight: 0 }", head + "weight: many }",
		head + "on: [{ kafka: {} }] }", head + "on: { topic: { name: 'a b' } } }", head + "on: { topic: { name: a, order: wild } } }",
		head + "on: { http: { auth: jwt } } }", head + "retry: { factor: 0.5 } }", head + "reuse: 'yes' }", head + "allow: { emit: a } }",
	} {
		if _, err := manifest.Parse("fn.yaml", []byte(text)); err == nil {
			t.Errorf("can be read: %s", text)
		}
		if err := validate(t, schema, text); err == nil {
			t.Errorf("the schema takes %s", text)
		}
	}
}

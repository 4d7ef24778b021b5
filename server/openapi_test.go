package server

import (
	"bytes"
	"encoding/json"
	"errors"
	goflag "flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3gen"
	"github.com/labstack/echo/v4"

	"github.com/evoke-run/evoke/api"
)

var update = goflag.Bool("update", false, "write openapi.json anew")

// The document is what the wire types and the table of operations say.
func TestOpenAPIIsUpToDate(t *testing.T) {
	t.Parallel()
	doc := document(t)
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(doc); err != nil {
		t.Fatal(err)
	}
	if read, err := openapi3.NewLoader().LoadFromData(text.Bytes()); err != nil {
		t.Fatal(err)
	} else if err := read.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text.Bytes(), openAPI) {
		t.Error("server/openapi.json is not what types and operations say; run make generate")
	}
}

// Every route of the server is in the document, and nothing else.
func TestOpenAPINamesEveryRoute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	served := map[string]bool{}
	for _, h := range []http.Handler{b.Server.admin.Handler, b.Server.gateway.Handler} {
		for _, r := range h.(*echo.Echo).Routes() {
			if !strings.Contains(r.Name, "echo/v4") { // what a group answers for paths that it does not know
				served[r.Method+" "+r.Path] = true
			}
		}
	}
	var described []string
	for _, o := range allOperations() {
		described = append(described, echoRoute(o.route))
	}
	for _, route := range described {
		method, path, _ := strings.Cut(route, " ")
		if !served[route] && !served[echo.RouteNotFound+" "+path] {
			t.Errorf("%s is in the table of operations, and the server does not serve it (%s)", route, method)
		}
	}
	for route := range served {
		method, path, _ := strings.Cut(route, " ")
		if method == echo.RouteNotFound {
			route = http.MethodPost + " " + path // any method
		}
		if !slices.Contains(described, route) {
			t.Errorf("the server serves %s, which the table of operations lacks", route)
		}
	}
}

// A client finds the document where it finds the API.
func TestOpenAPIIsServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.do("GET", b.admin+"/api/v1/openapi.json", "")
	if got.status != 200 || got.body != string(openAPI) || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s, %d bytes", got.status, got.header.Get("Content-Type"), len(got.body))
	}
}

var braces = regexp.MustCompile(`\{(\w+)\}`)

// echoRoute writes a route as echo does: :name for one segment, * for the rest.
func echoRoute(route string) string {
	return strings.ReplaceAll(braces.ReplaceAllString(route, ":$1"), "{path...}", "*")
}

func allOperations() (all []operation) {
	for _, tag := range slices.Sorted(maps.Keys(operations)) {
		all = append(all, operations[tag]...)
	}
	return all
}

// document makes the OpenAPI document.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc := &openapi3.T{
		OpenAPI: "3.0.3",
		Info: &openapi3.Info{
			Title: "Evoke", Version: "v1",
			Description: "The management API, and the gateway under the tag of that name, which has an address of its own. Errors are application/problem+json (RFC 9457) with a type that stays.",
			License:     &openapi3.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"},
		},
		Paths:      openapi3.NewPaths(),
		Components: &openapi3.Components{Schemas: openapi3.Schemas{}, SecuritySchemes: openapi3.SecuritySchemes{}},
	}
	doc.Components.SecuritySchemes["token"] = &openapi3.SecuritySchemeRef{Value: openapi3.NewSecurityScheme().WithType("http").WithScheme("bearer")}
	doc.Components.SecuritySchemes["jwt"] = &openapi3.SecuritySchemeRef{Value: openapi3.NewSecurityScheme().WithType("http").WithScheme("bearer").WithBearerFormat("JWT")}
	doc.Components.SecuritySchemes["key"] = &openapi3.SecuritySchemeRef{Value: openapi3.NewSecurityScheme().WithType("apiKey").WithIn("header").WithName(keyHeader)}
	s := &schemas{t: t, all: doc.Components.Schemas, requests: map[string]bool{}, roles: rolesOfRoutes()}
	problem := s.of(api.Problem{}, false)
	for _, tag := range slices.Sorted(maps.Keys(operations)) {
		doc.Tags = append(doc.Tags, &openapi3.Tag{Name: tag})
		for i := range operations[tag] {
			o := &operations[tag][i]
			method, path, _ := strings.Cut(o.route, " ")
			doc.AddOperation(strings.ReplaceAll(path, "...}", "}"), method, s.operation(o, tag, problem))
		}
	}
	s.describe()
	return doc
}

// schemas collects those of the wire types.
type schemas struct {
	t        *testing.T
	all      openapi3.Schemas
	requests map[string]bool // those that a client sends
	roles    map[string]role // by method and path, as echo writes them
}

// rolesOfRoutes are what a token needs for each route of the management API.
func rolesOfRoutes() map[string]role {
	roles := map[string]role{"GET /metrics": viewer}
	for _, r := range (&Server{}).managementRoutes() {
		roles[r.method+" "+management+r.path] = r.role
	}
	return roles
}

func (s *schemas) operation(o *operation, tag string, problem *openapi3.SchemaRef) *openapi3.Operation {
	out := &openapi3.Operation{Summary: o.about, Tags: []string{tag}, OperationID: operationID(o.route), Responses: openapi3.NewResponsesWithCapacity(2)}
	_, path, _ := strings.Cut(o.route, " ")
	for _, m := range regexp.MustCompile(`\{(\w+)(?:\.\.\.)?\}`).FindAllStringSubmatch(path, -1) {
		out.AddParameter(openapi3.NewPathParameter(m[1]).WithSchema(openapi3.NewStringSchema()))
	}
	for _, q := range o.query {
		out.AddParameter(openapi3.NewQueryParameter(q.name).WithDescription(q.about).WithSchema(&openapi3.Schema{Type: &openapi3.Types{q.kind}}))
	}
	if content := s.content(o.in, o.inAs, true); content != nil {
		out.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithRequired(o.in != nil).WithContent(content)}
	}
	as := o.outAs
	if o.lines {
		as = "application/jsonl"
	}
	for _, code := range o.statuses() {
		about := http.StatusText(code)
		if o.lines {
			about += ": one JSON object a line, and empty lines while nothing comes"
		}
		response := openapi3.NewResponse().WithDescription(about)
		if code != http.StatusNoContent {
			response.Content = s.content(o.out, as, false)
		}
		out.AddResponse(code, response)
	}
	fails := openapi3.NewResponse().WithDescription("An error, and what to try")
	fails.Content = openapi3.Content{"application/problem+json": {Schema: problem}}
	out.Responses.Set("default", &openapi3.ResponseRef{Value: fails})
	either := openapi3.NewSecurityRequirements().With(openapi3.NewSecurityRequirement()) // nothing: the server, or what is called, may be open to all
	if needs := s.roles[echoRoute(o.route)]; needs >= viewer {
		out.Security = either.With(openapi3.NewSecurityRequirement().Authenticate("token"))
		out.Extensions = map[string]any{"x-role": needs.String()}
	} else if strings.HasPrefix(path, management) {
		s.t.Errorf("%s has no role in the table of routes", o.route)
	}
	if tag == "gateway" {
		out.Security = either.With(openapi3.NewSecurityRequirement().Authenticate("key")).With(openapi3.NewSecurityRequirement().Authenticate("jwt"))
	}
	return out
}

func (o *operation) statuses() []int {
	if o.codes == nil {
		return []int{http.StatusOK}
	}
	return o.codes
}

// operationID is a name for generated clients: getFunctionsNameRevisions.
func operationID(route string) string {
	method, path, _ := strings.Cut(strings.ReplaceAll(strings.ReplaceAll(route, inSpace, ""), management, ""), " ")
	id := strings.ToLower(method)
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/{}.@", r) }) {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

func (s *schemas) content(v any, as string, request bool) openapi3.Content {
	var types []string
	if as != "" {
		types = strings.Split(as, ",")
	}
	schema := openapi3.NewSchemaRef("", openapi3.NewSchema())
	if v != nil {
		schema = s.of(v, request)
		if types == nil {
			types = []string{echo.MIMEApplicationJSON}
		}
		if request {
			types = []string{echo.MIMEApplicationJSON}
		}
	}
	if types == nil {
		return nil
	}
	return openapi3.NewContentWithSchemaRef(schema, types)
}

// of is the schema of a wire type; those that it names go to the components.
func (s *schemas) of(v any, request bool) *openapi3.SchemaRef {
	s.t.Helper()
	g := openapi3gen.NewGenerator(openapi3gen.CreateComponentSchemas(openapi3gen.ExportComponentSchemasOptions{ExportComponentSchemas: true, ExportTopLevelSchema: true}),
		openapi3gen.SchemaCustomizer(asText))
	ref, err := g.NewSchemaRefForValue(v, s.all)
	if err != nil {
		s.t.Fatal(err)
	}
	if request {
		s.send(ref)
	}
	return ref
}

// asText: what is written as text is a string, whatever it is in Go.
func asText(_ string, t reflect.Type, _ reflect.StructTag, schema *openapi3.Schema) error {
	schema.Nullable = false // what is absent is left out
	if t == reflect.TypeFor[api.Duration]() {
		schema.Type, schema.Format, schema.Pattern = &openapi3.Types{"string"}, "", `^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d))+$|^0$`
	}
	return nil
}

// send notes that clients send a type, and those in it.
func (s *schemas) send(ref *openapi3.SchemaRef) {
	if name := strings.TrimPrefix(ref.Ref, "#/components/schemas/"); name != "" {
		if !s.requests[name] {
			s.requests[name] = true
			s.send(s.all[name])
		}
		return
	}
	for _, p := range ref.Value.Properties {
		s.send(p)
	}
	if ref.Value.Items != nil {
		s.send(ref.Value.Items)
	}
	if more := ref.Value.AdditionalProperties.Schema; more != nil {
		s.send(more)
	}
}

// describe adds what only the source says: comments, what an answer always has, and that unknown keys of a request are refused.
func (s *schemas) describe() {
	types := wireTypes(s.t)
	closed := false
	for name, ref := range s.all {
		w, ok := types[name]
		if !ok {
			s.t.Errorf("schema %s is no type of package api", name)
			continue
		}
		ref.Value.Description = w.about
		if s.requests[name] {
			ref.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &closed}
		} else {
			ref.Value.Required = w.always
		}
		for key, p := range ref.Value.Properties {
			if about := w.fields[key]; about != "" && p.Ref != "" { // what stands beside a $ref does not count
				ref.Value.Properties[key] = openapi3.NewSchemaRef("", &openapi3.Schema{Description: about, AllOf: openapi3.SchemaRefs{p}})
			} else if about != "" {
				p.Value.Description = about
			}
		}
	}
}

// wireType is a struct of package api as its source has it.
type wireType struct {
	about  string
	fields map[string]string // comment by JSON key
	always []string          // keys without omitempty
}

func wireTypes(t *testing.T) map[string]wireType {
	t.Helper()
	out := map[string]wireType{}
	files := token.NewFileSet()
	names, err := fs.Glob(os.DirFS("../api"), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(files, "../api/"+name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				spec := g.Specs[0].(*ast.TypeSpec)
				if s, ok := spec.Type.(*ast.StructType); ok {
					out[spec.Name.Name] = readType(oneLine(g.Doc), s)
				}
			}
		}
	}
	return out
}

func readType(about string, s *ast.StructType) wireType {
	w := wireType{about: about, fields: map[string]string{}}
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		key, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
		w.fields[key] = strings.TrimSpace(oneLine(f.Doc) + " " + oneLine(f.Comment))
		if !strings.Contains(options, "omit") {
			w.always = append(w.always, key)
		}
	}
	slices.Sort(w.always)
	return w
}

func oneLine(c *ast.CommentGroup) string {
	return strings.Join(strings.Fields(c.Text()), " ")
}

// contract holds answers of all tests of this package against the document.
type contract struct {
	doc    *openapi3.T
	routes map[string]*http.ServeMux // by method

	mu   sync.Mutex
	seen map[string]bool // routes that were answered with success
}

var theContract = sync.OnceValue(func() *contract {
	c := &contract{routes: map[string]*http.ServeMux{}, seen: map[string]bool{}}
	var err error
	if c.doc, err = openapi3.NewLoader().LoadFromData(openAPI); err != nil {
		panic(err)
	}
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			if c.routes[method] == nil { // one for each: ServeMux serves HEAD by GET
				c.routes[method] = http.NewServeMux()
			}
			c.routes[method].Handle(strings.NewReplacer("{path}", "{path...}", "/@{ns}", "/@/{ns}").Replace(path), http.NotFoundHandler())
		}
	}
	return c
})

// http is a client whose answers are held against the document.
func (b *bundle) http() *http.Client { return &http.Client{Transport: checked{b.t}} }

// checked is http.DefaultTransport, and reads what is no stream before its caller does.
type checked struct{ t *testing.T }

func (c checked) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	check := func(body string) { theContract().check(c.t, req, answer{res.StatusCode, res.Header, body}) }
	if req.Header.Get("Content-Type") == echo.MIMEApplicationJSON && res.StatusCode < 400 {
		theContract().checkRequest(c.t, req)
	}
	switch kind := res.Header.Get("Content-Type"); kind {
	case "application/jsonl", "application/octet-stream":
		res.Body = &checkedStream{ReadCloser: res.Body, check: check}
	default:
		body, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return nil, err
		}
		check(string(body))
		res.Body = io.NopCloser(bytes.NewReader(body))
	}
	return res, nil
}

// checkedStream is checked as far as it was read.
type checkedStream struct {
	io.ReadCloser
	read  strings.Builder
	check func(body string)
}

func (b *checkedStream) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Write(p[:n])
	return n, err
}

func (b *checkedStream) Close() error {
	whole := b.read.String()
	b.check(whole[:strings.LastIndexByte(whole, '\n')+1])
	return b.ReadCloser.Close()
}

// find is nil for what the document does not know.
func (c *contract) find(req *http.Request) (pattern string, operation *openapi3.Operation) {
	at := *req.URL
	at.Path, at.RawPath = strings.Replace(at.Path, "/@", "/@/", 1), ""
	routes := c.routes[req.Method]
	if routes == nil {
		return "", nil
	}
	_, pattern = routes.Handler(&http.Request{URL: &at}) // ServeMux has no segments that begin with something and end in a wildcard
	if pattern == "" {
		return "", nil
	}
	pattern = strings.Replace(pattern, "/@/", "/@", 1)
	return req.Method + " " + pattern, c.doc.Paths.Value(strings.ReplaceAll(pattern, "...}", "}")).GetOperation(req.Method)
}

// checkRequest fails the test when the server took what the document forbids.
func (c *contract) checkRequest(t *testing.T, req *http.Request) {
	t.Helper()
	_, operation := c.find(req)
	if operation == nil || operation.RequestBody == nil {
		return
	}
	content := operation.RequestBody.Value.Content.Get(echo.MIMEApplicationJSON)
	if content == nil || content.Schema.Value.IsEmpty() {
		return
	}
	body, err := req.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		t.Errorf("%s %s: the server took a body that is no JSON: %v", req.Method, req.URL.Path, err)
	} else if err := content.Schema.Value.VisitJSON(v, openapi3.MultiErrors()); err != nil {
		t.Errorf("%s %s: the server took what the document forbids: %v", req.Method, req.URL.Path, err)
	}
}

// check fails the test for an answer that the document does not know.
func (c *contract) check(t *testing.T, req *http.Request, got answer) {
	t.Helper()
	if got.status == http.StatusRequestHeaderFieldsTooLarge {
		return // net/http answers it before it has a request
	}
	pattern, operation := c.find(req)
	if operation == nil {
		if got.status < 400 && describable(req.Method) {
			t.Errorf("%s %s: status %d, and the document has no such operation", req.Method, req.URL.Path, got.status)
		}
		return
	}
	response := operation.Responses.Status(got.status)
	if response != nil || got.status < 400 {
		c.mu.Lock()
		c.seen[pattern] = true
		c.mu.Unlock()
	}
	switch {
	case response != nil:
	case slices.Contains(operation.Tags, "gateway") && got.header.Get("Content-Type") != "application/problem+json":
		return // the function says what the answer is
	case got.status < 400:
		t.Errorf("%s %s: the document has no status %d", req.Method, req.URL.Path, got.status)
		return
	default:
		response = operation.Responses.Default()
	}
	if len(response.Value.Content) == 0 || req.Method == http.MethodHead {
		if got.body != "" {
			t.Errorf("%s %s: status %d has the body %q, and the document none", req.Method, req.URL.Path, got.status, got.body)
		}
		return
	}
	kind, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	content := response.Value.Content.Get(kind)
	if content == nil {
		t.Errorf("%s %s: status %d comes as %q, which the document does not have", req.Method, req.URL.Path, got.status, kind)
		return
	}
	texts := []string{got.body}
	switch {
	case kind == "application/jsonl":
		texts = strings.Split(got.body, "\n")
	case content.Schema.Ref == "" && content.Schema.Value.IsEmpty():
		return
	}
	for _, text := range texts {
		if text == "" {
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%s %s: %v in %q", req.Method, req.URL.Path, err, text)
		} else if err := content.Schema.Value.VisitJSON(v, openapi3.MultiErrors()); err != nil {
			t.Errorf("%s %s: the answer is not what the document says: %v\n%s", req.Method, req.URL.Path, err, text)
		}
	}
}

// describable: OpenAPI 3.0 has words for these methods only, and functions take any.
func describable(method string) bool {
	return slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}, method)
}

// unseen are the operations that no test has seen succeed.
func (c *contract) unseen() (routes []string) {
	for _, o := range allOperations() {
		if method, _, _ := strings.Cut(o.route, " "); !c.seen[o.route] && !(o.outAs == "*/*" && method != "POST") {
			routes = append(routes, o.route)
		}
	}
	return routes
}

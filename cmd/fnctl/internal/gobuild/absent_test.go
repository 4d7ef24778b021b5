package gobuild_test

import (
	"slices"
	"strings"
	"testing"
)

// What compiles and fails when it runs is named with its place, in whatever package of the user's module; what is not built, or only looks like it, is not.
func TestCallsOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"go.mod":  "module example.com/m\n\ngo 1.24\n",
		"main.go": handler + "\nvar _ = dial\n",
		"dial.go": `package main

import (
	"net"
	run "os/exec"

	"example.com/m/far/files"
)

func dial() error {
	_, err := net.Dial("tcp", net.JoinHostPort("a", "1"))
	if err == nil {
		err = run.Command("ls").Run()
	}
	return files.Write(err)
}
`,
		"far/files/files.go":  "package files\n\nimport \"os\"\n\nfunc Write(error) error { return os.WriteFile(os.Getenv(\"A\"), nil, 0) }\n",
		"far/other/other.go":  "package other\n\nimport \"os\"\n\nvar _, Err = os.Open(\"nobody imports it\")\n",
		"main_test.go":        "package main\n\nimport \"os\"\n\nvar _, _ = os.Open(\"x\")\n",
		"dial_linux.go":       "package main\n\nimport \"net\"\n\nvar _, _ = net.Listen(\"tcp\", \"\")\n",
		"far/files/lookup.go": "package files\n\ntype named struct{ Dial int }\n\nvar net named\n\nvar _ = net.Dial\n",
	})
	r, err := newBuilder(t).Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`dial.go:11: net.Dial: a function has no sockets, so it reaches nobody ("Connection refused"); requests go through evokehttp.Client`,
		`dial.go:13: exec.Command: a function cannot start programs ("executable file not found")`,
		`far/files/files.go:5: os.WriteFile: a function has no files ("Bad file number"); go:embed has what comes with it`,
	} {
		if i >= len(r.Notes) || !strings.HasPrefix(r.Notes[i], want) {
			t.Errorf("note %d of %q, want %q", i, r.Notes, want)
		}
	}
	if len(r.Notes) != 3 {
		t.Errorf("%d notes: %q", len(r.Notes), r.Notes)
	}
}

func TestRequestsByTheDefaultClient(t *testing.T) {
	t.Parallel()
	const get = "package main\n\nimport \"net/http\"\n\nfunc get() error { _, err := http.Get(\"x\"); return err }\n\nvar _, _ = get, http.NewRequest\n"
	for more, want := range map[string]int{"": 1, "import \"net/http\"\n\nfunc init() { http.DefaultTransport = nil }\n": 0} {
		r, err := newBuilder(t).Build(t.Context(), write(t, map[string]string{"main.go": handler, "get.go": get, "more.go": "package main\n" + more}))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Notes) != want || want == 1 && !strings.HasPrefix(r.Notes[0], "get.go:5: http.Get: a function has no sockets") {
			t.Errorf("%q: %q, want %d", more, r.Notes, want)
		}
	}
}

func TestManyCallsOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	r, err := newBuilder(t).Build(t.Context(), write(t, map[string]string{
		"main.go": handler, "x.go": "package main\n\nimport \"os\"\n\nfunc x() {\n" + strings.Repeat("\tos.Remove(\"x\")\n", 8) + "}\n\nvar _ = x\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notes) != 6 || !slices.Contains(r.Notes, "3 more calls are of what a function does not have") {
		t.Errorf("%q", r.Notes)
	}
}

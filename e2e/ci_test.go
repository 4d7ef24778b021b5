package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// install is the line of examples/ci that is not run: it needs the internet. The fnctl of this repository is on PATH.
const install = "go install github.com/evoke-run/evoke/cmd/fnctl@latest"

// ciScripts are the lines that a file of examples/ci gives to a shell, job by job.
type ciScripts struct{ check, deploy []string }

// gitlabScripts reads a .gitlab-ci.yml.
func gitlabScripts(text []byte) (s ciScripts, err error) {
	type job struct {
		Script []string
		Rules  []struct{ If string }
	}
	var file struct {
		Stages  []string
		Default struct {
			Image        string
			BeforeScript []string `yaml:"before_script"`
		}
		Check, Deploy job
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return s, err
	}
	if len(file.Check.Rules) == 0 || len(file.Deploy.Rules) == 0 {
		return s, errors.New("a job has no rules, so it would always run")
	}
	before := file.Default.BeforeScript
	return ciScripts{append(append([]string{}, before...), file.Check.Script...), append(append([]string{}, before...), file.Deploy.Script...)}, nil
}

// githubScripts reads a workflow of GitHub Actions.
func githubScripts(text []byte) (s ciScripts, err error) {
	type job struct {
		If    string
		Steps []struct{ Uses, Run string }
	}
	var file struct {
		Env  map[string]string
		Jobs struct{ Check, Deploy job }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return s, err
	}
	if file.Env["FNCTL_TOKEN"] != "${{ secrets.FNCTL_TOKEN }}" || file.Jobs.Check.If == "" || file.Jobs.Deploy.If == "" {
		return s, errors.New("the token is no secret, or a job would always run")
	}
	runs := func(j job) (lines []string) {
		for _, step := range j.Steps {
			if step.Run != "" {
				lines = append(lines, step.Run)
			}
		}
		return lines
	}
	return ciScripts{runs(file.Jobs.Check), runs(file.Jobs.Deploy)}, nil
}

var (
	jenkinsStage = regexp.MustCompile(`stage\('(\w+)'\)`)
	jenkinsShell = regexp.MustCompile(`\bsh '([^'\n]*)'`)
)

// jenkinsScripts reads a Jenkinsfile: what is between two stages belongs to the first.
func jenkinsScripts(text []byte) (s ciScripts, err error) {
	stages := jenkinsStage.FindAllSubmatchIndex(text, -1)
	for i, at := range stages {
		end := len(text)
		if i+1 < len(stages) {
			end = stages[i+1][0]
		}
		var lines []string
		for _, m := range jenkinsShell.FindAllSubmatch(text[at[1]:end], -1) {
			lines = append(lines, string(m[1]))
		}
		switch name := string(text[at[2]:at[3]]); name {
		case "Tools":
			s.check, s.deploy = append(s.check, lines...), append(s.deploy, lines...)
		case "Check":
			s.check = append(s.check, lines...)
		case "Deploy":
			s.deploy = append(s.deploy, lines...)
		default:
			return s, errors.New("this test does not know the stage " + name)
		}
	}
	if strings.Count(string(text), "{") != strings.Count(string(text), "}") {
		return s, errors.New("a brace is missing")
	}
	return s, nil
}

const ciManifest = `version: 1
app: shop
functions:
  greet: { source: ./probe, on: [ { http: {} } ] }
`

// The lines of examples/ci, as a pipeline runs them: with a token for one namespace, in a clone that somebody has changed.
func TestExamplesOfCI(t *testing.T) {
	t.Parallel()
	rt := newApp(t, start(t, dataDir(t)))
	rt.token = strings.TrimSpace(rt.must(t, "token", "create", "boss", "--role", "admin"))
	for file, read := range map[string]func([]byte) (ciScripts, error){"gitlab-ci.yml": gitlabScripts, "github-actions.yml": githubScripts, "Jenkinsfile": jenkinsScripts} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("..", "examples", "ci", file))
			if err != nil {
				t.Fatal(err)
			}
			scripts, err := read(text)
			if err != nil {
				t.Fatal(err)
			}
			ns := strings.ToLower(strings.NewReplacer(".", "-").Replace(file))
			ci := strings.TrimSpace(rt.must(t, "token", "create", ns, "--role", "deployer", "--ns", ns))
			p := &pipeline{app: &app{rt: rt.rt, ns: ns, dir: t.TempDir(), token: rt.token}, token: ci}
			p.follow(t, scripts)
		})
	}
}

// pipeline runs scripts in a namespace of its own.
type pipeline struct {
	*app
	token string
}

func (p *pipeline) follow(t *testing.T, scripts ciScripts) {
	p.writeProbe(t)
	p.write(t, "fn.yaml", []byte(ciManifest))
	contains(t, p.run(t, scripts.check), "greet", "created")
	if out := p.must(t, "ls", "-o", "name"); out != "" {
		t.Fatalf("the check has deployed %s", out)
	}
	contains(t, p.run(t, scripts.deploy), "greet", "created", "unchanged")
	contains(t, p.run(t, scripts.deploy), "unchanged") // the same commit again
	contains(t, p.run(t, scripts.check), "unchanged")

	p.write(t, "fn.yaml", []byte(strings.ReplaceAll(ciManifest, "greet", "welcome")))
	contains(t, p.run(t, scripts.deploy), "welcome", "created")
	if out := p.must(t, "ls", "-o", "name"); out != "welcome\n" {
		t.Errorf("there is\n%s, want welcome only", out)
	}

	p.token = "evt_nobody"
	_, err := p.shell(t).run(strings.Join(p.runnable(t, scripts.deploy), "\n"))
	if err == nil || !strings.Contains(err.Error(), "token: try ") {
		t.Errorf("with a wrong token: %v", err)
	}
}

func (p *pipeline) run(t *testing.T, lines []string) string {
	t.Helper()
	out, err := p.shell(t).run(strings.Join(p.runnable(t, lines), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runnable leaves out what needs the internet, and insists that it is there.
func (p *pipeline) runnable(t *testing.T, lines []string) (out []string) {
	t.Helper()
	for _, line := range lines {
		if line != install {
			out = append(out, line)
		}
	}
	if len(out) != len(lines)-1 || len(out) < 2 {
		t.Fatalf("the lines are %q: one installs fnctl, and at least two use it", lines)
	}
	return out
}

func (p *pipeline) shell(t *testing.T) *shell {
	t.Helper()
	return newShell(t, p.dir, "PATH="+filepath.Dir(programs.fnctl)+":"+os.Getenv("PATH"), "FNCTL_SERVER="+p.rt.admin, "FNCTL_TOKEN="+p.token, "FNCTL_NAMESPACE="+p.ns)
}

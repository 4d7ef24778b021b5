package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/evoke-run/evoke/api"
)

// The kinds of what fnctl dev tells.
const (
	devReady    = "ready"    // the runtime is; Gateway and Admin
	devDeployed = "deployed" // Functions are in force
	devSame     = "same"     // a change that changes nothing
	devFault    = "error"    // Error and Try; what ran goes on
	devNote     = "note"     // Text
	devLog      = "log"      // Log
	devLetter   = "dead-letter"
	devSent     = "sent" // a test event; Text
)

// devLine is one thing that fnctl dev tells: a line of -o jsonl, or some words.
type devLine struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	// Gateway and Admin are base URLs.
	Gateway string `json:"gateway,omitempty"`
	Admin   string `json:"admin,omitempty"`
	// Functions are those that a deploy has brought or changed; Removed those that have left fn.yaml.
	Functions []api.DeployedFunction `json:"functions,omitempty"`
	Removed   []string               `json:"removed,omitempty"`
	// Files are those whose change was the cause, Built the functions that were built because of it.
	Files []string `json:"files,omitempty"`
	Built []string `json:"built,omitempty"`
	// Saved is when the change was seen, and Visible when all requests met the new revision. The milliseconds are those of the build, of the deploy, and from Saved to Visible.
	Saved     time.Time `json:"saved,omitzero"`
	Visible   time.Time `json:"visible,omitzero"`
	BuildMS   float64   `json:"buildMs,omitempty"`
	DeployMS  float64   `json:"deployMs,omitempty"`
	VisibleMS float64   `json:"visibleMs,omitempty"`

	Error string        `json:"error,omitempty"`
	Try   string        `json:"try,omitempty"`
	Text  string        `json:"text,omitempty"`
	Log   *api.LogEntry `json:"log,omitempty"`
}

// devScreen is where fnctl dev tells what happens, from several goroutines: logs and URLs on stdout, all else on stderr; with -o jsonl all on stdout.
type devScreen struct {
	c       *cli
	command string // what commands of others need to reach this runtime, " --server …", or nothing

	mu      sync.Mutex
	colours map[string]string // of functions
}

// The colours of functions; red, yellow and green have meanings already.
var devColours = [...]string{"\x1b[36m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[95m", "\x1b[94m", "\x1b[1;36m", "\x1b[1;35m"}

// tell shows a line.
func (s *devScreen) tell(l devLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.Time.IsZero() {
		l.Time = s.c.now()
	}
	if s.c.format == jsonLines {
		text, err := json.Marshal(l)
		if err == nil {
			_, _ = s.c.out.Write(append(text, '\n')) // who reads has gone, and so the signal for it comes
		}
		return
	}
	w, text := s.text(l)
	if text != "" {
		fmt.Fprintln(w, text) // as above
	}
}

func (s *devScreen) note(format string, args ...any) {
	s.tell(devLine{Kind: devNote, Text: fmt.Sprintf(format, args...)})
}

// text is a line for people, and where it goes.
func (s *devScreen) text(l devLine) (io.Writer, string) {
	c := s.c
	switch l.Kind {
	case devReady:
		return c.err, fmt.Sprintf("the runtime is ready: gateway %s, management %s", l.Gateway, l.Admin)
	case devDeployed:
		return c.out, s.deployedText(l)
	case devSame:
		return c.err, c.paint(c.err, dim, fmt.Sprintf("%s: nothing has changed (%s)", strings.Join(l.Built, ", "), milliseconds(l.BuildMS)))
	case devFault:
		text := c.paint(c.err, red, "error:") + " " + printable(l.Error)
		if l.Try != "" {
			text += "\nTry: " + printable(l.Try)
		}
		return c.err, text
	case devLog:
		return c.out, s.logText(*l.Log)
	case devLetter:
		return c.out, c.paint(c.out, red, "dead letter: ") + printable(l.Text)
	}
	return c.err, printable(l.Text)
}

// deployedText has a line for what was built and how long it took, and one for each function when it is the first time or its URLs are others.
func (s *devScreen) deployedText(l devLine) string {
	c := s.c
	var lines []string
	if !l.Saved.IsZero() {
		var revisions []string
		for _, f := range l.Functions {
			if f.Change != changeUnchanged {
				revisions = append(revisions, fmt.Sprintf("%s r%d", s.name(c.out, f.Name), f.Revision))
			}
		}
		for _, name := range l.Removed {
			revisions = append(revisions, s.name(c.out, name)+" removed")
		}
		if len(revisions) == 0 {
			revisions = []string{"the app"}
		}
		lines = append(lines, fmt.Sprintf("%s %s %s after the save (build %s, deploy %s)", strings.Join(revisions, ", "), c.paint(c.out, green, "visible"),
			milliseconds(l.VisibleMS), milliseconds(l.BuildMS), milliseconds(l.DeployMS)))
	}
	for _, f := range l.Functions {
		if l.Saved.IsZero() || f.Change == changeCreated {
			lines = append(lines, s.functionText(f))
		}
		for _, text := range f.Warnings {
			lines = append(lines, c.paint(c.out, yellow, "warning:")+" "+f.Name+": "+printable(text))
		}
	}
	return strings.Join(lines, "\n")
}

func (s *devScreen) functionText(f api.DeployedFunction) string {
	how := f.URLs
	if len(how) == 0 {
		how = f.Triggers
	}
	return fmt.Sprintf("%s r%d  %s", s.name(s.c.out, f.Name), f.Revision, orDash(strings.Join(how, "  ")))
}

// name is a function in its colour.
func (s *devScreen) name(w io.Writer, function string) string {
	return s.c.paint(w, s.colour(function), printable(function))
}

// colour follows from the name, so that it is the same every time; of two functions that would have the same one, the second gets the next that is free.
func (s *devScreen) colour(function string) string {
	if colour, ok := s.colours[function]; ok {
		return colour
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(function)) // never fails
	first := int(hash.Sum32() % uint32(len(devColours)))
	taken := map[string]bool{}
	for _, colour := range s.colours {
		taken[colour] = true
	}
	colour := devColours[first]
	for i := range devColours {
		if next := devColours[(first+i)%len(devColours)]; !taken[next] {
			colour = next
			break
		}
	}
	if s.colours == nil {
		s.colours = map[string]string{}
	}
	s.colours[function] = colour
	return colour
}

// logText is an entry of the log: time, function, level when it is no ordinary one, and what it says.
func (s *devScreen) logText(e api.LogEntry) string {
	c := s.c
	e = printableEntry(e)
	parts := []string{c.paint(c.out, dim, e.Time.Local().Format("15:04:05.000")), s.name(c.out, e.Function)}
	if e.Level != "info" && e.Attempt == nil {
		parts = append(parts, c.paint(c.out, levelColour(e.Level), e.Level))
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	if e.Attempt != nil {
		parts = append(parts, c.attemptText(c.out, e))
	}
	return strings.Join(parts, " ")
}

// milliseconds are a time as people read it.
func milliseconds(ms float64) string {
	if ms >= 1000 {
		return fmt.Sprintf("%.2f s", ms/1000)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

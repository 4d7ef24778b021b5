package rustbuild

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evoke-run/evoke/cmd/fnctl/internal/absent"
)

// absents are what std offers and a function does not have.
var absents = []struct {
	calls []string // prefixes of paths, a whole path when it ends with "("
	why   string
}{
	{[]string{"std::fs::"},
		`a function has no files ("failed to find a pre-opened file descriptor"); include_str! and include_bytes! have what comes with it, and keyed state what it keeps, docs/rust.md`},
	{[]string{"std::net::TcpStream::", "std::net::UdpSocket::"},
		`a function has no sockets ("operation not supported on this platform"); requests go through evoke::Fetch, docs/fetch.md`},
	{[]string{"std::net::TcpListener::"},
		`a function has no sockets ("operation not supported on this platform"); requests come to it by an http trigger`},
	{[]string{"std::process::Command::"},
		`a function cannot start programs ("operation not supported on this platform"); it can invoke another function, docs/invoke.md, and send requests, docs/fetch.md`},
	{[]string{"std::thread::spawn(", "std::thread::scope(", "std::thread::Builder::"},
		`a function has one thread ("failed to spawn thread"); events run beside each other by themselves, and requests by Fetch::start, docs/fetch.md`},
}

// absentNotes tell of what the crate's own sources call and will not have. inputs are all that it was made of.
func (c *crate) absentNotes(inputs []string) []string {
	var uses []absent.Use
	for _, file := range slices.Sorted(slices.Values(inputs)) {
		if filepath.Ext(file) != ".rs" || !c.owns(file) {
			continue
		}
		if src, err := os.ReadFile(file); err == nil { // rustc has read it; if it is gone now, there is nothing to tell
			for _, u := range absentUses(string(src)) {
				u.File = file
				uses = append(uses, u)
			}
		}
	}
	return absent.Notes(c.workspace, uses)
}

// owns says whether a file is the crate's, and is part of what runs: not one of another crate, nor of the script that builds it, nor what that has made.
func (c *crate) owns(file string) bool {
	runs := false
	for _, t := range c.Targets {
		script := slices.Contains(t.Kind, "custom-build")
		if script && t.SrcPath == file {
			return false
		}
		runs = runs || !script && strings.HasPrefix(file, filepath.Dir(t.SrcPath)+string(filepath.Separator))
	}
	if !runs {
		return false
	}
	for _, manifest := range manifests(filepath.Dir(file)) {
		if _, err := os.Stat(manifest); err == nil {
			return manifest == c.ManifestPath
		}
	}
	return false
}

// absentUses finds calls of what is absent, without their file.
func absentUses(src string) []absent.Use {
	var out []absent.Use
	for _, r := range references(src) {
		path := r.resolve()
		name := path[len(path)-1]
		if len(path) < 2 || strings.ToLower(name) != name { // a type is no call
			continue
		}
		call := strings.Join(path, "::") + "("
		for _, a := range absents {
			if slices.ContainsFunc(a.calls, func(prefix string) bool { return strings.HasPrefix(call, prefix) }) {
				out = append(out, absent.Use{Line: r.line, Call: strings.Join(path[len(path)-2:], "::"), Why: a.why})
			}
		}
	}
	return out
}

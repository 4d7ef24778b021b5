// Package web holds what scripts have of the web platform. Its interfaces are JavaScript: one file for each group of them, which the engine runs when one of its names
// is first touched, so that a script pays for what it uses. What is work, such as decoding text, is done here in Go, by Call.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
)

//go:embed *.js
var files embed.FS

// group is one file, a function that returns the globals it makes by name.
type group struct {
	name    string
	globals []string
	hints   []string // other words by which a script shows that it will need the group
}

var groups = []group{
	{name: "lists"},
	{name: "inspect", hints: []string{"console", "log"}},
	{name: "encoding", globals: []string{"TextEncoder", "TextDecoder"}},
	{name: "url", globals: []string{"URL", "URLSearchParams"}},
	{name: "events", globals: []string{"Event", "CustomEvent", "EventTarget", "AbortSignal", "AbortController"}},
	{name: "streams", globals: []string{"ReadableStream", "ReadableStreamDefaultReader", "ReadableStreamDefaultController"}},
	{name: "blob", globals: []string{"Blob", "File", "FormData"}},
	{name: "clone", globals: []string{"structuredClone"}},
	{name: "crypto", globals: []string{"crypto", "Crypto", "CryptoKey", "SubtleCrypto"}},
	{name: "fetch", globals: []string{"Headers", "Request", "Response"}, hints: []string{"fetch", "request"}},
}

// Source is the JavaScript of a group. There is none that Globals does not name.
func Source(group string) ([]byte, error) {
	b, err := files.ReadFile(group + ".js")
	if err != nil {
		return nil, fmt.Errorf("no group %q of web globals", group)
	}
	return b, nil
}

// Globals is what the prelude of scripts makes of the groups: JSON, {group: [global, …]}.
var Globals = sync.OnceValue(func() string {
	all := map[string][]string{}
	for _, g := range groups {
		if len(g.globals) > 0 {
			all[g.name] = g.globals
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings
	}
	return string(b)
})

// Digest is that of all files, in hexadecimal.
var Digest = sync.OnceValue(func() string {
	sum := sha256.New()
	for _, g := range groups {
		b, err := Source(g.name)
		if err != nil {
			panic(err) // each group has its file
		}
		fmt.Fprintf(sum, "%s %v %d\n%s", g.name, g.globals, len(b), b)
	}
	return hex.EncodeToString(sum.Sum(nil))
})

var groupOf = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for _, g := range groups {
		for _, word := range append(g.globals, g.hints...) {
			all[word] = g.name
		}
	}
	return all
})

// Mentioned names the groups that a script has a word of, in whatever place: they are made before its snapshot is taken, and not by every event. It is a guess and may be one: what is
// missing here is made when it is touched.
func Mentioned(script []byte) []string {
	var found []string
	seen := map[string]bool{}
	for start := 0; start < len(script); {
		end := start
		for end < len(script) && inWord(script[end]) {
			end++
		}
		if g, ok := groupOf()[string(script[start:end])]; ok && !seen[g] {
			seen[g] = true
			found = append(found, g)
		}
		start = end + 1
	}
	return found
}

func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

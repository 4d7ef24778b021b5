// Command command is a WASI command in plain Go: event on stdin, reply on stdout. The event's subject is its exit code.
package main

import (
	"io"
	"os"
	"strconv"
	"strings"
)

func main() {
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	event := string(b)
	subject := member(event, "subject")
	if subject == "panic" {
		panic("out of cheese")
	}
	os.Stdout.WriteString(strings.Join([]string{member(event, "id"), member(event, "data"), member(event, "path"), os.Getenv("COLOUR")}, " "))
	os.Stderr.WriteString("subject " + subject + "\n")
	code, _ := strconv.Atoi(subject)
	os.Exit(code)
}

// member finds a string in JSON well enough for a test: encoding/json would make this guest slow to compile.
func member(json, name string) string {
	_, rest, _ := strings.Cut(json, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

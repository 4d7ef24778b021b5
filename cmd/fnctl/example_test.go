package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What --help shows can be typed: the commands and flags are there, values can be read, and arguments are as many as they may be.
func TestExamplesOfHelpCanBeTyped(t *testing.T) {
	t.Parallel()
	root, checked := referenceRoot(), 0
	check := func(cmd *cobra.Command) {
		for line := range strings.Lines(strings.ReplaceAll(cmd.Example, "\\\n", " ")) {
			commands, err := fnctlCommands(line)
			if err != nil {
				t.Errorf("%s: %v in: %s", cmd.CommandPath(), err, line)
			}
			for _, args := range commands {
				checked++
				if err := typeable(args); err != nil {
					t.Errorf("%s: %v in: %s", cmd.CommandPath(), err, line)
				}
			}
		}
	}
	check(root)
	visitCommands(root, check)
	if checked < 80 {
		t.Errorf("only %d commands were found in examples", checked)
	}
}

// typeable says what is wrong with a command line, as far as that is known before it runs.
func typeable(args []string) error {
	cmd, rest, err := referenceRoot().Find(args) // a new one: flags are set
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// fnctlCommands finds the commands of fnctl in a line for a shell, each as its arguments.
func fnctlCommands(line string) (out [][]string, err error) {
	var args []string // of the command at hand; nil when it is none of fnctl
	begins, skip := true, false
	words, err := shellWords(line)
	for _, w := range words {
		switch {
		case w.operator:
			if args != nil {
				out = append(out, args)
			}
			args, begins, skip = nil, true, w.text == "<" || w.text == ">"
		case skip:
			skip = false
		case begins && (w.text == "!" || w.text == "until" || strings.Contains(w.text, "=")):
		case begins:
			begins = false
			if w.text == "fnctl" {
				args = []string{}
			}
		case args != nil:
			args = append(args, w.text)
		}
	}
	if args != nil {
		out = append(out, args)
	}
	return out, err
}

type shellWord struct {
	text     string
	operator bool
}

// shellWords reads as much of the shell's language as examples have: quotes, comments, operators, and $( ) as if it were two operators.
func shellWords(line string) (out []shellWord, err error) {
	var word strings.Builder
	open, quote := false, byte(0)
	end := func() {
		if open {
			out = append(out, shellWord{text: word.String()})
		}
		word.Reset()
		open = false
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, open = c, true
		case quote != 0:
			word.WriteByte(c)
		case c == ' ' || c == '\t' || c == '\n':
			end()
		case c == '#' && !open:
			return out, nil
		case strings.IndexByte("|&;<>()", c) >= 0:
			end()
			out = append(out, shellWord{text: string(c), operator: true})
		default:
			word.WriteByte(c)
			open = true
		}
	}
	end()
	if quote != 0 {
		err = fmt.Errorf("a quote %c is not closed", quote)
	}
	return out, err
}

func TestCommandsAreFoundInLinesForAShell(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"fnctl ls":                               `[["ls"]]`,
		"# fnctl ls":                             `[]`,
		"date | fnctl invoke hello -d -   # now": `[["invoke" "hello" "-d" "-"]]`,
		`fnctl emit t -d '{"a": "b c"}' && fnctl ls`: `[["emit" "t" "-d" "{\"a\": \"b c\"}"] ["ls"]]`,
		"export T=$(fnctl token create ci --ns a)":   `[["token" "create" "ci" "--ns" "a"]]`,
		"source <(fnctl completion bash)":            `[["completion" "bash"]]`,
		"fnctl secret set k < key.pem":               `[["secret" "set" "k"]]`,
		"A=b fnctl ls; echo fnctl rm":                `[["ls"]]`,
		"fnctl schema > fn.schema.json":              `[["schema"]]`,
	} {
		if got, err := fnctlCommands(line); err != nil || fmt.Sprintf("%q", got) != want {
			t.Errorf("%s: %q, %v; want %s", line, got, err, want)
		}
	}
	if _, err := fnctlCommands("fnctl emit -d '{"); err == nil {
		t.Error("a quote that is not closed is no error")
	}
}

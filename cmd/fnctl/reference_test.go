package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/reference-fnctl.md anew")

const referencePage = "../../docs/reference-fnctl.md"

// The page says what --help of every command says.
func TestReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	page := reference()
	if *update {
		if err := os.WriteFile(referencePage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	there, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if string(there) != page {
		t.Errorf("%s is not what the commands say of themselves; run make generate", referencePage)
	}
}

// Each exit code is said in the help of the program, and so on the page.
func TestHelpHasEveryExitCode(t *testing.T) {
	t.Parallel()
	said := referenceRoot().Long
	for _, code := range []int{exitOK, exitFailed, exitUsage, exitNotFound, exitConflict, exitUnauthorised, exitUnreachable, exitTimeout, exitFunction, exitWouldChange, exitInterrupted} {
		if !strings.Contains(said, fmt.Sprintf(" %d ", code)) && !strings.Contains(said, fmt.Sprintf("\n%d ", code)) {
			t.Errorf("fnctl --help does not say what exit code %d is", code)
		}
	}
}

func referenceRoot() *cobra.Command { return (&cli{out: io.Discard, err: io.Discard}).root() }

func reference() string {
	root := referenceRoot()
	var b strings.Builder
	b.WriteString("# fnctl\n\n<!-- Made by make generate from the commands; edit their texts. -->\n\n")
	writeHelp(&b, root.Long)
	writeBlock(&b, root.Example)
	b.WriteString("Flags of every command:\n\n")
	writeFlags(&b, root.PersistentFlags())
	visitCommands(root, func(cmd *cobra.Command) {
		fmt.Fprintf(&b, "- [%s](#%s): %s\n", cmd.CommandPath(), strings.ReplaceAll(cmd.CommandPath(), " ", "-"), escaped(cmd.Short))
	})
	visitCommands(root, func(cmd *cobra.Command) { writeCommand(&b, cmd) })
	return b.String()
}

// visitCommands calls f for what is below cmd, in alphabetical order.
func visitCommands(cmd *cobra.Command, f func(*cobra.Command)) {
	for _, child := range cmd.Commands() {
		if !child.Hidden {
			f(child)
			visitCommands(child, f)
		}
	}
}

func writeCommand(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", cmd.CommandPath())
	if cmd.Long != "" {
		writeHelp(b, cmd.Long)
	} else {
		writeHelp(b, cmd.Short+".")
	}
	if cmd.Runnable() {
		writeBlock(b, cmd.UseLine())
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	of := cmd.Root().PersistentFlags()
	for _, some := range []*pflag.FlagSet{cmd.LocalFlags(), cmd.InheritedFlags()} {
		some.VisitAll(func(f *pflag.Flag) {
			if of.Lookup(f.Name) == nil && f.Name != "help" && !f.Hidden && flags.Lookup(f.Name) == nil {
				flags.AddFlag(f)
			}
		})
	}
	writeFlags(b, flags)
	if cmd.Example != "" {
		writeBlock(b, cmd.Example)
	}
}

func writeFlags(b *strings.Builder, flags *pflag.FlagSet) {
	if !flags.HasFlags() {
		return
	}
	b.WriteString("| flag | value | default | |\n|---|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		value, usage := pflag.UnquoteUsage(f)
		def := ""
		if !slices.Contains([]string{"", "false", "0", "0s", "[]"}, f.DefValue) {
			def = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, value, def, strings.ReplaceAll(escaped(usage), "|", `\|`))
	})
	b.WriteString("\n")
}

// writeBlock writes lines as they are, without what all of them are indented by.
func writeBlock(b *strings.Builder, text string) {
	b.WriteString("```\n")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		b.WriteString(strings.TrimPrefix(line, "  ") + "\n")
	}
	b.WriteString("```\n\n")
}

// writeHelp writes paragraphs. Lines that are indented are shown as they are.
func writeHelp(b *strings.Builder, text string) {
	var block []string
	end := func() {
		if len(block) > 0 {
			b.WriteString("\n")
			writeBlock(b, strings.Join(block, "\n"))
		}
		block = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "  ") {
			block = append(block, line)
			continue
		}
		end()
		b.WriteString(escaped(line) + "\n")
	}
	end()
	b.WriteString("\n")
}

// escaped is a text in which Markdown finds nothing to do.
func escaped(s string) string { return strings.NewReplacer("<", `\<`, "*", `\*`).Replace(s) }

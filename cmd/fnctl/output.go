package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

// Formats of -o.
const (
	table     = "table"
	wide      = "wide"
	jsonForm  = "json"
	yamlForm  = "yaml"
	nameForm  = "name"
	jsonLines = "jsonl"
)

// formatFlag adds -o with the formats that make sense for the command; the first is the default.
func (c *cli) formatFlag(cmd *cobra.Command, formats ...string) {
	var format string
	cmd.Flags().StringVarP(&format, "output", "o", formats[0], "output: "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // only fails for an unknown flag
	cmd.PreRunE = func(*cobra.Command, []string) error {
		c.format = format
		return oneOf("-o", format, formats...)
	}
}

// column is one column of a table of T.
type column[T any] struct {
	title string
	// wide columns are shown with -o wide only.
	wide bool
	text func(T) string
}

// list says how to show many of T.
type list[T any] struct {
	columns []column[T]
	name    func(T) string
	// none is what stderr says instead of an empty table.
	none string
}

// show writes items in the format of -o.
func (l list[T]) show(c *cli, items []T) error {
	switch c.format {
	case jsonForm, yamlForm:
		if items == nil {
			items = []T{}
		}
		return c.object(items)
	case jsonLines:
		for _, item := range items {
			if err := c.line(item); err != nil {
				return err
			}
		}
		return nil
	case nameForm:
		for _, item := range items {
			if err := c.print("%s\n", printable(l.name(item))); err != nil {
				return err
			}
		}
		return nil
	}
	if len(items) == 0 {
		c.say("%s", l.none)
		return nil
	}
	return l.table(c, items)
}

func (l list[T]) table(c *cli, items []T) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	row := func(text func(column[T]) string) {
		var cells []string
		for _, col := range l.columns {
			if !col.wide || c.format == wide {
				cells = append(cells, text(col))
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t")) // errors stay in w until Flush
	}
	row(func(col column[T]) string { return col.title })
	for _, item := range items {
		row(func(col column[T]) string { return orDash(printable(col.text(item))) })
	}
	return w.Flush()
}

// object writes one value as JSON or YAML, with the names of the API.
func (c *cli) object(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	out := b.Bytes()
	if c.format == yamlForm {
		var err error
		if out, err = yaml.JSONToYAML(out); err != nil {
			return fmt.Errorf("encode output as YAML: %w", err)
		}
	}
	_, err := c.out.Write(out)
	return err
}

// line writes one value as one line of JSON.
func (c *cli) line(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// print writes data.
func (c *cli) print(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}

// say tells people something; it is no data.
func (c *cli) say(format string, args ...any) {
	fmt.Fprintf(c.err, format+"\n", args...) // there is nowhere left to report to
}

// fields writes "Name:   value" lines to stdout.
func (c *cli) fields(pairs ...string) error { return writeFields(c.out, pairs...) }

// writeFields leaves out a name without a value.
func writeFields(out io.Writer, pairs ...string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s:\t%s\n", pairs[i], printable(pairs[i+1])) // errors stay in w until Flush
		}
	}
	return w.Flush()
}

const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	dim    = "\x1b[2m"
)

// paint colours text for a terminal and leaves it alone anywhere else.
func (c *cli) paint(w io.Writer, colour, s string) string {
	if colour == "" || c.getenv("NO_COLOR") != "" || c.getenv("TERM") == "dumb" || !isTerminal(w) {
		return s
	}
	return colour + s + "\x1b[0m"
}

// isTerminal takes a reader or a writer.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printable makes control characters visible: what a function logs must not steer the terminal of who reads it. Line ends and tabs stay.
func printable(s string) string {
	if !strings.ContainsFunc(s, isControl) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if isControl(r) {
			fmt.Fprintf(&b, `\x%02x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isControl(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

// oneLine folds text into one cell of a table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age is how long ago t was, in the largest unit that fits: "12s", "5m", "3h", "9d".
func (c *cli) age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := max(c.now().Sub(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05.000")
}

// size writes bytes as people read them: "64 MiB".
func size(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n)/1024, []string{"KiB", "MiB", "GiB"}
	i := 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	s := strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
	return s + " " + units[i]
}

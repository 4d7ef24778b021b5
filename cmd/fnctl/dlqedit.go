package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

// editing says where the changed event comes from.
type editing struct {
	editor bool
	file   string // "-" is stdin
}

func (e *editing) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&e.editor, "edit", false, "change the event in VISUAL or EDITOR before it is sent")
	cmd.Flags().StringVar(&e.file, "edit-file", "", "send the event in this file instead, a CloudEvent as JSON; - for stdin")
}

func (e *editing) wanted() bool { return e.editor || e.file != "" }

func (e *editing) check(cmd *cobra.Command, s api.DeadLetterSelection) error {
	switch path := cmd.CommandPath(); {
	case !e.wanted():
		return nil
	case e.editor && e.file != "":
		return usagef("", "%s takes either --edit or --edit-file, not both", path)
	case len(s.IDs) != 1:
		return usagef(path+" ID --edit", "an edit is for one dead letter, and needs its ID")
	case s.DryRun && e.editor:
		return usagef(path+" ID --edit-file FILE --dry-run", "--edit has nothing to do in a --dry-run")
	}
	return nil
}

// edit puts the changed event into the selection. What it returns takes the result of the redrive: an event that was not taken stays in its file.
func (c *cli) edit(ctx context.Context, s *changing, e *editing) (keep func(error) error, err error) {
	if e.file != "" {
		event, err := c.readEventFile(e.file)
		s.Event = event
		return func(err error) error { return err }, err
	}
	before, err := c.eventToEdit(ctx, s.IDs[0])
	if err != nil {
		return nil, err
	}
	path, err := writeTemp(before)
	if err != nil {
		return nil, err
	}
	keep = func(err error) error {
		if err == nil {
			return os.Remove(path)
		}
		c.say("the edited event is kept in %s", path)
		return err
	}
	after, err := c.runEditor(ctx, path)
	switch {
	case err != nil:
		return nil, keep(err)
	case bytes.Equal(bytes.TrimSpace(before), bytes.TrimSpace(after)):
		return nil, errors.Join(&adviceError{errors.New("the event was not changed, so nothing was redriven"), "redrive without --edit, to send it as it is"}, os.Remove(path))
	case !json.Valid(after):
		return nil, keep(&adviceError{jsonError(after), "correct the file and redrive with --edit-file " + path})
	}
	s.Event = after
	return keep, nil
}

func (c *cli) eventToEdit(ctx context.Context, id string) ([]byte, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	d, err := client.DeadLetter(ctx, c.namespace, id)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, d.Event, "", "  "); err != nil {
		return nil, fmt.Errorf("read the event of dead letter %s: %w", id, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func (c *cli) readEventFile(name string) (json.RawMessage, error) {
	const try = "a CloudEvent as JSON; fnctl dlq peek ID -o json shows the one that failed as \"event\""
	in := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, &usageError{err: fmt.Errorf("--edit-file: %w", err), try: try}
		}
		defer f.Close() // only read
		in = f
	}
	b, err := readAll(in, name)
	if err != nil {
		return nil, err
	}
	if !json.Valid(b) {
		return nil, &usageError{err: fmt.Errorf("--edit-file %s: %w", name, jsonError(b)), try: try}
	}
	return b, nil
}

func jsonError(b []byte) error {
	var v any
	return fmt.Errorf("the event is not JSON: %w", json.Unmarshal(b, &v))
}

// writeTemp makes a file that only the user can read: events may be secret.
func writeTemp(b []byte) (path string, err error) {
	f, err := os.CreateTemp("", "fnctl-event-*.json")
	if err != nil {
		return "", fmt.Errorf("make a file to edit: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write the event to edit: %w", err)
	}
	return f.Name(), nil
}

// runEditor runs VISUAL or EDITOR, which may have arguments, on a file and returns what it left. Its screen is stderr: stdout is for data.
func (c *cli) runEditor(ctx context.Context, path string) ([]byte, error) {
	editor := c.getenv("VISUAL")
	if editor == "" {
		editor = c.getenv("EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "editor", path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.in, c.err, c.err
	if err := cmd.Run(); err != nil {
		return nil, &adviceError{fmt.Errorf("run the editor %q: %w", editor, err), "set EDITOR to one that works, or use --edit-file; nothing was redriven"}
	}
	return os.ReadFile(path)
}

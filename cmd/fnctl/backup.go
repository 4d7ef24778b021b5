package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/archive"
)

func (c *cli) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE|-",
		Short: "Write everything that the server keeps to a file",
		Long: `Write everything that the server keeps to a file: functions, triggers, topics and modules, events, dead letters and keyed state, as they are at one moment.
The server goes on meanwhile; what it acknowledged before is in the backup. What was written is checked before the command ends.

The file holds the data of your events. Keep it as you keep them. "fnctl restore" brings it back.`,
		Example: `  fnctl backup evoke.backup
  fnctl backup - | ssh store 'cat > evoke.backup'`,
		Args: argCount(1, 1, "a FILE, or - for stdout"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.backup(cmd.Context(), args[0]) }
	return cmd
}

// backup has no time limit: it takes as long as there is data.
func (c *cli) backup(ctx context.Context, name string) (err error) {
	out := &backupFile{out: c.out}
	if name != "-" {
		if out, err = newBackupFile(name); err != nil {
			return &usageError{err: err, try: "a FILE that can be written and is not there yet"}
		}
	}
	client, err := c.client()
	if err != nil {
		return errors.Join(err, out.drop())
	}
	in, err := client.Backup(ctx)
	if err != nil {
		return errors.Join(err, out.drop())
	}
	defer in.Close() // read to its end or of no more use
	n, err := copyBackup(out.out, in)
	if err != nil {
		return errors.Join(&adviceError{err: fmt.Errorf("back up to %s: %w", name, err), try: "again; the server's log may say more"}, out.drop())
	}
	if err := out.keep(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	c.say("backed up %s to %s", size(n), name)
	return nil
}

// copyBackup copies a backup and checks that all of it is there.
func copyBackup(out io.Writer, in io.Reader) (n int64, err error) {
	count := &counter{}
	r, err := archive.NewReader(io.TeeReader(in, io.MultiWriter(out, count)))
	for err == nil {
		_, _, err = r.Next()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return count.n, err
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// backupFile has its name only when it is whole.
type backupFile struct {
	out  io.Writer
	file *os.File // nil for stdout
	name string
}

func newBackupFile(name string) (*backupFile, error) {
	if _, err := os.Lstat(name); err == nil {
		return nil, fmt.Errorf("%s is there already", name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &backupFile{out: f, file: f, name: name}, nil
}

func (b *backupFile) keep() error {
	if b.file == nil {
		return nil
	}
	if err := errors.Join(b.file.Sync(), b.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(b.file.Name(), b.name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(b.name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (b *backupFile) drop() error {
	if b.file == nil {
		return nil
	}
	return errors.Join(b.file.Close(), os.Remove(b.file.Name()))
}

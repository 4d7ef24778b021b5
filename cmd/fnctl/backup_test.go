package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/archive"
)

func smallBackup(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Block(archive.Header, []byte(strings.Repeat("{}", 1000))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBackup(t *testing.T) {
	t.Parallel()
	whole := smallBackup(t)
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(whole[:500])) // the client may have gone
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("there"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answer     any
		args       []string
		code       int
		out        string
		stderr     string
		keeps      string // what the file has in the end; "" when it must not be there
		mayHaveOut bool
	}{
		"file":    {answer: stub{200, whole}, args: []string{at("file")}, stderr: "backed up 2 KiB to " + at("file"), keeps: whole},
		"stdout":  {answer: stub{200, whole}, args: []string{"-"}, out: whole, stderr: "backed up 2 KiB to -"},
		"there":   {answer: stub{200, whole}, args: []string{at("there")}, code: 2, stderr: at("there") + " is there already\nTry: a FILE that can be written", keeps: "old"},
		"cut":     {answer: stub{200, whole[:1000]}, args: []string{at("cut")}, code: 1, stderr: "back up to " + at("cut") + ": the backup is cut off: block 0, at byte 9, is not all there\nTry: again"},
		"damaged": {answer: stub{200, strings.Replace(whole, "{}", "[]", 1)}, args: []string{at("damaged")}, code: 1, stderr: "the backup is damaged: block 0 at byte 9: wrong checksum"},
		"foreign": {answer: stub{200, "<html>hello there</html>"}, args: []string{at("foreign")}, code: 1, stderr: "not a backup"},
		"aborted": {answer: broken, args: []string{"-"}, code: 1, stderr: "back up to -: the backup is cut off", mayHaveOut: true},
		"refused": {answer: api.Problem{Status: 503, Title: "The server is stopping", Next: "repeat"}, args: []string{at("refused")}, code: 6, stderr: "The server is stopping\nTry: repeat"},
		"nowhere": {answer: stub{200, whole}, args: []string{at("no/where")}, code: 2, stderr: "no such file or directory"},
		"nothing": {answer: stub{200, whole}, code: 2, stderr: "fnctl backup needs a FILE, or - for stdout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newFake(t, map[string]any{"GET /backup": c.answer}).fnctl(append([]string{"backup"}, c.args...)...)
			if got.code != c.code || !c.mayHaveOut && got.out != c.out || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("exit code %d, want %d; %d bytes on stdout, want %d; stderr:\n%s\nwant:\n%s", got.code, c.code, len(got.out), len(c.out), got.stderr, c.stderr)
			}
			have, err := os.ReadFile(at(name))
			if string(have) != c.keeps || (err == nil) != (c.keeps != "") {
				t.Errorf("the file has %d bytes, %v; want %d", len(have), err, len(c.keeps))
			}
			if left, _ := filepath.Glob(at(name) + ".part"); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestRestoreUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"fnctl restore needs a FILE, or - for stdin":                {"restore"},
		`fnctl restore takes one FILE, but there is also "b"`:       {"restore", "a", "b"},
		`fnctl restore takes one FILE, but there is also "another"`: {"restore", "a", "another", "--", "--partitions", "4"},
	} {
		if got := execute(t.Context(), t, "", nil, args...); got.code != 2 || !strings.Contains(got.stderr, want) {
			t.Errorf("%q: exit code %d, stderr:\n%s\nwant %s", args, got.code, got.stderr, want)
		}
	}
}

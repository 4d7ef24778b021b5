package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMeminfo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "meminfo")
	for content, want := range map[string][2]int64{
		"MemTotal:       1000 kB\nMemFree:          10 kB\nMemAvailable:     99 kB\n": {99, 1000},
		"MemTotal:       1000 kB\n":      {},
		"MemTotal: many\nMemAvailable\n": {},
		"":                               {},
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if free, total := readMeminfo(path); free != want[0] || total != want[1] {
			t.Errorf("%q: %d of %d", content, free, total)
		}
	}
	if free, total := readMeminfo(path + "2"); free != 0 || total != 0 {
		t.Error(free, total)
	}
	if !shortOf(99, 1000) || shortOf(100, 1000) || shortOf(0, 0) {
		t.Error("a tenth is not what counts")
	}
}

func TestControlGroup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, wantFree, wantLimit int64) {
		t.Helper()
		if free, limit := readGroup(filepath.Join(dir, "self"), filepath.Join(dir, "fs")); free != wantFree || limit != wantLimit {
			t.Errorf("%s: %d of %d", what, free, limit)
		}
	}
	expect("no file", 0, 0)
	write("self", "1:name=systemd:/old\n0::/app.slice/evoke\n")
	expect("no limit", 0, 0)
	write("fs/app.slice/evoke/memory.max", "max\n")
	expect("unlimited", 0, 0)
	write("fs/app.slice/evoke/memory.max", "1000\n")
	write("fs/app.slice/evoke/memory.current", "990\n")
	write("fs/app.slice/evoke/memory.stat", "anon 5\ninactive_file 50\nactive_file 7\n")
	expect("limited", 60, 1000)
	write("self", "0::/elsewhere\n")
	write("fs/memory.max", "500\n")
	expect("in a container", 500, 500)
}

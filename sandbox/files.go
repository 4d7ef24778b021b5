package sandbox

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fileNames are the files that a module comes back from, base names but for the code.
type fileNames struct {
	module, data string // in the directory of images
	engine       string // there too, of a script: the module that runs it, whose data and code the others then are
	image        string // there too; "" for a module that has no snapshot
	code         string // below the directory of compiled code; "" when the engine looks after that itself
}

func (p *program) fileNames(h *artifactHead) fileNames {
	n := fileNames{module: "module-" + p.module.key, data: "data-" + p.module.key, code: h.Code}
	if p.script != nil {
		n.engine, n.data = "module-"+engineKey(), "data-"+engineKey()
	}
	if p.resettable {
		n.image = "image-" + p.imageKey()
	}
	return n
}

// onDisk says whether a module can come back.
func (r *Runtime) onDisk(n *fileNames) bool {
	if r.imageDir == "" || n.module == "" || r.compiler != nil && n.code == "" {
		return false
	}
	for _, name := range []string{n.module, n.engine, n.data, n.image} {
		if name != "" && !isFile(filepath.Join(r.imageDir, name)) {
			return false
		}
	}
	return n.code == "" || isFile(filepath.Join(r.cacheDir, n.code))
}

// unusedFor is how old a file must be that no module here needs before it goes: a deploy first checks a module and then loads it, and the last revisions
// may come back.
const unusedFor = time.Hour

// sweep removes files of modules that are not here any more, and what a crash left half made.
func (r *Runtime) sweep(now time.Time) {
	needed := map[string]bool{}
	for _, m := range r.opened() {
		n := m.knownFiles()
		for _, name := range []string{n.module, n.engine, n.data, n.image} {
			needed[filepath.Join(r.imageDir, name)] = true
		}
		needed[filepath.Join(r.cacheDir, n.code)] = true
	}
	if e := r.scriptEngine.Load(); e != nil { // it stays in memory, and scripts come back only with its files
		for _, name := range []string{"module-" + engineKey(), "data-" + engineKey()} {
			needed[filepath.Join(r.imageDir, name)] = true
		}
		needed[filepath.Join(r.cacheDir, e.head.Code)] = true
	}
	var files []string
	if r.imageDir != "" {
		files = append(files, matches(r.imageDir, "*")...)
	}
	if r.compiler != nil { // else nobody knows whose code is whose
		files = append(files, matches(r.cacheDir, "wazero-*", "*")...)
		files = append(files, matches(r.cacheDir, privateDir+"*")...)
	}
	for _, f := range files {
		info, err := os.Lstat(f)
		if err != nil || needed[f] || now.Sub(info.ModTime()) < unusedFor {
			continue
		}
		if err := os.RemoveAll(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.logger.Warn("cannot remove a file that no function needs", slog.String("file", f), slog.Any("err", err))
		}
	}
}

// matches lists what a directory has under patterns; the directory's own name is none.
func matches(dir string, patterns ...string) []string {
	quoted := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
	files, err := filepath.Glob(filepath.Join(append([]string{quoted}, patterns...)...))
	if err != nil {
		panic(err) // the patterns are ours
	}
	return files
}

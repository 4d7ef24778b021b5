package gobuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// goPackage is what this package needs of `go list -json`.
type goPackage struct {
	Dir                 string
	Standard            bool
	Module              *struct{ GoMod string }
	GoFiles, EmbedFiles []string
}

// list asks the go command which files a package and all that it imports have.
func (b *Builder) list(ctx context.Context, p prepared) ([]string, error) {
	out, err := b.run(ctx, p.dir, "list", "-mod=readonly", "-deps", "-overlay", p.overlay, "-json=Dir,Standard,Module,GoFiles,EmbedFiles", ".")
	if err != nil {
		return nil, p.failure(ctx, out, err)
	}
	var files []string
	if p.gomod != "" && p.gomod != os.DevNull {
		files = append(files, p.gomod, filepath.Join(filepath.Dir(p.gomod), "go.sum"))
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg goPackage
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read the go command's list of packages: %w", err)
		}
		if pkg.Standard || pkg.downloaded() || strings.Contains(pkg.Dir, virtualSDK) {
			continue
		}
		for _, name := range slices.Concat(pkg.GoFiles, pkg.EmbedFiles) {
			files = append(files, filepath.Join(pkg.Dir, name))
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// downloaded: its module lies in the module cache, where go.mod has another name, and not where the user, or a replace line, has it.
func (p goPackage) downloaded() bool {
	return p.Module != nil && p.Module.GoMod != "" && filepath.Base(p.Module.GoMod) != "go.mod"
}

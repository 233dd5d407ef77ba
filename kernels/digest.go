package kernels

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels/modules"
)

// digest returns a digest of the names and contents of the kernel's original files.
func digest(dir string, isELF bool) (string, error) {
	files := []string{FileVmlinuz, FileConfig}
	if isELF {
		files[0] = FileVmlinux
	}
	err := filepath.WalkDir(filepath.Join(dir, DirModules), func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		// The rest is made by depmod, and differs between its versions.
		if n := d.Name(); modules.IsModule(n) || strings.HasPrefix(n, "modules.builtin") && !strings.HasSuffix(n, ".bin") &&
			n != "modules.builtin.alias" || n == "modules.order" {
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return err
			}
			files = append(files, rel)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	slices.Sort(files[2:])
	all := sha256.New()
	for _, name := range files {
		sum, err := cache.FileSum(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(all, "%s  %s\n", sum, name)
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// WriteFile writes a file into a kernel's directory, by its path there, and creates
// its parents. A file of more than MaxBytes is an error, a *limitread.Error.
func WriteFile(dir, path string, r io.Reader) error {
	name := filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	most := MaxBytes(path)
	n, err := io.Copy(f, io.LimitReader(r, most+1))
	if err == nil && n > most {
		err = &limitread.Error{Path: path, Most: most}
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	return f.Close()
}

package kernels

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/kernels/modules"
)

// signature ends a signed module (MODULE_SIG_STRING, include/linux/module_signature.h).
const signature = "~Module signature appended~\n"

// ModulesSigned reports whether the kernel's modules carry a signature, by the first
// of its own that can be read: what others built for it, in extra/ or updates/, is
// asked only where there is none. Whose the signature is, the kernel finds out. Without
// modules there is none that lacks one.
func (k *Kernel) ModulesSigned() bool {
	signed := true
	if k.ModulesDir == "" {
		return signed
	}
	others := false // whether one of others' was read
	_ = Walk(k.ModulesDir, func(rel string, _ fs.FileInfo) error {
		own := strings.HasPrefix(filepath.ToSlash(rel), "kernel/")
		if !modules.IsModule(rel) || others && !own {
			return nil
		}
		if data, err := modules.Read(filepath.Join(k.ModulesDir, rel)); err == nil {
			signed, others = bytes.HasSuffix(data, []byte(signature)), true
			if own {
				return fs.SkipAll
			}
		}
		return nil
	})
	return signed
}

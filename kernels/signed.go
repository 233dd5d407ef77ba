package kernels

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/kernels/modules"
)

// signature is the end of a signed module (MODULE_SIG_STRING,
// include/linux/module_signature.h).
const signature = "~Module signature appended~\n"

// ModulesSigned reports whether the kernel's modules are signed, according to the first
// of its own that can be read: modules built for it by others, in extra/ or updates/,
// count only if there are no others. It does not check the signature; the kernel does.
// Without modules it returns true.
func (k *Kernel) ModulesSigned() bool {
	signed := true
	if k.ModulesDir == "" {
		return signed
	}
	others := false // whether a module of others was read
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

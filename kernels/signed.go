package kernels

import (
	"bytes"
	"io/fs"
	"path/filepath"

	"github.com/faultline/faultline/kernels/modules"
)

// signature ends a signed module (MODULE_SIG_STRING, include/linux/module_signature.h).
const signature = "~Module signature appended~\n"

// ModulesSigned reports whether the kernel's modules carry a signature, by the first
// that is found. Whose it is, the kernel finds out. Without modules there is none that
// lacks one.
func (k *Kernel) ModulesSigned() bool {
	signed := true
	if k.ModulesDir == "" {
		return signed
	}
	_ = Walk(k.ModulesDir, func(rel string, _ fs.FileInfo) error {
		if !modules.IsModule(rel) {
			return nil
		}
		if data, err := modules.Read(filepath.Join(k.ModulesDir, rel)); err == nil {
			signed = bytes.HasSuffix(data, []byte(signature))
		}
		return fs.SkipAll
	})
	return signed
}

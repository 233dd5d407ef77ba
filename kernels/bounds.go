package kernels

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels/modules"
	"github.com/faultline/faultline/kernels/vmlinuz"
)

// Limits in bytes on what is read of a kernel: a sparse file of any size costs its
// creator nothing. A Debian bzImage has 14 MB, or 60 MB uncompressed; a
// configuration has 300 KiB, the largest module list 2 MiB.
const (
	maxImage  = vmlinuz.MaxBytes
	maxConfig = 16 << 20
	maxList   = 64 << 20
)

// MaxBytes returns the maximum size, in bytes, of a file in a kernel's directory, by its
// relative path there, such as "config".
func MaxBytes(name string) int64 {
	switch {
	case name == FileVmlinuz, name == FileVmlinux:
		return maxImage
	case name == FileConfig:
		return maxConfig
	case modules.IsModule(name):
		return modules.MaxBytes
	}
	return maxList
}

// whole is held while an image or a module is in memory together with its decompressed
// form: some 700 MiB for a hostile one. A process has one at a time, however many
// kernels it resolves in parallel.
var whole = semaphore.NewWeighted(1)

// WithImage reads an image and calls use with it, one image at a time in this process:
// use must not keep data. The error is that of use, or of reading: a *limitread.Error for
// a file that is too large.
func WithImage(ctx context.Context, path string, use func(data []byte) error) error {
	if err := whole.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer whole.Release(1)
	data, err := limitread.ReadFile(path, maxImage)
	if err != nil {
		return err
	}
	return use(data)
}

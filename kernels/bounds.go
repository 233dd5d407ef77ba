package kernels

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels/modules"
	"github.com/faultline/faultline/kernels/vmlinuz"
)

// What is read of a kernel has bounds, in bytes: a file costs nobody anything to be
// sparse and large. A bzImage of Debian's has 14 MB, and 60 MB where it is not
// compressed; a configuration has 300 KiB, the largest list of modules 2 MiB.
const (
	maxImage  = vmlinuz.MaxBytes
	maxConfig = 16 << 20
	maxList   = 64 << 20
)

// MaxBytes is how large a file of a kernel's folder may be, by its path there.
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

// whole is held while an image or a module is in memory as a whole, with what it is
// decompressed to: some 700 MiB of a hostile one. However many kernels a process
// resolves at a time, there is one of these.
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

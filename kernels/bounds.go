package kernels

import "github.com/faultline/faultline/kernels/modules"

// What is read of a kernel has bounds, in bytes: a file costs nobody anything to
// be sparse and large. A vmlinux with all of its debugging information has some
// 1 GiB, a configuration 300 KiB, the largest list of modules 2 MiB.
const (
	maxImage  = 2 << 30
	maxPacked = 256 << 20 // a bzImage of Debian's has 14 MB
	maxConfig = 16 << 20
	maxList   = 64 << 20
)

// MaxBytes is how large a file of a kernel's folder may be, by its path there.
func MaxBytes(name string) int64 {
	switch {
	case name == FileVmlinuz:
		return maxPacked
	case name == FileVmlinux:
		return maxImage
	case name == FileConfig:
		return maxConfig
	case modules.IsModule(name):
		return modules.MaxBytes
	}
	return maxList
}

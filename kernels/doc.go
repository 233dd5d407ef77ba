// Package kernels defines a Kernel: an image that QEMU boots with its modules,
// configuration and digest, in a directory of the cache. It defines what a Source must
// put there, but no source: those are packages below source. It never boots a
// kernel, and never decides what a kernel's version means.
package kernels

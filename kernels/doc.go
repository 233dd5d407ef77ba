// Package kernels owns what a Kernel is: an image that QEMU boots with its
// modules, its configuration, its digest, in a folder of the cache. It says what a
// Source has to lay there, and knows none: they are packages below source. It
// never boots a kernel, and never decides what a kernel's version means.
package kernels

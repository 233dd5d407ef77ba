// Package kernels owns where kernels come from: it turns a spec such as
// "apt:bookworm" into a Kernel, with an image that QEMU boots, its modules and
// its configuration, kept in the cache and known by a digest; and it owns the
// matrix files that list them. apt and dpkg-deb do the fetching, the verifying and
// the unpacking. It never boots a kernel, never needs root, never touches the
// machine's own apt state, and never decides what a kernel's version means.
package kernels

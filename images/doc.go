// Package images makes the files that a guest boots from: the initramfs and the
// contents of its persistent memory, including file system and nd_pfn info block.
// The same input gives the same bytes. Images live in the cache, and guests never
// change them. The package needs neither root nor ndctl, and runs mkfs to make file
// systems. It does not depend on QEMU, SSH, kernels or scenarios.
package images

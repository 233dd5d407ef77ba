// Package images makes the files a guest boots from: the initramfs, the
// contents of its persistent memory (file system and nd_pfn info block
// included). Same input, same bytes; everything lies in the cache and is never
// changed by a guest. It needs no root and no ndctl, and calls mkfs where a
// file system is wanted. It knows nothing of QEMU, SSH, kernels or scenarios.
package images

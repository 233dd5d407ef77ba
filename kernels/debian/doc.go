// Package debian knows Debian's binary packages of kernels: what of them makes a
// kernel, how their versions are ordered. Where a package file comes from is its
// callers' business.
package debian

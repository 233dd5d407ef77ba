// Package debian handles Debian's binary packages of kernels: which of their files make a
// kernel, and how their versions are ordered. It does not know where package files
// come from.
package debian

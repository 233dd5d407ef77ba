// Package debian handles Debian's binary packages of kernels, without dpkg: it reads them as
// deb(5) describes, and orders their versions. It does not know where package files come
// from.
package debian

package victim

import "golang.org/x/sys/unix"

// Number returns the number of a system call on this architecture: those whose arguments
// are at most a word, which 32-bit victims use.
func Number(name string) (uintptr, bool) {
	switch name {
	case "madvise":
		return unix.SYS_MADVISE, true
	case "read":
		return unix.SYS_READ, true
	case "write":
		return unix.SYS_WRITE, true
	}
	return 0, false
}

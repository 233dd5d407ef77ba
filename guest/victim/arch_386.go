package victim

import "golang.org/x/sys/unix"

// mapBase is the address of a victim's first mapping: above the program and the Go heap,
// below the addresses that the kernel chooses.
const mapBase = 0x4000_0000

// mapStep is the distance between the starts of two mappings; larger mappings take several.
const mapStep = 64 << 20

// sysMmap is the system call mmap2(2); mmapUnit is the unit of its offset in bytes.
const (
	sysMmap  = unix.SYS_MMAP2
	mmapUnit = 4096
)

// written reports whether victims are implemented for this architecture.
const written = true

// entry returns the address of an assembly function with the C calling convention.
func entry(i int) uintptr

// touch calls the function at insn, which is the access followed by a return.
//
//go:noescape
func touch(insn, addr, value uintptr) (result uintptr, done bool)

// A 32-bit victim does not fork, and starts no threads.

func forkChild(*forkFDs) (pid int) { return -int(unix.ENOSYS) }

func startThread(*forkFDs, uintptr) (tid int) { return -int(unix.ENOSYS) }

package victim

import "golang.org/x/sys/unix"

// mapBase is the address of a victim's first mapping: far above the Go heap, far
// below the addresses that the kernel chooses, and the same in every process.
const mapBase = 0x1000_0000_0000

// mapStep is the distance between the starts of two mappings; larger mappings take several.
const mapStep = 1 << 30

// sysMmap is the system call mmap(2); mmapUnit is the unit of its offset in bytes.
const (
	sysMmap  = unix.SYS_MMAP
	mmapUnit = 1
)

// written reports whether victims are implemented for this architecture.
const written = true

// entry returns the address of an assembly function with the C calling convention.
func entry(i int) uintptr

// touch calls the function at insn, which is the access followed by a return.
//
//go:noescape
func touch(insn, addr, value uintptr) (result uintptr, done bool)

// forkChild forks. The child serves commands until the command pipe is closed.
// It returns the child's process id, or an errno below 0.
//
//go:noescape
func forkChild(f *forkFDs) (pid int)

// startThread starts a thread of this process; stack is the upper end of its stack. The
// thread serves commands for as long as the process lives. It returns the thread's
// id, or an errno below 0.
//
//go:noescape
func startThread(f *forkFDs, stack uintptr) (tid int)

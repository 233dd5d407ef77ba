package victim

// mapBase is where a victim's first mapping lies: far above the Go heap, far
// below what the kernel hands out by itself, and the same in every process.
const mapBase = 0x1000_0000_0000

// written says whether victims of this architecture are.
const written = true

// entry is the address of an assembly function that the C world calls.
func entry(i int) uintptr

// touch calls the function at insn, which is the access and a return.
//
//go:noescape
func touch(insn, addr, value uintptr) (result uintptr, done bool)

// forkChild forks. The child serves commands until the pipe of commands ends.
// It returns the child's process id, or an errno below 0.
//
//go:noescape
func forkChild(f *forkFDs) (pid int)

// startThread starts a thread of this process, with the end of its stack. The
// thread serves commands for as long as the process lives. It returns the thread's
// id, or an errno below 0.
//
//go:noescape
func startThread(f *forkFDs, stack uintptr) (tid int)

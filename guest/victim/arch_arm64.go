package victim

import "golang.org/x/sys/unix"

// As on amd64: within the 48-bit user address space of a usual kernel.
const mapBase = 0x1000_0000_0000

// mapStep is the distance between the starts of two mappings; larger mappings take several.
const mapStep = 1 << 30

// sysMmap is the system call mmap(2); mmapUnit is the unit of its offset in bytes.
const (
	sysMmap  = unix.SYS_MMAP
	mmapUnit = 1
)

// The handler, the accesses and the fork, which are assembly, are not implemented
// for this architecture: Serve, their only caller, returns an error.
const written = false

func entry(int) uintptr { return 0 }

func touch(insn, addr, value uintptr) (result uintptr, done bool) { return 0, false }

func forkChild(*forkFDs) (pid int) { return -1 }

func startThread(*forkFDs, uintptr) (tid int) { return -1 }

package victim

// As on amd64: within the 48-bit user address space of a usual kernel.
const mapBase = 0x1000_0000_0000

// The handler, the accesses and the fork, which are assembly, are not implemented
// for this architecture: Serve, their only caller, returns an error.
const written = false

func entry(int) uintptr { return 0 }

func touch(insn, addr, value uintptr) (result uintptr, done bool) { return 0, false }

func forkChild(*forkFDs) (pid int) { return -1 }

func startThread(*forkFDs, uintptr) (tid int) { return -1 }

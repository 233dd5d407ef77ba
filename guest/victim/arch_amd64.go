package victim

// mapBase is where a victim's first mapping lies: far above the Go heap, far
// below what the kernel hands out by itself, and the same in every process.
const mapBase = 0x1000_0000_0000

package main

// flags returns the flags after a CMPXCHG16B of 16 bytes of memory, which follows a
// comparison with operand.
func flags(operand uint64, memory *byte) uint64

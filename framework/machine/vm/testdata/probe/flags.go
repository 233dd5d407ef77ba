package main

// flags are the flags behind a CMPXCHG16B of what is 16 bytes long, where the
// comparison before it had operand.
func flags(operand uint64, memory *byte) uint64

#include "textflag.h"

// func flags(operand uint64, memory *byte) uint64
TEXT ·flags(SB), NOSPLIT, $0-24
	MOVQ operand+0(FP), R8
	MOVQ memory+8(FP), DI
	XORL AX, AX
	XORL DX, DX
	XORL BX, BX
	XORL CX, CX
	PUSHQ $0x202 // the interrupt flag, and one that is always set
	POPFQ
	CMPQ R9, R8
	CMPXCHG16B (DI)
	PUSHFQ
	POPQ R10
	PUSHQ $0x202
	POPFQ
	MOVQ R10, ret+16(FP)
	RET

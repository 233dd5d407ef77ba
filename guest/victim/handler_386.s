#include "textflag.h"

// Numbers of arch/x86/entry/syscalls/syscall_32.tbl.
#define SYS_exit_group 252
#define SYS_rt_sigreturn 173

#define SIGBUS 7
#define SIGSEGV 11

#define BUS_MCEERR_AO 5

// Arguments of a handler with SA_SIGINFO, on its stack.
#define ARG_signo 4
#define ARG_siginfo 8
#define ARG_ucontext 12

// Offsets in struct ucontext_ia32 (arch/x86/include/asm/sighandling.h, sigcontext_32).
#define UC_SP 48
#define UC_IP 76

// Offsets in a record (signal.go).
#define BOX_armed 8
#define BOX_news 12
#define BOX_count 16
#define BOX_ring 20
#define RING 32
#define RUNAWAY 65536
#define NEWS 2

// ACCESS is the maximum size in bytes of a function that makes an access, including its
// return.
#define ACCESS 8

// handler is a signal handler in the kernel's ABI; handler_amd64.s explains it.
// rt_sigreturn restores every register. BX is the record, BP is the distance of the
// signal's instruction pointer from the start of the access.
TEXT handler<>(SB),NOSPLIT|NOFRAME,$0
	LEAL	·box(SB), BX
	MOVL	ARG_siginfo(SP), SI
	MOVL	ARG_ucontext(SP), DX
	MOVL	$-1, BP
	MOVL	BOX_armed(BX), CX
	TESTL	CX, CX
	JEQ	place
	MOVL	UC_IP(DX), BP
	SUBL	CX, BP
place:
	CMPL	BP, $ACCESS
	JCS	record
	CMPL	ARG_signo(SP), $SIGSEGV
	JNE	record
	// A SIGSEGV that no access caused belongs to the Go runtime.
	MOVL	·chained(SB), AX
	JMP	AX

record:
	MOVL	$1, AX
	LOCK
	XADDL	AX, BOX_count(BX)
	CMPL	AX, $RUNAWAY
	JGE	runaway
	CMPL	AX, $RING
	JGE	resume
	SHLL	$7, AX
	LEAL	BOX_ring(BX), DI
	ADDL	AX, DI
	MOVL	$0, CX
copy:
	MOVL	(SI)(CX*4), AX
	MOVL	AX, (DI)(CX*4)
	INCL	CX
	CMPL	CX, $32
	JLT	copy

resume:
	CMPL	BP, $ACCESS
	JCC	out
	MOVL	8(SI), AX	// si_code
	CMPL	AX, $0
	JLE	out
	CMPL	ARG_signo(SP), $SIGBUS
	JNE	land
	CMPL	AX, $BUS_MCEERR_AO
	JNE	land
	TESTL	BP, BP
	JNE	out
	INCL	BOX_news(BX)
	CMPL	BOX_news(BX), $NEWS
	JCS	out
land:
	MOVL	$0, BOX_armed(BX)
	MOVL	UC_SP(DX), CX
	MOVL	(CX), AX
	MOVL	AX, UC_IP(DX)
	ADDL	$4, CX
	MOVL	CX, UC_SP(DX)
out:
	RET

runaway:
	MOVL	$SYS_exit_group, AX
	MOVL	$125, BX
	INT	$0x80
	INT	$3

TEXT restorer<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	$SYS_rt_sigreturn, AX
	INT	$0x80
	INT	$3

// The accesses: the address in SI, the value in DX. Each is at most ACCESS
// bytes and uses no stack.
TEXT load1<>(SB),NOSPLIT|NOFRAME,$0
	MOVBLZX	(SI), DX
	RET
TEXT load2<>(SB),NOSPLIT|NOFRAME,$0
	MOVWLZX	(SI), DX
	RET
TEXT load4<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	(SI), DX
	RET
TEXT store1<>(SB),NOSPLIT|NOFRAME,$0
	MOVB	DX, (SI)
	RET
TEXT store2<>(SB),NOSPLIT|NOFRAME,$0
	MOVW	DX, (SI)
	RET
TEXT store4<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	DX, (SI)
	RET

// In the order of the constants in signal.go; there are no accesses of 8 bytes, and no
// system calls of other threads.
DATA entries<>+0(SB)/4, $load1<>(SB)
DATA entries<>+4(SB)/4, $load2<>(SB)
DATA entries<>+8(SB)/4, $load4<>(SB)
DATA entries<>+12(SB)/4, $0
DATA entries<>+16(SB)/4, $store1<>(SB)
DATA entries<>+20(SB)/4, $store2<>(SB)
DATA entries<>+24(SB)/4, $store4<>(SB)
DATA entries<>+28(SB)/4, $0
DATA entries<>+32(SB)/4, $handler<>(SB)
DATA entries<>+36(SB)/4, $restorer<>(SB)
GLOBL entries<>(SB), NOPTR, $40

// func entry(i int) uintptr
TEXT ·entry(SB),NOSPLIT,$0-8
	MOVL	i+0(FP), AX
	LEAL	entries<>(SB), BX
	MOVL	(BX)(AX*4), AX
	MOVL	AX, ret+4(FP)
	RET

// func touch(insn, addr, value uintptr) (result uintptr, done bool)
TEXT ·touch(SB),NOSPLIT,$8-17
	MOVL	insn+0(FP), AX
	MOVL	addr+4(FP), SI
	MOVL	value+8(FP), DX
	MOVL	$0, ·box+BOX_news(SB)
	MOVL	AX, ·box+BOX_armed(SB)
	CALL	AX
	MOVL	·box+BOX_armed(SB), AX
	MOVL	$0, ·box+BOX_armed(SB)
	MOVL	DX, result+12(FP)
	TESTL	AX, AX
	SETNE	done+16(FP)
	RET

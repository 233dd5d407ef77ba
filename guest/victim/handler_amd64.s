#include "textflag.h"

// Numbers of arch/x86/entry/syscalls/syscall_64.tbl.
#define SYS_read 0
#define SYS_write 1
#define SYS_close 3
#define SYS_rt_sigreturn 15
#define SYS_clone 56
#define SYS_gettid 186
#define SYS_exit_group 231

#define SIGBUS 7
#define SIGSEGV 11
#define SIGCHLD 17

// What pthread_create(3) shares, without thread-local storage: CLONE_VM,
// CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD, CLONE_SYSVSEM
// (include/uapi/linux/sched.h).
#define CLONE_AS_THREAD 0x50f00

#define BUS_MCEERR_AO 5

// Offsets in struct ucontext (arch/x86/include/uapi/asm/sigcontext.h).
#define UC_SP 160
#define UC_IP 168

// Offsets in a record (signal.go).
#define BOX_value 0
#define BOX_done 8
#define BOX_armed 16
#define BOX_news 24
#define BOX_count 32
#define BOX_ring 40
#define RING 32
#define BOX_size 4136
#define RUNAWAY 65536
#define NEWS 2

// ACCESS is the maximum size in bytes of a function that makes an access, including its
// return. In syscall6 the system call starts at that offset.
#define ACCESS 8

// handler is a signal handler in the kernel's ABI: DI is the signal, SI the
// siginfo_t, DX the ucontext. rt_sigreturn restores every register, so the handler
// may use all of them.
//
// R8 is the distance of the signal's instruction pointer from the start of the access;
// less than ACCESS is within it. A fault has the address of the access itself, but a
// machine check may be raised after the access, at the return that follows: QEMU's,
// raised at a watchpoint, are.
//
// BX is the record of the thread that the handler runs on.
TEXT handler<>(SB),NOSPLIT|NOFRAME,$0
	LEAQ	·box(SB), BX
	CMPQ	·threadID(SB), $0
	JEQ	whose
	MOVQ	$SYS_gettid, AX
	SYSCALL
	CMPQ	AX, ·threadID(SB)
	JNE	whose
	LEAQ	·threadBox(SB), BX
whose:
	MOVQ	$-1, R8
	MOVQ	BOX_armed(BX), R9
	TESTQ	R9, R9
	JEQ	place
	MOVQ	UC_IP(DX), R8
	SUBQ	R9, R8
place:
	CMPQ	R8, $ACCESS
	JCS	record
	CMPL	DI, $SIGSEGV
	JNE	record
	// A SIGSEGV that no access caused belongs to the Go runtime.
	MOVQ	·chained(SB), AX
	JMP	AX

record:
	MOVQ	$1, AX
	LOCK
	XADDQ	AX, BOX_count(BX)
	CMPQ	AX, $RUNAWAY
	JGE	runaway
	CMPQ	AX, $RING
	JGE	resume
	SHLQ	$7, AX
	LEAQ	BOX_ring(BX), R9
	ADDQ	AX, R9
	MOVQ	$0, CX
copy:
	MOVQ	(SI)(CX*8), R10
	MOVQ	R10, (R9)(CX*8)
	INCQ	CX
	CMPQ	CX, $16
	JLT	copy

resume:
	CMPQ	R8, $ACCESS
	JCC	out
	// A signal that merely arrived during the access did not fail it: one sent by a
	// process (si_code <= 0), or BUS_MCEERR_AO for poison elsewhere.
	MOVL	8(SI), R10
	CMPL	R10, $0
	JLE	out
	CMPL	DI, $SIGBUS
	JNE	land
	CMPL	R10, $BUS_MCEERR_AO
	JNE	land
	// BUS_MCEERR_AO comes once. If it comes again at the access itself, the access made no
	// progress: the kernel used this code for the error that failed it.
	TESTQ	R8, R8
	JNE	out
	INCQ	BOX_news(BX)
	CMPQ	BOX_news(BX), $NEWS
	JCS	out
land:
	// The access is a function that touch called and that uses no stack, so
	// resuming after it means returning from it.
	MOVQ	$0, BOX_armed(BX)
	MOVQ	UC_SP(DX), R9
	MOVQ	(R9), R10
	MOVQ	R10, UC_IP(DX)
	ADDQ	$8, R9
	MOVQ	R9, UC_SP(DX)
out:
	RET

runaway:
	// Some instruction outside touch fails repeatedly. Resuming forever would look
	// like a guest that hangs.
	MOVQ	$SYS_exit_group, AX
	MOVQ	$125, DI
	SYSCALL
	INT	$3

TEXT restorer<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ	$SYS_rt_sigreturn, AX
	SYSCALL
	INT	$3

// The accesses: the address in SI, the value in DX. Each is at most ACCESS
// bytes and uses no stack.
TEXT load1<>(SB),NOSPLIT|NOFRAME,$0
	MOVBQZX	(SI), DX
	RET
TEXT load2<>(SB),NOSPLIT|NOFRAME,$0
	MOVWQZX	(SI), DX
	RET
TEXT load4<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	(SI), DX
	RET
TEXT load8<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ	(SI), DX
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
TEXT store8<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ	DX, (SI)
	RET

// A system call, for a thread whose command has the form of an access: SI points to its
// number and its six arguments, in consecutive words.
TEXT syscall6<>(SB),NOSPLIT|NOFRAME,$0
	MOVQ	0(SI), AX
	MOVQ	8(SI), DI
	MOVQ	24(SI), DX
	MOVQ	32(SI), R10
	MOVQ	40(SI), R8
	MOVQ	48(SI), R9
	MOVQ	16(SI), SI
	SYSCALL
	MOVQ	AX, DX
	RET

// In the order of the constants in signal.go.
DATA entries<>+0(SB)/8, $load1<>(SB)
DATA entries<>+8(SB)/8, $load2<>(SB)
DATA entries<>+16(SB)/8, $load4<>(SB)
DATA entries<>+24(SB)/8, $load8<>(SB)
DATA entries<>+32(SB)/8, $store1<>(SB)
DATA entries<>+40(SB)/8, $store2<>(SB)
DATA entries<>+48(SB)/8, $store4<>(SB)
DATA entries<>+56(SB)/8, $store8<>(SB)
DATA entries<>+64(SB)/8, $handler<>(SB)
DATA entries<>+72(SB)/8, $restorer<>(SB)
DATA entries<>+80(SB)/8, $syscall6<>(SB)
GLOBL entries<>(SB), NOPTR, $88

// func entry(i int) uintptr
TEXT ·entry(SB),NOSPLIT,$0-16
	MOVQ	i+0(FP), AX
	LEAQ	entries<>(SB), BX
	MOVQ	(BX)(AX*8), AX
	MOVQ	AX, ret+8(FP)
	RET

// func touch(insn, addr, value uintptr) (result uintptr, done bool)
TEXT ·touch(SB),NOSPLIT,$8-33
	MOVQ	insn+0(FP), AX
	MOVQ	addr+8(FP), SI
	MOVQ	value+16(FP), DX
	MOVQ	$0, ·box+BOX_news(SB)
	MOVQ	AX, ·box+BOX_armed(SB)
	CALL	AX
	MOVQ	·box+BOX_armed(SB), AX
	MOVQ	$0, ·box+BOX_armed(SB)
	MOVQ	DX, result+24(FP)
	TESTQ	AX, AX
	SETNE	done+32(FP)
	RET

// func forkChild(f *forkFDs) (pid int)
//
// The child has one thread of a process that had many, so it must not enter
// the Go runtime: it stays in obey until it ends.
TEXT ·forkChild(SB),NOSPLIT,$0-16
	MOVQ	f+0(FP), BX
	MOVQ	$SYS_clone, AX
	MOVQ	$SIGCHLD, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	TESTQ	AX, AX
	JEQ	child
	MOVQ	AX, pid+8(FP)
	RET

child:
	LEAQ	·box(SB), R14
	MOVQ	$0, BOX_count(R14)
	MOVQ	0(BX), R12	// f.commands
	MOVQ	8(BX), R13	// f.answers
	MOVQ	$0, R15
closing:
	MOVQ	$SYS_close, AX
	MOVQ	16(BX)(R15*8), DI	// f.close[R15]
	SYSCALL
	INCQ	R15
	CMPQ	R15, $5
	JLT	closing
	JMP	obey<>(SB)

// func startThread(f *forkFDs, stack uintptr) (tid int)
//
// The Go runtime does not know this thread: like a forked child it stays in obey until it
// ends. Its stack grows down from stack.
TEXT ·startThread(SB),NOSPLIT,$0-24
	MOVQ	f+0(FP), BX
	MOVQ	stack+8(FP), SI
	MOVQ	$SYS_clone, AX
	MOVQ	$CLONE_AS_THREAD, DI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	TESTQ	AX, AX
	JEQ	thread
	MOVQ	AX, tid+16(FP)
	RET

thread:
	LEAQ	·threadBox(SB), R14
	MOVQ	0(BX), R12	// f.commands
	MOVQ	8(BX), R13	// f.answers
	JMP	obey<>(SB)

// obey executes commands from the pipe R12, and answers each with the record R14 on
// the pipe R13. It does not return.
TEXT obey<>(SB),NOSPLIT|NOFRAME,$0
	SUBQ	$32, SP	// a command, of 24 bytes
next:
	MOVQ	$SYS_read, AX
	MOVQ	R12, DI
	MOVQ	SP, SI
	MOVQ	$24, DX
	SYSCALL
	CMPQ	AX, $-4	// EINTR
	JEQ	next
	CMPQ	AX, $24
	JNE	exit

	MOVQ	0(SP), AX
	MOVQ	8(SP), SI
	MOVQ	16(SP), DX
	MOVQ	$0, BOX_news(R14)
	MOVQ	AX, BOX_armed(R14)
	CALL	AX
	MOVQ	BOX_armed(R14), AX
	MOVQ	$0, BOX_armed(R14)
	MOVQ	DX, BOX_value(R14)
	MOVQ	AX, BOX_done(R14)

	MOVQ	$SYS_write, AX
	MOVQ	R13, DI
	MOVQ	R14, SI
	MOVQ	$BOX_size, DX
	SYSCALL
	CMPQ	AX, $BOX_size
	JNE	exit
	MOVQ	$0, BOX_count(R14)
	JMP	next

exit:
	MOVQ	$SYS_exit_group, AX
	MOVQ	$0, DI
	SYSCALL
	INT	$3

package victim

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// forkFDs is the input of a forked child or a thread; the assembly depends on the layout.
type forkFDs struct {
	commands, answers int64    // its ends of the pipes
	close             [5]int64 // for a child: the parent's pipe ends, stdin, stdout, stderr
}

// child is a forked victim, or a thread. It can't enter the Go runtime, so it
// exchanges raw memory: a command is three machine words, an answer is its record.
type child struct {
	pid               int
	commands, answers int          // the parent's ends
	ended             *wire.Status // set once it has been reaped
	thread            *thread      // nil for a forked victim
}

// thread is the memory of a child that shares the parent's address space.
type thread struct {
	fds   forkFDs
	stack [64 << 10]byte
	call  [7]uintptr // the current system call: its number and its arguments
}

// pipes returns the pipes for commands and answers, each with its reading end first.
func pipes() (commands, answers [2]int, err error) {
	if err := unix.Pipe2(commands[:], unix.O_CLOEXEC); err != nil {
		return commands, answers, fmt.Errorf("pipe: %w", err)
	}
	if err := unix.Pipe2(answers[:], unix.O_CLOEXEC); err != nil {
		closeFD(commands[0])
		closeFD(commands[1])
		return commands, answers, fmt.Errorf("pipe: %w", err)
	}
	return commands, answers, nil
}

func newChild() (*child, error) {
	commands, answers, err := pipes()
	if err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}
	f := &forkFDs{
		commands: int64(commands[0]),
		answers:  int64(answers[1]),
		// The agent takes end of file on a victim's stdout for its death.
		close: [5]int64{int64(commands[1]), int64(answers[0]), 0, 1, 2},
	}
	pid := forkChild(f)
	closeFD(commands[0])
	closeFD(answers[1])
	if pid < 0 {
		closeFD(commands[1])
		closeFD(answers[0])
		return nil, fmt.Errorf("fork: clone: %w", syscall.Errno(-pid))
	}
	return &child{pid: pid, commands: commands[1], answers: answers[0]}, nil
}

// newThread starts the second thread of the process.
func newThread() (*child, error) {
	if threadID != 0 {
		return nil, fmt.Errorf("start a thread: a victim can have one additional thread; it already has %d", threadID)
	}
	commands, answers, err := pipes()
	if err != nil {
		return nil, fmt.Errorf("start a thread: %w", err)
	}
	t := &thread{fds: forkFDs{commands: int64(commands[0]), answers: int64(answers[1])}}
	const aligned = 16
	top := (uintptr(unsafe.Pointer(&t.stack)) + unsafe.Sizeof(t.stack)) &^ (aligned - 1)
	tid := startThread(&t.fds, top)
	if tid < 0 {
		for _, fd := range []int{commands[0], commands[1], answers[0], answers[1]} {
			closeFD(fd)
		}
		return nil, fmt.Errorf("start a thread: clone: %w", syscall.Errno(-tid))
	}
	threadID = tid
	return &child{pid: tid, commands: commands[1], answers: answers[0], thread: t}, nil
}

// syscall makes a system call in the thread.
func (c *child) syscall(s *wire.Syscall) (*wire.SyscallReply, error) {
	var answer record
	var failed error
	called, err := Call(s, func(number, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, uintptr, syscall.Errno) {
		c.thread.call = [...]uintptr{number, a1, a2, a3, a4, a5, a6}
		if answer, failed = c.obey(
			[3]uintptr{entry(entrySyscall), uintptr(unsafe.Pointer(&c.thread.call)), 0},
		); failed != nil {
			return 0, 0, 0
		}
		const lastErrno = 4095 // MAX_ERRNO in include/linux/err.h
		if n := int(answer.value); n < 0 && n >= -lastErrno {
			return 0, 0, syscall.Errno(-n)
		}
		return answer.value, 0, 0
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("%s in thread %d: %w", s.Name, c.pid, err)
	}
	called.Signals, called.Lost = answer.take(answer.count)
	return called, nil
}

// obey sends the child a command and returns its answer.
func (c *child) obey(command [3]uintptr) (answer record, err error) {
	if err = writeFull(c.commands, bytesOf(&command)); err == nil {
		err = readFull(c.answers, bytesOf(&answer))
	}
	return answer, err
}

// access performs an access in the child. died is set if the child ended during the
// access.
func (c *child) access(a *wire.Access) (r *wire.Accessed, died *wire.Status, err error) {
	insn, err := instruction(a)
	if err != nil {
		return nil, nil, err
	}
	if a.Spin {
		return nil, nil, fmt.Errorf("%s in process %d: a forked victim can't spin", a.Kind, c.pid)
	}
	if c.ended != nil {
		return nil, nil, fmt.Errorf("%s in process %d: process has ended", a.Kind, c.pid)
	}
	answer, err := c.obey([3]uintptr{insn, uintptr(a.Addr), operand(a)})
	switch {
	case errors.Is(err, unix.EPIPE), errors.Is(err, io.EOF):
		status, err := c.wait(&wire.Wait{})
		return nil, status, err
	case err != nil:
		return nil, nil, fmt.Errorf("%s in process %d: %w", a.Kind, c.pid, err)
	}
	done := answer.done != 0
	r = &wire.Accessed{Value: result(a, uint64(answer.value), done), Done: done}
	r.Signals, r.Lost = answer.take(answer.count)
	return r, nil, nil
}

// wait executes wire.Wait for the child.
func (c *child) wait(w *wire.Wait) (*wire.Status, error) {
	if c.thread != nil {
		return nil, fmt.Errorf("wait for thread %d: it ends with its process", c.pid)
	}
	if c.ended != nil {
		return c.ended, nil
	}
	if w.Kill {
		if err := unix.Kill(c.pid, siginfo.SIGKILL); err != nil {
			return nil, fmt.Errorf("kill process %d: %w", c.pid, err)
		}
	}
	options, deadline := 0, time.Time{}
	if w.Limit > 0 {
		options = unix.WNOHANG
		deadline = time.Now().Add(time.Duration(w.Limit) * time.Millisecond)
	}
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(c.pid, &ws, options, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, fmt.Errorf("wait for process %d: %w", c.pid, err)
		case pid == c.pid:
			closeFD(c.commands)
			closeFD(c.answers)
			c.ended = StatusOf(ws)
			return c.ended, nil
		case time.Now().After(deadline):
			return nil, fmt.Errorf("wait for process %d: still runs after %d ms", c.pid, w.Limit)
		default:
			time.Sleep(time.Millisecond)
		}
	}
}

// StatusOf converts a wait status.
func StatusOf(ws unix.WaitStatus) *wire.Status {
	if ws.Signaled() {
		return &wire.Status{Code: -1, Signal: int(ws.Signal()), Core: ws.CoreDump()}
	}
	return &wire.Status{Code: ws.ExitStatus()}
}

// bytesOf returns the memory of v.
func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// FD reads and writes a file descriptor without package os, whose poller would
// open descriptors between those that a scenario opens.
type FD int

// Read implements io.Reader. A handled signal may interrupt it. Read and Write bypass the
// Go scheduler: its other threads have no work to do meanwhile, and would only be woken
// each time to find that out.
func (fd FD) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch {
		case e == unix.EINTR:
		case e != 0:
			return 0, e
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// Write implements io.Writer.
func (fd FD) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[done])), uintptr(len(b)-done))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return done, e
		}
		done += int(n)
	}
	return done, nil
}

func writeFull(fd int, b []byte) error {
	_, err := FD(fd).Write(b)
	return err
}

// readFull reads len(b) bytes; an earlier end of file is io.EOF.
func readFull(fd int, b []byte) error {
	for done := 0; done < len(b); {
		n, err := FD(fd).Read(b[done:])
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

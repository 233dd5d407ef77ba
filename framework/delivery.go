package framework

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// Ways to read a signal's payload without a handler.

// busSet is a sigset_t that contains SIGBUS; setBytes is its size.
var busSet = binary.LittleEndian.AppendUint64(nil, 1<<(siginfo.SIGBUS-1))

const setBytes = 8

// setUp makes a system call in the victim that must succeed. It records nothing.
func (v *Victim) setUp(ctx context.Context, name string, args ...any) *wire.SyscallReply {
	wired, words := wireArgs(args)
	called := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: name, Args: wired}}).Called
	if called.Errno != "" {
		v.g.fail(fmt.Errorf("%s(%s) in %s: %s", name, words, v.Role, called.Errno))
	}
	return called
}

// TakePending takes a pending SIGBUS of a victim that blocks it, with sigtimedwait(2),
// and records its payload, or EAGAIN if none is pending.
func (v *Victim) TakePending(ctx context.Context) *Observation {
	v.g.approach(ctx, 1)
	wired, _ := wireArgs([]any{busSet, Out(siginfo.Size), make([]byte, 16), setBytes})
	called := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "rt_sigtimedwait", Args: wired}}).Called
	o := observe.Outcome{Errno: called.Errno, Signals: v.signals(called.Signals)}
	if called.Errno == "" {
		o.Signals = append(o.Signals, v.signals(called.Out)...)
	}
	return record(v.g.rec, v.Role, "sigtimedwait SIGBUS", o, "")
}

// Signalfd opens a descriptor from which a pending SIGBUS can be read (signalfd(2)).
func (v *Victim) Signalfd(ctx context.Context) FD {
	return FD{int(v.setUp(ctx, "signalfd4", -1, busSet, setBytes, unix.SFD_NONBLOCK|unix.SFD_CLOEXEC).Ret), "signalfd"}
}

// ReadSignalfd reads a signal from a signalfd and records the part of the payload that it
// contains, or EAGAIN if no signal is pending.
func (v *Victim) ReadSignalfd(ctx context.Context, fd FD) *Observation {
	const size = 128 // struct signalfd_siginfo (include/uapi/linux/signalfd.h)
	v.g.approach(ctx, 1)
	wired, _ := wireArgs([]any{fd, Out(size), size})
	called := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "read", Args: wired}}).Called
	o := observe.Outcome{Errno: called.Errno, Signals: v.signals(called.Signals)}
	if called.Errno == "" && called.Ret == size {
		in := ofSignalfd(called.Out[0])
		o.Signals = append(o.Signals, observe.NewSignal(in, v.canonical(in.Addr)))
	}
	return record(v.g.rec, v.Role, "read signalfd", o, "")
}

// ofSignalfd decodes a struct signalfd_siginfo and copies its bytes to Raw.
func ofSignalfd(b []byte) siginfo.Info {
	le := binary.LittleEndian
	in := siginfo.Info{
		Signo: int32(le.Uint32(b)), Errno: int32(le.Uint32(b[4:])), Code: int32(le.Uint32(b[8:])),
		Addr: le.Uint64(b[72:]), AddrLSB: int16(le.Uint16(b[80:])),
	}
	copy(in.Raw[:], b)
	return in
}

// corePath is the path of core files. It contains no process id: a scenario has one core
// file at most.
const corePath = "/tmp/core"

// DumpsCore makes the victim leave a core file if a signal kills it.
func (v *Victim) DumpsCore(ctx context.Context) {
	v.g.WriteFile(ctx, "/proc/sys/kernel/core_pattern", corePath)
	unlimited := bytes.Repeat([]byte{0xff}, 16) // struct rlimit64
	v.setUp(ctx, "prlimit64", 0, unix.RLIMIT_CORE, unlimited, 0)
	record(v.g.rec, v.Role, "ask for a core file", observe.Outcome{}, "")
}

// CoreSignal records the payload in the victim's core file (NT_SIGINFO in core(5)).
func (v *Victim) CoreSignal(ctx context.Context) *Observation {
	const notes = 64 * KiB // they precede the memory contents
	raw, err := coreSiginfo([]byte(v.g.readPart(ctx, corePath, 0, notes)))
	if err != nil {
		v.g.fail(fmt.Errorf("read the core file of %s: %w", v.Role, err))
	}
	return record(v.g.rec, v.Role, "look into the core file", observe.Outcome{Signals: v.signals([][]byte{raw})}, "")
}

// coreSiginfo returns the siginfo_t in the notes of a core file, given its first bytes.
func coreSiginfo(core []byte) ([]byte, error) {
	const ntSiginfo = 0x53494749
	f, err := elf.NewFile(bytes.NewReader(core))
	if err != nil {
		return nil, err
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		r := p.Open()
		for {
			var head struct{ Name, Desc, Type uint32 }
			if err := binary.Read(r, f.ByteOrder, &head); err != nil {
				break // after the last note, or at the end of the given part
			}
			const longest = 1 << 20
			name, desc := (int64(head.Name)+3)&^3, (int64(head.Desc)+3)&^3
			if name > longest || desc > longest {
				return nil, fmt.Errorf("a note of %d bytes", name+desc)
			}
			body := make([]byte, name+desc)
			if _, err := io.ReadFull(r, body); err != nil {
				break
			}
			if head.Type == ntSiginfo && head.Desc == siginfo.Size {
				return body[name : name+siginfo.Size], nil
			}
		}
	}
	return nil, errors.New("it has no note of a signal")
}

// Numbers of ptrace(2) that package unix does not have for each architecture.
const ptracePeekData, ptraceCont, ptraceGetSiginfo, ptraceSeize, ptraceInterrupt = 2, 7, 0x4202, 0x4206, 0x4207

// Trace makes the victim trace another one, which continues to run.
func (v *Victim) Trace(ctx context.Context, traced *Victim) {
	v.setUp(ctx, "ptrace", ptraceSeize, traced.PID, 0, 0)
	record(v.g.rec, v.Role, "trace "+traced.Role, observe.Outcome{}, "")
}

// Peek reads a word in a victim that this one traces (PTRACE_PEEKDATA), while the traced
// victim is stopped.
func (v *Victim) Peek(ctx context.Context, traced *Victim, a Addr) *Observation {
	v.g.approach(ctx, 1)
	v.setUp(ctx, "ptrace", ptraceInterrupt, traced.PID, 0, 0)
	v.setUp(ctx, "wait4", traced.PID, Out(4), unix.WALL, 0)
	wired, _ := wireArgs([]any{ptracePeekData, traced.PID, a, Out(8)})
	called := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "ptrace", Args: wired}}).Called
	o := observe.Outcome{Errno: called.Errno, Signals: v.signals(called.Signals)}
	if called.Errno == "" {
		o.Data = fmt.Sprintf("%02x", called.Out[0][0])
	}
	v.setUp(ctx, "ptrace", ptraceCont, traced.PID, 0, 0)
	return record(v.g.rec, v.Role, fmt.Sprintf("PTRACE_PEEKDATA at %s in %s", a, traced.Role), o, "")
}

// TracedSignal waits until a victim that this one traces stops for a signal, records the
// payload that the tracer reads, and delivers the signal.
func (v *Victim) TracedSignal(ctx context.Context, traced *Victim) *Observation {
	v.g.approach(ctx, 1)
	waited := v.setUp(ctx, "wait4", traced.PID, Out(4), unix.WALL, 0)
	status := unix.WaitStatus(binary.LittleEndian.Uint32(waited.Out[0]))
	if !status.Stopped() {
		v.g.fail(fmt.Errorf("%s waits for %s to stop: wait status %#x", v.Role, traced.Role, uint32(status)))
	}
	info := v.setUp(ctx, "ptrace", ptraceGetSiginfo, traced.PID, 0, Out(siginfo.Size)).Out
	o := observe.Outcome{Signals: traced.signals(info)}
	v.setUp(ctx, "ptrace", ptraceCont, traced.PID, 0, int(status.StopSignal()))
	return record(v.g.rec, v.Role, "PTRACE_GETSIGINFO of "+traced.Role, o, "")
}

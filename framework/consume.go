package framework

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/machine/gdb"
	"github.com/faultline/faultline/framework/machine/kcore"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/rewind"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/arch"
)

// Consume raises a machine check exactly at an access. A watchpoint stops all vCPUs after
// the access; the registers of the vCPU that made it are reset to before the access, the
// machine check is raised on that vCPU, and all vCPUs continue. The vCPU then enters the
// kernel's handler, with the access as the interrupted instruction. The line stays
// poisoned afterwards (see watcher).

// watched is a byte at which an access is awaited.
type watched struct {
	name  string // canonical: "file+0x4000"
	by    string // who accesses: a victim's role, or "the kernel"
	virt  uint64
	frame inject.Frame
	v     *Victim
	at    Addr
	// reports is the page that the machine check reports, if it is not the page of frame.
	reports *inject.Frame
}

// Watched is a byte at which Consume awaits an access. In and InKernel return one.
type Watched struct{ watched }

// In returns a watch on the byte at an address of the victim. Its page must be present already
// (load from it first), because an access that faults does not reach the byte at once.
func (v *Victim) In(ctx context.Context, a Addr) Watched {
	frame := v.Frame(ctx, a)
	return Watched{watched{name: a.String(), by: v.Role, virt: a.guest(), frame: frame, v: v, at: a}}
}

// InKernel returns a watch on the byte at its address in the kernel's direct map, for pages that the
// kernel itself reads (to copy them, or for read(2)). The page must be present.
func (v *Victim) InKernel(ctx context.Context, a Addr) Watched {
	frame := v.Frame(ctx, a)
	return Watched{
		watched{name: a.String(), by: "the kernel", virt: v.g.directMap(ctx) + frame.Addr, frame: frame, v: v, at: a},
	}
}

// Reporting returns a watch whose machine check reports another page than the one that is
// accessed, and is raised only once: an access read poison from that page, but before the
// machine check was handled, something else removed the page and mapped a new one.
func (w Watched) Reporting(f inject.Frame) Watched {
	w.reports = &f
	return w
}

// Frame returns the guest physical address of a byte. If its page is not present, the
// scenario ends as an infrastructure failure.
func (v *Victim) Frame(ctx context.Context, a Addr) inject.Frame {
	entry := v.pagemap(ctx, a)
	if entry>>63 == 0 {
		v.g.fail(fmt.Errorf("%s is not mapped in %s (page map %#x): touch it first", a, v.Role, entry))
	}
	// Bits 54:0 are the page frame (Documentation/admin-guide/mm/pagemap.rst).
	f := inject.Frame{Addr: entry&(1<<55-1)*v.g.page + a.guest()%v.g.page, Page: v.g.page, Name: a.String()}
	v.g.note(watched{name: a.String(), frame: f, v: v, at: a})
	return f
}

// Within skips the scenario if the byte at an address is not in that memory.
func (v *Victim) Within(ctx context.Context, a Addr, r *RAM) {
	if !r.contains(v.Frame(ctx, a).Addr) {
		v.g.fail(&unsupported{"this kernel allocates a process's memory elsewhere first"})
	}
}

// note adds a frame to those for which witnesses are collected.
func (g *Guest) note(w watched) {
	for _, known := range g.frames {
		if known.frame.Addr/g.page == w.frame.Addr/g.page {
			return
		}
	}
	g.frames = append(g.frames, w)
}

// ErrNotExact is returned if the accelerator cannot raise a machine check exactly at an
// access.
var ErrNotExact = errors.New("exact consumption needs TCG")

// UnreachedError reports that the access that should consume poison never happened.
type UnreachedError struct {
	What  string // the access: "load file+0x4000"
	Where string // the byte, and what should access it
	Why   string
}

func (e *UnreachedError) Error() string {
	return fmt.Sprintf("%s did not reach %s: %s", e.What, e.Where, e.Why)
}

const (
	// reachLimit bounds the time from the request to the access. It is longer than
	// pauses of a host.
	reachLimit = 30 * time.Second
	// stubLimit bounds an exchange with the gdb stub, likewise.
	stubLimit = 30 * time.Second
)

// Consume makes the victim consume poison with a load: it is Guest.Consume with In and
// StartLoad. It needs the trait Exactly.
func (v *Victim) Consume(ctx context.Context, m inject.MachineCheck, a Addr) *Observation {
	return v.g.Consume(ctx, m, v.In(ctx, a), func() *Started { return v.StartLoad(a) })
}

// Consume raises a machine check exactly at the first access to the byte by the operation
// that start begins, and returns the outcome of that operation. The cache line stays
// poisoned: each later read of it raises the machine check again, until it is
// overwritten as a whole. Consume works only under TCG: give the scenario the trait
// Exactly.
func (g *Guest) Consume(ctx context.Context, m inject.MachineCheck, at Watched, start func() *Started) *Observation {
	s, err := g.consume(ctx, m, at.watched, start)
	if err != nil {
		g.fail(fmt.Errorf("%s at an access to %s: %w", m, at.name, err))
	}
	return s.Wait(ctx)
}

func (g *Guest) consume(
	ctx context.Context,
	m inject.MachineCheck,
	at watched,
	start func() *Started,
) (*Started, error) {
	if err := exact(g.vm.Spec().Accel); err != nil {
		return nil, err
	}
	g.approach(ctx, 2) // the machine check, and the access
	g.injected, g.poisoned = true, true
	w, err := g.watching(ctx)
	if err != nil {
		return nil, err
	}
	l, err := w.poison(ctx, m, at)
	if err != nil {
		return nil, err
	}
	s := start()
	if err := w.reach(ctx, s, l); err != nil {
		return nil, err
	}
	action := fmt.Sprintf("%s at %s, as %s accesses it", m, at.name, at.by)
	if at.reports != nil {
		action += ", reporting the page that it had before"
	}
	record(g.rec, "host", action, observe.Outcome{}, "")
	return s, nil
}

// spinAhead is how long the victim loads in a loop before the machine check is raised.
const spinAhead = 50 * time.Millisecond

// ConsumeInexact is the alternative to Consume for accelerators other than TCG: the
// victim loads the byte in a loop until it receives a signal, and meanwhile the machine
// check is raised on the first CPU. It usually hits one of the victim's loads; if it
// hits the kernel instead, the kernel panics, which the scenario must allow for.
// A victim that receives no signal never replies, which is an infrastructure failure:
// no clock shows how long it loaded.
func (v *Victim) ConsumeInexact(ctx context.Context, m inject.MachineCheck, a Addr) *Observation {
	g, frame := v.g, v.Frame(ctx, a)
	g.approach(ctx, 2) // the machine check, and the access
	g.injected, g.poisoned = true, true
	s := v.send(
		&wire.Access{Kind: wire.Load, Addr: a.guest(), Width: 1, Spin: true},
		fmt.Sprintf("load %s again and again", a),
		a,
	)
	select {
	case <-ctx.Done():
		g.fail(context.Cause(ctx))
	case <-time.After(spinAhead):
	}
	if err := m.Raise(ctx, g.vm, 0, frame.Addr); err != nil {
		g.fail(err)
	}
	record(g.rec, "host", fmt.Sprintf("%s at %s, at whatever the processor does", m, a), observe.Outcome{}, "")
	return s.Wait(ctx)
}

// exact returns an error for accelerators with which QEMU does not stop a vCPU at every
// kind of access, or does not deliver a machine check before the vCPU continues.
func exact(accel qemu.Accel) error {
	if accel == qemu.TCG {
		return nil
	}
	return fmt.Errorf("%w: under %s the CPU takes a machine check at an arbitrary instruction; "+
		"give the scenario the trait Exactly, or use Victim.ConsumeInexact", ErrNotExact, accel)
}

// setBack restores the registers that a vCPU had before it read the byte at virt, which
// is where hardware raises the machine check. If they cannot be computed, the machine
// check would not be exact, and setBack returns an error. The result again is true if the
// instruction did not complete and will read again: a copy to an unmapped destination
// reads, and then faults on the write.
func setBack(ctx context.Context, stub *gdb.Client, cpu int, virt uint64) (again bool, err error) {
	after, code, err := stopped(ctx, stub, cpu)
	if err != nil {
		return false, err
	}
	before, err := rewind.Before(code, after, virt, 1)
	if err == nil {
		return false, stub.SetRegisters(ctx, cpu, before)
	}
	if interrupted(ctx, stub, after, virt) {
		return true, nil
	}
	return false, fmt.Errorf("RIP %#x, code % x: %w", after.RIP, code, err)
}

// interrupted reports whether the vCPU has just entered an exception handler from an
// instruction that is about to read the byte at virt. The exception's stack frame begins
// with the instruction's address, or with an error code followed by that address (Intel
// 64 and IA-32 Architectures Software Developer's Manual, volume 3, section 6.14.2).
func interrupted(ctx context.Context, stub *gdb.Client, r gdb.Registers, virt uint64) bool {
	pushed, err := stub.Memory(ctx, r.RSP, 16)
	if err != nil {
		return false
	}
	for _, slot := range [][]byte{pushed[8:], pushed[:8]} {
		r.RIP = binary.LittleEndian.Uint64(slot)
		if code, err := stub.Memory(ctx, r.RIP, rewind.Ahead); err == nil && rewind.Reads(code, r, virt, 1) {
			return true
		}
	}
	return false
}

// stopped reads a vCPU's registers and the code around RIP, for package rewind.
func stopped(ctx context.Context, stub *gdb.Client, cpu int) (r gdb.Registers, code []byte, err error) {
	if r, err = stub.Registers(ctx, cpu); err != nil {
		return r, nil, err
	}
	if code, err = around(ctx, stub, r.RIP); err != nil {
		err = fmt.Errorf("read the instruction at RIP %#x: %w", r.RIP, err)
	}
	return r, code, err
}

// around reads the code around RIP, for package rewind, from the vCPU whose registers
// were read last. Bytes on an unreadable preceding page are replaced by padding.
func around(ctx context.Context, stub *gdb.Client, rip uint64) ([]byte, error) {
	code, err := stub.Memory(ctx, rip-rewind.Behind, rewind.Behind+rewind.Ahead)
	page := rip &^ (1<<arch.PageShiftAMD64 - 1)
	if refused := (*gdb.RefusedError)(nil); !errors.As(err, &refused) || rip-page >= rewind.Behind {
		return code, err
	}
	some, err := stub.Memory(ctx, page, int(rip-page)+rewind.Ahead)
	return append(bytes.Repeat([]byte{nop}, rewind.Behind-int(rip-page)), some...), err
}

// nop is the opcode of NOP.
const nop = 0x90

// physical translates an address by a vCPU's current page tables.
func (g *Guest) physical(ctx context.Context, cpu int, virt uint64) (uint64, error) {
	var output string
	err := g.Monitor().Run(ctx, "human-monitor-command",
		map[string]any{"command-line": fmt.Sprintf("gva2gpa %#x", virt), "cpu-index": cpu}, &output)
	if err != nil {
		return 0, err
	}
	return physical(output)
}

// errUnmapped is returned for an address that is not mapped to a physical one.
var errUnmapped = errors.New("not mapped")

// physical parses the output of QEMU's gva2gpa.
func physical(output string) (uint64, error) {
	hex, found := strings.CutPrefix(strings.TrimSpace(output), "gpa: 0x")
	if !found {
		return 0, errUnmapped
	}
	return strconv.ParseUint(hex, 16, 64)
}

// directMap returns the address of the kernel's direct map of physical memory.
func (g *Guest) directMap(ctx context.Context) uint64 {
	if g.direct == 0 {
		base, err := kcore.DirectMap([]byte(g.readPart(ctx, "/proc/kcore", 0, 4096)))
		if err != nil {
			g.fail(fmt.Errorf("find the kernel's map of physical memory in /proc/kcore: %w", err))
		}
		g.direct = base
	}
	return g.direct
}

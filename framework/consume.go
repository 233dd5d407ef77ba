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

// Consume makes a machine check land on an access. A watchpoint stops every
// vCPU after the access, the one that made it is set back to before it, the
// machine check is raised on it, and all go on: what runs next on it is the
// kernel's handler, with the access as what was interrupted. The line stays
// poisoned after it (watcher).

// watched is where an access is waited for.
type watched struct {
	name  string // canonical: "file+0x4000"
	by    string // who accesses: a victim's role, or "the kernel"
	virt  uint64
	frame inject.Frame
	v     *Victim
	at    Addr
}

// Watched is a byte at which an access is waited for: In and InKernel make it.
type Watched struct{ watched }

// In is a byte as the victim sees it. Its page must be mapped already: an access
// that faults first comes too late.
func (v *Victim) In(ctx context.Context, a Addr) Watched {
	frame := v.Frame(ctx, a)
	return Watched{watched{name: a.String(), by: v.Role, virt: a.guest(), frame: frame, v: v, at: a}}
}

// InKernel is the byte as the kernel sees it that reads the page itself (to copy
// it, for read(2)): at its place in the map of all physical memory.
func (v *Victim) InKernel(ctx context.Context, a Addr) Watched {
	frame := v.Frame(ctx, a)
	return Watched{watched{name: a.String(), by: "the kernel", virt: v.g.directMap(ctx) + frame.Addr, frame: frame, v: v, at: a}}
}

// Frame is the byte's place in guest physical memory. Its page must be mapped.
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

// note keeps a frame for the witnesses.
func (g *Guest) note(w watched) {
	for _, known := range g.frames {
		if known.frame.Addr/g.page == w.frame.Addr/g.page {
			return
		}
	}
	g.frames = append(g.frames, w)
}

// ErrNotExact says that a machine check can't be made to land on an access here.
var ErrNotExact = errors.New("exact consumption needs TCG")

// UnreachedError says that what was to consume poison never came to the byte.
type UnreachedError struct {
	What  string // the access: "load file+0x4000"
	Where string // the byte, and who was to access it
	Why   string
}

func (e *UnreachedError) Error() string {
	return fmt.Sprintf("%s did not come by %s: %s", e.What, e.Where, e.Why)
}

const (
	// reachLimit bounds the way to the access, from when it was asked for. It is
	// longer than a host stands still.
	reachLimit = 30 * time.Second
	// stubLimit bounds an exchange with the gdb stub, likewise.
	stubLimit = 30 * time.Second
)

// Consume has the victim consume poison by a load: Guest.Consume with In and StartLoad.
func (v *Victim) Consume(ctx context.Context, m inject.MachineCheck, a Addr) *Observation {
	return v.g.Consume(ctx, m, v.In(ctx, a), func() *Started { return v.StartLoad(a) })
}

// Consume raises a machine check exactly at an access: the first one to the
// byte by what start starts. The outcome is that of what was started.
func (g *Guest) Consume(ctx context.Context, m inject.MachineCheck, at Watched, start func() *Started) *Observation {
	s, err := g.consume(ctx, m, at.watched, start)
	if err != nil {
		g.fail(fmt.Errorf("%s at an access to %s: %w", m, at.name, err))
	}
	return s.Wait(ctx)
}

func (g *Guest) consume(ctx context.Context, m inject.MachineCheck, at watched, start func() *Started) (*Started, error) {
	if err := exact(g.vm.Spec().Accel); err != nil {
		return nil, err
	}
	g.approach(ctx, 2) // the machine check, and what meets it
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
	record(g.rec, "host", fmt.Sprintf("%s at %s, as %s accesses it", m, at.name, at.by), observe.Outcome{}, "")
	return s, nil
}

// spinAhead is how long a spinning victim has loaded before the machine check is
// raised.
const spinAhead = 50 * time.Millisecond

// ConsumeInexact is for where Consume can't be exact: the victim loads the byte again and
// again, until it is signalled, while the machine check is raised on the first
// processor, whatever that is doing. Mostly it is the victim's loads; an
// interrupt at that moment makes it the kernel, which panics. A scenario that
// calls it knows that. A victim that is never signalled does not answer, which is
// trouble with the rig: no clock tells how long it loaded.
func (v *Victim) ConsumeInexact(ctx context.Context, m inject.MachineCheck, a Addr) *Observation {
	g, frame := v.g, v.Frame(ctx, a)
	g.approach(ctx, 2) // the machine check, and what meets it
	g.injected, g.poisoned = true, true
	s := v.send(&wire.Access{Kind: wire.Load, Addr: a.guest(), Width: 1, Spin: true}, fmt.Sprintf("load %s again and again", a), a)
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

// exact refuses an accelerator with which QEMU does not stop the processor at
// an access of every kind, nor deliver a machine check before it goes on.
func exact(accel qemu.Accel) error {
	if accel == qemu.TCG {
		return nil
	}
	return fmt.Errorf("%w: with %s the processor takes a machine check when it likes; give the scenario the trait Exactly, or use Victim.ConsumeInexact", ErrNotExact, accel)
}

// setBack gives a vCPU that read the byte at virt the registers that it had before,
// where hardware raises the machine check. Where they can't be computed the machine
// check would not be exact, which is an error. again says that the instruction did
// not come to its end, and will read once more: a copy whose destination is not
// mapped reads, and takes a page fault as it writes.
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

// interrupted reports whether the vCPU has just entered the handler of an exception
// of an instruction that is about to read the byte at virt: what the processor
// pushed begins with the instruction's address, or with an error code and that
// (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, section
// 6.14.2).
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

// stopped reads a vCPU's registers and the code around RIP, as package rewind wants it.
func stopped(ctx context.Context, stub *gdb.Client, cpu int) (r gdb.Registers, code []byte, err error) {
	if r, err = stub.Registers(ctx, cpu); err != nil {
		return r, nil, err
	}
	if code, err = around(ctx, stub, r.RIP); err != nil {
		err = fmt.Errorf("read the instruction at RIP %#x: %w", r.RIP, err)
	}
	return r, code, err
}

// around reads the code around RIP, as package rewind wants it, of the vCPU whose
// registers were read last. What lies on a page before that can't be read is
// taken for padding.
func around(ctx context.Context, stub *gdb.Client, rip uint64) ([]byte, error) {
	code, err := stub.Memory(ctx, rip-rewind.Behind, rewind.Behind+rewind.Ahead)
	page := rip &^ (1<<arch.PageShiftAMD64 - 1)
	if refused := (*gdb.RefusedError)(nil); !errors.As(err, &refused) || rip-page >= rewind.Behind {
		return code, err
	}
	some, err := stub.Memory(ctx, page, int(rip-page)+rewind.Ahead)
	return append(bytes.Repeat([]byte{nop}, rewind.Behind-int(rip-page)), some...), err
}

// nop is the instruction that does nothing.
const nop = 0x90

// physical is what a vCPU's page tables, as they are, make of an address.
func (g *Guest) physical(ctx context.Context, cpu int, virt uint64) (uint64, error) {
	var said string
	err := g.Monitor().Run(ctx, "human-monitor-command", map[string]any{"command-line": fmt.Sprintf("gva2gpa %#x", virt), "cpu-index": cpu}, &said)
	if err != nil {
		return 0, err
	}
	return physical(said)
}

// errUnmapped says that an address has no physical one.
var errUnmapped = errors.New("not mapped")

// physical is the physical address that QEMU's gva2gpa shows.
func physical(shown string) (uint64, error) {
	hex, found := strings.CutPrefix(strings.TrimSpace(shown), "gpa: 0x")
	if !found {
		return 0, errUnmapped
	}
	return strconv.ParseUint(hex, 16, 64)
}

// directMap is where the kernel maps all physical memory.
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

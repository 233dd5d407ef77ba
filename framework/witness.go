package framework

import (
	"context"
	"encoding/binary"
	"fmt"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/guest/wire"
)

// readPart reads the first bytes of a file of the guest.
func (g *GuestVM) readPart(ctx context.Context, path string, n int) string {
	f := g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: path, Length: n}}).File
	if f.Errno != "" {
		g.fail(fmt.Errorf("read %s in the guest: %s", path, f.Errno))
	}
	return string(f.Data)
}

// collectPoison gathers the witnesses of poisoned memory: what the kernel counts,
// what it says of each page that poison was aimed at, and what QEMU told.
func (g *GuestVM) collectPoison(ctx context.Context) error {
	if !g.poisoned {
		return nil
	}
	type asked struct {
		name string
		say  func([]byte) string
		pending
	}
	var all []asked
	ask := func(name string, say func([]byte) string, r wire.ReadFile) {
		all = append(all, asked{name, say, g.vm.Send(&wire.Request{ReadFile: &r})})
	}
	if !g.told[observe.WitnessCorrupted] {
		ask(observe.WitnessCorrupted, hardwareCorrupted, wire.ReadFile{Path: "/proc/meminfo"})
	}
	for _, w := range g.frames {
		ask(observe.WitnessPageFlags+" "+w.name, kpageflags, wire.ReadFile{Path: "/proc/kpageflags", Offset: int64(w.frame.Addr / PageBytes * 8), Length: 8})
		if w.v != nil && !w.v.dead {
			ask(fmt.Sprintf("%s %s in %s", observe.WitnessPageMap, w.name, w.v.Role), pagemapBytes, wire.ReadFile{
				Path: fmt.Sprintf("/proc/%d/pagemap", w.v.PID), Offset: int64(w.at.guest() / PageBytes * 8), Length: 8,
			})
		}
	}
	for _, a := range all {
		reply, err := a.Wait(ctx)
		if err != nil {
			return err
		}
		g.rec.witness[a.name] = a.say(reply.File.Data)
	}
	if events := g.Monitor().Events("MEMORY_FAILURE"); len(events) > 0 {
		g.rec.witness[observe.WitnessQEMU] = memoryFailures(events)
	}
	return nil
}

// HardwareCorrupted is how much memory the kernel counts as lost, recorded as a
// step: where it is one, it is no witness any more.
func (g *GuestVM) HardwareCorrupted(ctx context.Context) *Seen {
	g.told[observe.WitnessCorrupted] = true
	return g.rec.add("agent", observe.WitnessCorrupted, observe.Outcome{Note: hardwareCorrupted([]byte(g.ReadFile(ctx, "/proc/meminfo")))}, "")
}

// hardwareCorrupted is the line of /proc/meminfo; a fresh guest has 0 kB.
func hardwareCorrupted(meminfo []byte) string {
	for line := range strings.Lines(string(meminfo)) {
		if value, ok := strings.CutPrefix(line, "HardwareCorrupted:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return observe.NotCounted
}

// kpageflags names what of a page's flags is about poison: bit 19 is
// KPF_HWPOISON, bit 20 KPF_NOPAGE (include/uapi/linux/kernel-page-flags.h).
// Persistent memory has no flags to show, and may lie beyond the file's end.
func kpageflags(entry []byte) string {
	if len(entry) != 8 {
		return "no page"
	}
	switch flags := binary.LittleEndian.Uint64(entry); {
	case flags>>19&1 != 0:
		return "hwpoison"
	case flags>>20&1 != 0:
		return "no page"
	}
	return "no hwpoison"
}

func pagemapBytes(entry []byte) string {
	if len(entry) != 8 {
		return "gone"
	}
	return pagemapWord(binary.LittleEndian.Uint64(entry))
}

// memoryFailures words QEMU's events (MEMORY_FAILURE in qapi/run-state.json).
func memoryFailures(events []qmp.Event) string {
	var words []string
	for _, e := range events {
		text := fmt.Sprintf("MEMORY_FAILURE %v %v", e.Data["recipient"], e.Data["action"])
		if flags, ok := e.Data["flags"].(map[string]any); ok {
			var set []string
			for name, value := range flags {
				if value == true {
					set = append(set, name)
				}
			}
			sort.Strings(set)
			text += " " + strings.Join(set, " ")
		}
		words = append(words, strings.TrimSpace(text))
	}
	return strings.Join(words, ", ")
}

// Waits for what a kernel does in its own time are bounded by how often the
// guest was asked, and answered: a host that stands still, or is busy, does not
// make a guest's time pass.
const (
	settlePoll  = 5 * time.Millisecond
	settlePolls = 1000
)

// AwaitBadBlocks waits until a device lists bad blocks, which a machine check
// adds by a work item (nfit_handle_mce, nvdimm_region_notify), and records them
// as a step: "none" where none came within the limit.
func (g *GuestVM) AwaitBadBlocks(ctx context.Context, d Device) *Seen {
	var text string
	g.poll(ctx, func() bool {
		text = badblocks(g.ReadFile(ctx, "/sys/block/"+d.Disk+"/badblocks"))
		return text != "none"
	})
	return g.badBlocks(d, text)
}

// AwaitLog waits until the kernel log has a line with the text, or the limit has
// passed: what the kernel does about poison in work items of its own is done
// when it says so. It records nothing: the line is in the log's witness.
func (g *GuestVM) AwaitLog(ctx context.Context, text string) {
	if g.dead {
		return
	}
	g.poll(ctx, func() bool {
		for _, l := range g.call(ctx, &wire.Request{KernelLog: &wire.KernelLog{Since: g.start}}).Log.Lines {
			if strings.Contains(l, text) {
				return true
			}
		}
		return false
	})
}

// Recovered is what memory_failure() says when it is done (action_result in
// mm/memory-failure.c), for AwaitLog.
const Recovered = "recovery action"

// poll asks until done says so, settlePolls times at most.
func (g *GuestVM) poll(ctx context.Context, done func() bool) {
	for n := 0; !done() && n < settlePolls; n++ {
		select {
		case <-ctx.Done():
			g.fail(context.Cause(ctx))
		case <-time.After(settlePoll):
		}
	}
}

// AwaitSignal waits until the victim, which does nothing, was signalled, and
// records the signals as a step: none where none came within the limit.
func (v *Victim) AwaitSignal(ctx context.Context) *Seen {
	return v.idle(ctx, settlePolls)
}

// Idle records the signals that came to the victim so far while it did nothing.
func (v *Victim) Idle(ctx context.Context) *Seen { return v.idle(ctx, 0) }

func (v *Victim) idle(ctx context.Context, polls int) *Seen {
	for n := 0; ; n++ {
		reply := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "getpid"}})
		if reply.Died != nil {
			return v.g.rec.add(v.Role, "do nothing", observe.Outcome{Exit: v.died(reply.Died)}, "")
		}
		if signals := v.signals(reply.Called.Signals); len(signals) > 0 || n >= polls {
			return v.g.rec.add(v.Role, "do nothing", observe.Outcome{Signals: signals}, "")
		}
		time.Sleep(settlePoll)
	}
}

// Frame is a byte of the device in guest physical memory.
func (g *GuestVM) Frame(d Device, offset int64) inject.Frame {
	f := inject.Frame{Addr: d.Physical + uint64(offset), Name: fmt.Sprintf("%s+%#x", d.Name, offset)}
	g.note(watched{name: f.Name, frame: f})
	return f
}

// Frame is a byte of the file in guest physical memory: of a file on persistent
// memory, whatever is mapped.
func (f *File) Frame(offset int64) inject.Frame {
	b, err := f.Blocks(offset, PageBytes)
	if err != nil {
		f.g.fail(err)
	}
	frame := inject.Frame{Addr: f.Mount.Device.Physical + uint64(b.Sector*512), Name: b.Name}
	f.g.note(watched{name: frame.Name, frame: frame})
	return frame
}

// KillEarly asks for the kill that this process gets for poison that it has mapped but
// did not touch (PR_MCE_KILL in prctl(2)): early is news of it at once.
func (v *Victim) KillEarly(ctx context.Context) {
	const prMCEKill, set, early = 33, 1, 1
	if seen := v.Syscall(ctx, "prctl", prMCEKill, set, early, 0, 0); seen.Errno != "" {
		v.g.fail(fmt.Errorf("prctl(PR_MCE_KILL) in %s: %s", v.Role, seen.Errno))
	}
}

// Rebind takes a device from its driver and gives it back, which reads anew
// what the bus knows of it.
func (g *GuestVM) Rebind(ctx context.Context, d Device) Device {
	g.Unmount(ctx, d)
	link := g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: "readlinkat", Args: []wire.Arg{{Int: -100}, {Str: "/sys/block/" + d.Disk + "/device"}, {Out: 256}, {Int: 256}}}}).Called
	if link.Errno != "" || len(link.Out) == 0 {
		g.fail(fmt.Errorf("find the device behind %s: %s", d.Name, link.Errno))
	}
	name := path.Base(string(link.Out[0][:link.Ret]))
	g.WriteFile(ctx, "/sys/bus/nd/drivers/nd_pmem/unbind", name)
	g.WriteFile(ctx, "/sys/bus/nd/drivers/nd_pmem/bind", name)
	g.rec.add("agent", "unbind and bind "+d.Name, observe.Outcome{}, "")
	return g.Pmem(ctx, NFIT, d.FS)
}

// Pipe makes a pipe in the victim (pipe2(2)).
func (v *Victim) Pipe(ctx context.Context) (r, w FD) {
	called := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "pipe2", Args: []wire.Arg{{Out: 8}, {Int: unix.O_CLOEXEC}}}}).Called
	if called.Errno != "" {
		v.g.fail(fmt.Errorf("pipe2 in %s: %s", v.Role, called.Errno))
	}
	fds := called.Out[0]
	return FD{int(binary.LittleEndian.Uint32(fds)), "pipe"}, FD{int(binary.LittleEndian.Uint32(fds[4:])), "pipe"}
}

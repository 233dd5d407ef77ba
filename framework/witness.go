package framework

import (
	"context"
	"encoding/binary"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/klog"
)

// BadBlocks records the bad sectors that a device lists, "none" if there are none, for
// example to check what a write has cleared.
func (g *Guest) BadBlocks(ctx context.Context, d Device) *Observation {
	return g.badBlocks(d, observe.BadSectors(g.ReadFile(ctx, d.badBlocks())))
}

func (g *Guest) badBlocks(d Device, text string) *Observation {
	g.asStep[d.Disk] = true
	return record(g.rec, "agent", "badblocks of "+d.Name, observe.Outcome{Note: text}, "")
}

// IgnoreInWitness excludes matches of a regular expression in a witness from the comparison,
// and records the reason. Use it for results of races
// that the scenario cannot wait for.
func (g *Guest) IgnoreInWitness(witness, pattern, reason string) {
	g.rec.LeftOut = append(g.rec.LeftOut, observe.Ignored{Witness: witness, Pattern: pattern, Reason: reason})
}

// collect collects the witnesses at a scenario's end, while the guest still answers.
func (g *Guest) collect(ctx context.Context) error {
	if g.dead {
		return nil
	}
	tainted := g.vm.Send(&wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/sys/kernel/tainted"}})
	if err := g.collectPoison(ctx); err != nil {
		return err
	}
	ask := func(req *wire.Request) (*wire.Reply, error) { return g.vm.Call(ctx, req) }
	reply, err := ask(&wire.Request{KernelLog: &wire.KernelLog{Since: g.start}})
	if err != nil {
		return err
	}
	g.rec.KernelLog = reply.Log.Lines
	if err := g.vm.StoodStill(reply.Log.Lines); err != nil {
		return err
	}
	g.rec.Witnesses[observe.WitnessLog] = observe.Log(reply.Log.Lines, g.roles(), g.rec.LeftOut)
	g.rec.Witnesses[observe.WitnessSplats] = observe.NoSplats
	if splats := klog.Splats(reply.Log.Lines); len(splats) > 0 {
		g.rec.Witnesses[observe.WitnessSplats] = strings.Join(splats, "\n")
	}
	reply, err = tainted.Wait(ctx)
	if err != nil {
		return err
	}
	if now, err := strconv.ParseUint(strings.TrimSpace(string(reply.File.Data)), 10, 64); err == nil {
		g.rec.Witnesses[observe.WitnessTaint] = klog.Taint(g.vm.Hello.Taint, now)
	}
	disks := map[string]Device{}
	for _, m := range g.mounted {
		if strings.HasPrefix(m.Device.Disk, "pmem") && !g.asStep[m.Device.Disk] {
			disks[m.Device.Disk] = m.Device
		}
	}
	var names []string
	for n := range disks {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		reply, err := ask(&wire.Request{ReadFile: &wire.ReadFile{Path: disks[n].badBlocks()}})
		if err != nil {
			return err
		}
		g.rec.Witnesses[observe.WitnessBadBlocks+" "+disks[n].Name] = observe.BadSectors(string(reply.File.Data))
	}
	return g.watcher.failed()
}

// roles returns the names of victims, by process id, and of the devices in use.
func (g *Guest) roles() observe.Roles {
	roles := observe.Roles{Processes: map[string]string{}, Disks: g.disks, Files: g.paths}
	for role, v := range g.victims {
		roles.Processes[fmt.Sprint(v.PID)] = role
	}
	return roles
}

// Present records whether the page at an address is in the victim's page table
// (/proc/PID/pagemap, bit 63; Documentation/admin-guide/mm/pagemap.rst). A page that was
// never touched is present if a huge page maps it; FilePmdMapped in smaps cannot show
// that, because it does not count DAX pages before v6.15.
func (v *Victim) Present(ctx context.Context, a Addr) *Observation {
	note := observe.PageMapEntry(v.pagemap(ctx, a))
	return record(v.g.rec, "agent", fmt.Sprintf("pagemap of %s in %s", a, v.Role), observe.Outcome{Note: note}, "")
}

// pagemap returns the page map's entry for an address.
func (v *Victim) pagemap(ctx context.Context, a Addr) uint64 {
	f := v.g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{
		Path: fmt.Sprintf("/proc/%d/pagemap", v.PID), Offset: int64(a.guest() / v.g.page * 8), Length: 8,
	}}).File
	if f.Errno != "" || len(f.Data) != 8 {
		v.g.fail(fmt.Errorf("read the page map of %s: %d bytes %s", v.Role, len(f.Data), f.Errno))
	}
	return binary.LittleEndian.Uint64(f.Data)
}

// collectPoison collects the witnesses of poisoned memory: the kernel's counters and trace
// events, the flags and page map of each page that was a target of poison, and QEMU's events.
func (g *Guest) collectPoison(ctx context.Context) error {
	if !g.poisoned {
		return nil
	}
	type asked struct {
		name  string
		value func([]byte) string
		*vm.Pending
	}
	var all []asked
	ask := func(name string, value func([]byte) string, r wire.ReadFile) {
		all = append(all, asked{name, value, g.vm.Send(&wire.Request{ReadFile: &r})})
	}
	if !g.asStep[observe.WitnessCorrupted] {
		ask(observe.WitnessCorrupted, observe.HardwareCorrupted, wire.ReadFile{Path: "/proc/meminfo"})
	}
	for _, w := range g.frames {
		ask(
			observe.WitnessPageFlags+" "+w.name,
			observe.PageFlags,
			wire.ReadFile{Path: "/proc/kpageflags", Offset: int64(w.frame.Addr / g.page * 8), Length: 8},
		)
		if w.v != nil && !w.v.dead {
			ask(fmt.Sprintf("%s %s in %s", observe.WitnessPageMap, w.name, w.v.Role), observe.PageMap, wire.ReadFile{
				Path: fmt.Sprintf("/proc/%d/pagemap", w.v.PID), Offset: int64(w.at.guest() / g.page * 8), Length: 8,
			})
		}
	}
	for _, a := range all {
		reply, err := a.Wait(ctx)
		if err != nil {
			return err
		}
		g.rec.Witnesses[a.name] = a.value(reply.File.Data)
	}
	if err := g.collectMonitoring(ctx); err != nil {
		return err
	}
	if events := g.Monitor().Events("MEMORY_FAILURE"); len(events) > 0 {
		var data []map[string]any
		for _, e := range events {
			data = append(data, e.Data)
		}
		g.rec.Witnesses[observe.WitnessQEMU] = observe.MemoryFailures(data)
	}
	return nil
}

// HardwareCorrupted records how much memory the kernel counts as lost to errors
// (/proc/meminfo). In a scenario that calls it, this is a step instead of a witness.
func (g *Guest) HardwareCorrupted(ctx context.Context) *Observation {
	g.asStep[observe.WitnessCorrupted] = true
	return record(
		g.rec,
		"agent",
		observe.WitnessCorrupted,
		observe.Outcome{Note: observe.HardwareCorrupted([]byte(g.ReadFile(ctx, "/proc/meminfo")))},
		"",
	)
}

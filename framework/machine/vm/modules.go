package vm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/images"
)

// LoadModules loads a group of modules of the guest's initramfs, in its order. It ignores
// modules that are built in or loaded already, and those of a soft dependency that this
// CPU cannot use.
func (g *Guest) LoadModules(ctx context.Context, group string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("not loaded within %v", callLimit))
	defer cancel()
	ctx, unwatch := g.watch(ctx)
	defer unwatch()
	if err := g.loadModules(ctx, group); err != nil {
		return g.guestError(ctx, "load modules", err)
	}
	return nil
}

func (g *Guest) loadModules(ctx context.Context, group string) error {
	list, err := g.agent.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: images.OnDemandList(group)}})
	if err != nil {
		return err
	}
	if list.File.Errno != "" {
		return fmt.Errorf("the initramfs has no group of modules %q", group)
	}
	for _, path := range strings.Fields(string(list.File.Data)) {
		fd, err := g.syscall(
			ctx,
			"openat",
			wire.Arg{Int: unix.AT_FDCWD},
			wire.Arg{Str: path},
			wire.Arg{Int: unix.O_RDONLY | unix.O_CLOEXEC},
			wire.Arg{},
		)
		if err != nil {
			return err
		}
		if fd.Errno != "" {
			return fmt.Errorf("open %s in the guest: %s", path, fd.Errno)
		}
		loaded, err := g.syscall(ctx, "finit_module", wire.Arg{Int: fd.Ret}, wire.Arg{In: []byte{0}}, wire.Arg{})
		if err != nil {
			return err
		}
		switch loaded.Errno {
		case "", "EEXIST", "ENODEV": // ENODEV: crc32c_intel, for one, without SSE 4.2
		default:
			return fmt.Errorf("load %s in the guest: %s", path, loaded.Errno)
		}
		if _, err := g.syscall(ctx, "close", wire.Arg{Int: fd.Ret}); err != nil {
			return err
		}
	}
	return nil
}

// Number and interval of the polls for disks.
const diskPolls, diskPoll = 1000, 5 * time.Millisecond

// completeBoot does, once the agent answers, what each scenario would do first: it loads
// the modules, removes what does not survive the freeze, finds the pmem devices, mounts
// the nvdimms' file systems with -o dax, and makes files on them. A template does that
// once for all clones.
func (g *Guest) completeBoot(ctx context.Context) error {
	for _, group := range bootGroups {
		if err := g.loadModules(ctx, group); err != nil {
			return err
		}
	}
	if err := g.unplugVirtioPmem(ctx); err != nil {
		return err
	}
	// A region's disk appears asynchronously after its driver was loaded. The limit
	// counts answered polls.
	for n := 0; ; n++ {
		devices, err := g.agent.call(ctx, &wire.Request{Pmem: &wire.Pmem{}})
		if err != nil {
			return err
		}
		g.Devices = devices.Devices
		if g.hasNVDIMMs() || g.lacksPmem() {
			break
		}
		if n == diskPolls {
			names := []string{}
			for _, d := range g.Devices {
				names = append(names, d.Name+" of "+d.Provider)
			}
			return fmt.Errorf(
				"the guest has no disk for each of its nvdimms, but %q: are nfit and nd_pmem among the modules?",
				names,
			)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(diskPoll):
		}
	}
	fileSystem := map[uint64]string{}
	for _, n := range NVDIMMs() {
		fileSystem[n.Addr] = n.FS
	}
	for _, d := range g.Devices {
		fs := fileSystem[d.Resource]
		if fs == "" {
			continue
		}
		dir := MountDir(d.Name)
		if _, err := g.syscall(
			ctx,
			"mkdirat",
			wire.Arg{Int: unix.AT_FDCWD},
			wire.Arg{Str: dir},
			wire.Arg{Int: 0o755},
		); err != nil {
			return err
		}
		mounted, err := g.mountQuietly(ctx, d.Name, dir, fs)
		if err != nil {
			return err
		}
		// On a kernel without this file system or without DAX, scenarios that need it are
		// skipped by the configuration; others mount again, and report the error.
		if mounted.Errno == "" {
			g.Mounted = append(g.Mounted, d.Name)
			if err := g.makeFiles(ctx, d); err != nil {
				return err
			}
		}
	}
	if err := g.trace(ctx); err != nil {
		return err
	}
	return g.rehearse(ctx)
}

// Files of the trace event ras:memory_failure_event, which a guest's kernel traces from its
// boot on, if it has tracing (Documentation/trace/events.rst). PID 1 mounts tracefs.
const (
	TraceSwitch = "/sys/kernel/tracing/events/ras/memory_failure_event/enable"
	TraceFile   = "/sys/kernel/tracing/trace"
)

// trace enables that event. A kernel without it has no such file.
func (g *Guest) trace(ctx context.Context) error {
	_, err := g.agent.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: TraceSwitch, Data: []byte("1")}})
	return err
}

// unplugVirtioPmem removes the virtio-pmem devices from the guest's kernel while they
// work. QEMU's device has no migration state: in a clone it is as after power-on, and a
// driver that was bound before the freeze (because it is built in) waits for ever for its
// answers, even in remove. Booted guests are treated in the same way, so that they do not
// differ from clones. A scenario that uses the device rescans the PCI bus
// (/sys/bus/pci/rescan).
func (g *Guest) unplugVirtioPmem(ctx context.Context) error {
	for i := range virtioSpecs {
		path := "/sys/bus/pci/devices/" + qemu.VirtioPmemPCI(i) + "/remove"
		reply, err := g.agent.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: []byte("1")}})
		if err != nil {
			return err
		}
		if reply.File.Errno != "" {
			return fmt.Errorf("write %s in the guest: %s", path, reply.File.Errno)
		}
	}
	return nil
}

// hasNVDIMMs reports whether the disks of all nvdimms exist.
func (g *Guest) hasNVDIMMs() bool {
	for _, n := range NVDIMMs() {
		if !slices.ContainsFunc(g.Devices, func(d wire.Device) bool { return d.Resource == n.Addr }) {
			return false
		}
	}
	return true
}

// lacksPmem reports whether the kernel has no driver for nvdimms.
func (g *Guest) lacksPmem() bool { return len(g.spec.Kernel.Lacks("ACPI_NFIT", "BLK_DEV_PMEM")) > 0 }

// MountDir returns the folder where a disk's file system is mounted.
func MountDir(disk string) string { return "/mnt/" + disk }

// syscall makes a system call in the agent.
func (g *Guest) syscall(ctx context.Context, name string, args ...wire.Arg) (*wire.SyscallReply, error) {
	reply, err := g.agent.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: name, Args: args}})
	if err != nil {
		return nil, err
	}
	return reply.Called, nil
}

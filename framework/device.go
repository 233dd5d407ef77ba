package framework

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Provider is a source of persistent memory.
type Provider string

const (
	NFIT   Provider = "nfit"   // QEMU's nvdimm: a write does not clear bad blocks
	E820   Provider = "e820"   // memmap=: a write clears bad blocks
	Virtio Provider = "virtio" // virtio-pmem: a write clears bad blocks; asynchronous, so no MAP_SYNC
)

// FS is a file system, and thereby selects the device that holds it.
type FS string

const (
	Ext4 FS = "ext4"
	XFS  FS = "xfs"
	// XFSReflink is XFS with shared extents. Kernels before v6.0 do not mount it with -o
	// dax.
	XFSReflink FS = "xfs-reflink"
)

// Text returns the file system's name as in a sentence: "ext4", "XFS", "XFS with reflink".
func (fs FS) Text() string {
	switch fs {
	case XFS:
		return "XFS"
	case XFSReflink:
		return "XFS with reflink"
	}
	return string(fs)
}

// Type returns the file system's type for mount(2).
func (fs FS) Type() string {
	if fs == XFSReflink {
		return "xfs"
	}
	return string(fs)
}

// nvdimm returns the address of the standard guest's nvdimm with the file system.
func (fs FS) nvdimm() uint64 {
	for _, n := range vm.NVDIMMs() {
		if n.FS == fs.Type() && n.Reflink == (fs == XFSReflink) {
			return n.Addr
		}
	}
	return 0
}

// Device is a block device of the guest.
type Device struct {
	Disk string // "pmem0"
	Name string // canonical: "pmem(nfit,ext4)"
	FS   FS     // that it was made with, "" without one
	// Physical is the guest physical address of the disk's first byte.
	Physical uint64
	Bytes    int64 // its size

	page uint64 // of the guest's kernel, in bytes
	list string // the file that lists its bad blocks, if not the disk's
	// bigBlocks is set if its file system has blocks larger than a page.
	bigBlocks bool
	medium    string // the disk below a device-mapper device, with the same sectors
}

// Pmem returns the standard guest's device of that provider and file system.
func (g *Guest) Pmem(ctx context.Context, p Provider, fs FS) Device {
	if p == Virtio {
		g.plugVirtioPmem(ctx)
		g.LoadModule(ctx, "virtio_pmem")
	}
	resource := uint64(0)
	if p == NFIT {
		resource = fs.nvdimm()
	}
	d := g.disk(ctx, p, resource, fmt.Sprintf("pmem(%s,%s)", p, fs))
	d.FS = fs
	return d
}

// disk returns the device of a provider at a guest physical address, 0 for any, and gives
// it a name.
func (g *Guest) disk(ctx context.Context, p Provider, resource uint64, name string) Device {
	devices := g.vm.Devices
	at := -1
	// The disk of a driver that was just loaded appears asynchronously.
	g.poll(ctx, func() bool {
		at = slices.IndexFunc(devices, func(d wire.Device) bool {
			return d.Provider == string(p) && (resource == 0 || d.Resource == resource)
		})
		if at < 0 {
			devices = g.call(ctx, &wire.Request{Pmem: &wire.Pmem{}}).Devices
		}
		return at >= 0
	})
	if at < 0 {
		g.fail(fmt.Errorf("the guest has no device for %s; it has %+v", name, devices))
	}
	d := devices[at]
	g.disks[d.Name] = name
	return Device{
		Disk:     d.Name,
		Name:     name,
		Physical: d.Resource + uint64(d.DataOffset),
		Bytes:    d.Bytes,
		page:     g.page,
	}
}

// plugVirtioPmem makes the guest's kernel find the virtio-pmem device, which package vm
// removes at the end of the boot.
func (g *Guest) plugVirtioPmem(ctx context.Context) {
	g.WriteFile(ctx, "/sys/bus/pci/rescan", "1")
}

// Blocks implements inject.Located.
func (d Device) Blocks(offset, n int64) (inject.Blocks, error) {
	return inject.Blocks{
		Disk:   d.noted(),
		Sector: offset / 512,
		Count:  n / 512,
		Name:   fmt.Sprintf("%s+%#x", d.Name, offset),
	}, nil
}

// badBlocks returns the path of the file that lists the device's bad blocks.
func (d Device) badBlocks() string { return cmp.Or(d.list, "/sys/block/"+d.Disk+"/badblocks") }

// noted returns the disk whose badblocks file lists the device's bad blocks.
func (d Device) noted() string { return cmp.Or(d.medium, d.Disk) }

// PageBytes implements inject.Located.
func (d Device) PageBytes() int64 { return int64(d.page) }

// Mount is a mounted file system.
type Mount struct {
	g      *Guest
	Device Device
	Dir    string
}

// DAX mounts the NFIT device with that file system and -o dax.
func (g *Guest) DAX(ctx context.Context, fs FS) *Mount {
	return g.Mount(ctx, g.Pmem(ctx, NFIT, fs), "dax")
}

// PageCache mounts the NFIT device with that file system and without dax, so that its
// files are read through the page cache, as on any block device.
func (g *Guest) PageCache(ctx context.Context, fs FS) *Mount {
	return g.Mount(ctx, g.Pmem(ctx, NFIT, fs), "")
}

// Mount mounts a device with these options. The nvdimms of a new guest are already
// mounted with -o dax; Mount unmounts them first if the options differ.
func (g *Guest) Mount(ctx context.Context, d Device, options string) *Mount {
	m := &Mount{g: g, Device: d, Dir: vm.MountDir(d.Disk)}
	if options != "dax" || !slices.Contains(g.vm.Mounted, d.Disk) || g.bare[d.Disk] {
		g.Unmount(ctx, d)
		// EEXIST is fine here; if the folder does not exist, mount fails.
		g.call(
			ctx,
			&wire.Request{
				Syscall: &wire.Syscall{Name: "mkdirat", Args: []wire.Arg{{Int: unix.AT_FDCWD}, {Str: m.Dir}, {Int: 0o755}}},
			},
		)
		wired, _ := wireArgs([]any{"/dev/" + d.Disk, m.Dir, d.FS.Type(), 0, options})
		switch mounted := g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: "mount", Args: wired}}).Called; {
		case mounted.Errno == "EINVAL" && d.FS == XFSReflink && strings.HasPrefix(options, "dax"):
			// xfs_fs_fill_super: "DAX and reflink cannot be used together!"
			g.fail(&unsupported{"this kernel refuses DAX on an XFS with reflink, as all did before v6.0"})
		case mounted.Errno == "ENOSYS" && d.bigBlocks:
			// xfs_fs_fill_super: "Only pagesize (4096) or less is supported."
			g.fail(&unsupported{"this kernel refuses an XFS with blocks larger than a page, as all did before v6.12 " +
				"and those without transparent huge pages do"})
		case mounted.Errno != "":
			g.fail(fmt.Errorf("mount %s with options %q: %s", d.Name, options, mounted.Errno))
		}
	}
	if options != "" {
		options = " -o " + options
	}
	record(g.rec, "agent", "mount "+d.Name+options, observe.Outcome{}, "")
	g.mounted = append(g.mounted, m)
	return m
}

// Unmount unmounts a device that a new guest has mounted, for scenarios that use the
// device itself.
func (g *Guest) Unmount(ctx context.Context, d Device) {
	if slices.Contains(g.vm.Mounted, d.Disk) && !g.bare[d.Disk] {
		g.callOK(ctx, "umount2", vm.MountDir(d.Disk), 0)
		g.bare[d.Disk] = true
	}
}

// Mapper creates a device-mapper device over all sectors of a device, or replaces its
// table. Kind "linear" passes requests on, kind "error" fails them.
func (g *Guest) Mapper(ctx context.Context, name, kind string, d Device) Device {
	t := wire.Target{Length: uint64(d.Bytes / 512), Type: kind}
	if kind == "linear" {
		t.Params = "/dev/" + d.Disk + " 0"
	}
	g.LoadModule(ctx, "dm_mod")
	g.Unmount(ctx, d)
	m := g.call(ctx, &wire.Request{DM: &wire.DM{Name: name, Table: []wire.Target{t}}}).Mapper
	if m.Errno != "" {
		g.fail(fmt.Errorf("dm table %s: %s", kind, m.Errno))
	}
	record(g.rec, "agent", fmt.Sprintf("dm-%s over %s", kind, d.Name), observe.Outcome{}, "")
	mapped := d
	mapped.medium = d.Disk
	mapped.Disk, mapped.Name = strings.TrimPrefix(m.Node, "/dev/"), "dm("+d.Name+")"
	return mapped
}

// WriteCache creates a dm-writecache device that caches writes to origin in the
// persistent memory of another device
// (Documentation/admin-guide/device-mapper/writecache.rst), records the result, and
// removes the device again.
func (g *Guest) WriteCache(ctx context.Context, memory, origin Device) *Observation {
	const name = "cached"
	g.LoadModule(ctx, "dm_mod")
	g.LoadModule(ctx, "dm_writecache")
	g.Unmount(ctx, memory)
	g.Unmount(ctx, origin)
	t := wire.Target{
		Length: uint64(origin.Bytes / 512),
		Type:   "writecache",
		Params: fmt.Sprintf("p /dev/%s /dev/%s %d 0", origin.Disk, memory.Disk, g.page),
	}
	m := g.call(ctx, &wire.Request{DM: &wire.DM{Name: name, Table: []wire.Target{t}}}).Mapper
	if m.Errno == "" {
		g.call(ctx, &wire.Request{DM: &wire.DM{Name: name}})
	}
	return record(
		g.rec,
		"agent",
		fmt.Sprintf("dm-writecache over %s in %s", origin.Name, memory.Name),
		observe.Outcome{Errno: m.Errno},
		"",
	)
}

// Frame returns the guest physical address of a byte of the device.
func (g *Guest) Frame(d Device, offset int64) inject.Frame {
	f := inject.Frame{Addr: d.Physical + uint64(offset), Page: g.page, Name: fmt.Sprintf("%s+%#x", d.Name, offset)}
	g.note(watched{name: f.Name, frame: f})
	return f
}

// Rebind unbinds a device from its driver and binds it again, which reads the bus's
// information about it again.
func (g *Guest) Rebind(ctx context.Context, d Device) Device {
	g.Unmount(ctx, d)
	name := g.ndDevice(ctx, d)
	g.WriteFile(ctx, "/sys/bus/nd/drivers/nd_pmem/unbind", name)
	g.WriteFile(ctx, "/sys/bus/nd/drivers/nd_pmem/bind", name)
	record(g.rec, "agent", "unbind and bind "+d.Name, observe.Outcome{}, "")
	return g.Pmem(ctx, NFIT, d.FS)
}

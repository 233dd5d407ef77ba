package framework

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// ndDevices is the sysfs folder of the devices on the persistent-memory bus.
const ndDevices = "/sys/bus/nd/devices/"

// DeviceDAX turns the NFIT device with ext4 into a character device, which maps its
// memory in pages of exactly align bytes (mode devdax in ndctl-create-namespace(1)). It
// returns that device as a File; its content is what the file system left there.
func (g *Guest) DeviceDAX(ctx context.Context, align int64) *File {
	return g.deviceDAX(ctx, g.Pmem(ctx, NFIT, Ext4), align)
}

// LargeDeviceDAX is DeviceDAX for the device of a guest with LargeNVDIMM, which is empty.
func (g *Guest) LargeDeviceDAX(ctx context.Context, align int64) *File {
	return g.deviceDAX(ctx, g.disk(ctx, NFIT, vm.LargeNVDIMM(), "pmem(nfit,large)"), align)
}

func (g *Guest) deviceDAX(ctx context.Context, disk Device, align int64) *File {
	g.Unmount(ctx, disk)
	holder := g.ndDevice(ctx, disk)
	region := path.Base(path.Dir(g.link(ctx, ndDevices+holder)))
	g.WriteFile(ctx, "/sys/bus/nd/drivers/nd_pmem/unbind", holder)
	namespace := holder
	if strings.HasPrefix(holder, "pfn") {
		namespace = g.word(ctx, ndDevices+holder+"/namespace")
		g.WriteFile(ctx, ndDevices+holder+"/namespace", "\n") // detaches the namespace
	}

	seed := g.word(ctx, ndDevices+region+"/dax_seed")
	for _, set := range [][2]string{
		{"uuid", "7a6e5b2c-93a4-4c1e-8f5d-0d6f6d64a001"}, // any will do
		{"mode", "ram"}, // the location of its struct pages
		{"align", fmt.Sprint(align)},
		{"namespace", namespace},
	} {
		path := ndDevices + seed + "/" + set[0]
		f := g.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: []byte(set[1])}}).File
		if set[0] == "align" && f.Errno == "EINVAL" {
			g.fail(&unsupported{fmt.Sprintf("this kernel or processor maps no DAX pages of %d KiB", align/KiB)})
		}
		if f.Errno != "" {
			g.fail(fmt.Errorf("write %q to %s in the guest: %s", set[1], path, f.Errno))
		}
	}
	g.LoadModule(ctx, "device_dax")
	g.LoadModule(ctx, "dax_pmem") // binds to the prepared device when it is loaded
	if !g.exists(ctx, ndDevices+seed+"/driver") {
		// A built-in driver probed the device before it was prepared.
		g.WriteFile(ctx, "/sys/bus/nd/drivers/dax_pmem/bind", seed)
	}
	name := "dax" + strings.TrimPrefix(namespace, "namespace")
	g.await(ctx, "/dev/"+name)

	number := func(attribute string) int64 {
		text := g.word(ctx, "/sys/bus/dax/devices/"+name+"/"+attribute)
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			g.fail(fmt.Errorf("%s of %s: %w", attribute, name, err))
		}
		return n
	}
	d := Device{
		Disk:     name,
		Name:     "devdax(nfit)",
		Physical: uint64(number("resource")),
		Bytes:    number("size"),
		page:     g.page,
		list:     ndDevices + region + "/badblocks",
	}
	record(
		g.rec,
		"agent",
		fmt.Sprintf("make %s of %s, aligned to %d KiB", d.Name, disk.Name, align/KiB),
		observe.Outcome{},
		"",
	)
	return &File{
		g:       g,
		Mount:   &Mount{g: g, Device: d},
		Path:    "/dev/" + name,
		Name:    "devdax",
		Bytes:   d.Bytes,
		Extents: []wire.Extent{{Length: d.Bytes}},
	}
}

// SystemRAM makes the kernel use the memory of a device-DAX device as RAM that can be
// removed again (dax_kmem in drivers/dax/kmem.c; ZONE_MOVABLE), and records how much.
func (g *Guest) SystemRAM(ctx context.Context, f *File) *RAM {
	device := path.Base(f.Path)
	g.WriteFile(ctx, "/sys/bus/dax/drivers/device_dax/unbind", device)
	g.LoadModule(ctx, "kmem")
	g.WriteFile(ctx, memoryBlocks+"auto_online_blocks", "online_movable") // not for the kernel itself
	g.WriteFile(ctx, "/sys/bus/dax/drivers/kmem/new_id", device)
	blockBytes, err := strconv.ParseUint(g.word(ctx, memoryBlocks+"block_size_bytes"), 16, 64)
	if err != nil {
		g.fail(fmt.Errorf("the size of memory blocks: %w", err))
	}
	r := &RAM{Device: f.Mount.Device, g: g, start: f.Mount.Device.Physical, end: f.Mount.Device.Physical + uint64(f.Bytes)}
	for n := (r.start + blockBytes - 1) / blockBytes; (n+1)*blockBytes <= r.end; n++ {
		block := fmt.Sprintf("%smemory%d", memoryBlocks, n)
		if !g.exists(ctx, block) {
			g.fail(&unsupported{"this kernel's dax_kmem does not take the device"})
		}
		r.blocks = append(r.blocks, block)
	}
	record(g.rec, "agent", fmt.Sprintf("use %s as RAM, %d MiB in blocks of %d MiB", f.Mount.Device.Name,
		uint64(len(r.blocks))*blockBytes/MiB, blockBytes/MiB), observe.Outcome{}, "")
	return r
}

// memoryBlocks is the folder of the memory blocks (Documentation/admin-guide/mm/memory-hotplug.rst).
const memoryBlocks = "/sys/devices/system/memory/"

// RAM is memory of a device that the kernel uses as RAM.
type RAM struct {
	Device Device

	g          *Guest
	start, end uint64 // guest physical addresses of the device
	blocks     []string
}

// Offline offlines all its memory blocks, and records the first errno. The flags of its
// pages are no witness after that: offline memory has none.
func (r *RAM) Offline(ctx context.Context) *Observation {
	r.g.frames = slices.DeleteFunc(r.g.frames, func(w watched) bool { return r.contains(w.frame.Addr) })
	var o observe.Outcome
	for _, b := range r.blocks {
		f := r.g.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: b + "/state", Data: []byte("offline")}}).File
		if o.Errno = f.Errno; o.Errno != "" {
			break
		}
	}
	return record(r.g.rec, "agent", "offline the memory blocks", o, "")
}

func (r *RAM) contains(addr uint64) bool { return addr >= r.start && addr < r.end }

// await waits until a file exists that a driver creates asynchronously.
func (g *Guest) await(ctx context.Context, name string) {
	if !g.poll(ctx, func() bool { return g.exists(ctx, name) }) {
		g.fail(fmt.Errorf("the guest has no %s", name))
	}
}

// exists reports whether the guest has a file of that name, of any type.
func (g *Guest) exists(ctx context.Context, name string) bool {
	// readlinkat fails with EINVAL for a file that is not a link.
	args := []wire.Arg{{Int: unix.AT_FDCWD}, {Str: name}, {Out: 1}, {Int: 1}}
	return g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: "readlinkat", Args: args}}).Called.Errno != "ENOENT"
}

// word returns the content of a sysfs file, without its newline.
func (g *Guest) word(ctx context.Context, name string) string {
	return strings.TrimSpace(g.ReadFile(ctx, name))
}

// ndDevice returns the device on the persistent-memory bus that a disk belongs to.
func (g *Guest) ndDevice(ctx context.Context, d Device) string {
	return path.Base(g.link(ctx, "/sys/block/"+d.Disk+"/device"))
}

// link returns the target of a symbolic link in the guest.
func (g *Guest) link(ctx context.Context, name string) string {
	const most = 256
	got := g.call(
		ctx,
		&wire.Request{
			Syscall: &wire.Syscall{
				Name: "readlinkat",
				Args: []wire.Arg{{Int: unix.AT_FDCWD}, {Str: name}, {Out: most}, {Int: most}},
			},
		},
	).Called
	if got.Errno != "" || got.Ret < 0 || got.Ret > int64(len(got.Out[0])) {
		g.fail(fmt.Errorf("read the link %s in the guest: %d %s", name, got.Ret, got.Errno))
	}
	return string(got.Out[0][:got.Ret])
}

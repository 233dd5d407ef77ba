package framework

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// ndDevices is where the bus of persistent memory has its devices.
const ndDevices = "/sys/bus/nd/devices/"

// DeviceDAX gives the memory of the NFIT device with ext4 to a character device,
// which maps it in pages of align bytes and no others (mode devdax in
// ndctl-create-namespace(1)). The file that it returns is the device: it holds what
// the file system left there.
func (g *Guest) DeviceDAX(ctx context.Context, align int64) *File {
	disk := g.Pmem(ctx, NFIT, Ext4)
	g.Unmount(ctx, disk)
	pfn := g.ndDevice(ctx, disk)
	region := path.Base(path.Dir(g.link(ctx, ndDevices+pfn)))
	namespace := g.word(ctx, ndDevices+pfn+"/namespace")
	g.WriteFile(ctx, "/sys/bus/nd/drivers/nd_pmem/unbind", pfn)
	g.WriteFile(ctx, ndDevices+pfn+"/namespace", "\n") // takes it away

	seed := g.word(ctx, ndDevices+region+"/dax_seed")
	for _, set := range [][2]string{
		{"uuid", "7a6e5b2c-93a4-4c1e-8f5d-0d6f6d64a001"}, // any will do
		{"mode", "ram"}, // where its struct pages are
		{"align", fmt.Sprint(align)},
		{"namespace", namespace},
	} {
		g.WriteFile(ctx, ndDevices+seed+"/"+set[0], set[1])
	}
	g.LoadModule(ctx, "device_dax")
	g.LoadModule(ctx, "dax_pmem") // takes what is prepared for it, as it is loaded
	if !g.exists(ctx, ndDevices+seed+"/driver") {
		// One that is built in saw the device before it was prepared.
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
	d := Device{Disk: name, Name: "devdax(nfit)", Physical: uint64(number("resource")), Bytes: number("size"), page: g.page, list: ndDevices + region + "/badblocks"}
	record(g.rec, "agent", fmt.Sprintf("make %s of %s, aligned to %d KiB", d.Name, disk.Name, align/KiB), observe.Outcome{}, "")
	return &File{g: g, Mount: &Mount{g: g, Device: d}, Path: "/dev/" + name, Name: "devdax", Bytes: d.Bytes, Extents: []wire.Extent{{Length: d.Bytes}}}
}

// await waits until there is a file, which a driver makes in its own time.
func (g *Guest) await(ctx context.Context, name string) {
	if !g.poll(ctx, func() bool { return g.exists(ctx, name) }) {
		g.fail(fmt.Errorf("the guest has no %s", name))
	}
}

// exists reports whether the guest has a file of that name, of whatever kind.
func (g *Guest) exists(ctx context.Context, name string) bool {
	// A file that is no link is EINVAL.
	args := []wire.Arg{{Int: unix.AT_FDCWD}, {Str: name}, {Out: 1}, {Int: 1}}
	return g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: "readlinkat", Args: args}}).Called.Errno != "ENOENT"
}

// word is what a file of sysfs holds, without its newline.
func (g *Guest) word(ctx context.Context, name string) string {
	return strings.TrimSpace(g.ReadFile(ctx, name))
}

// ndDevice is the device on the bus of persistent memory that a disk is of.
func (g *Guest) ndDevice(ctx context.Context, d Device) string {
	return path.Base(g.link(ctx, "/sys/block/"+d.Disk+"/device"))
}

// link is where a symbolic link of the guest leads.
func (g *Guest) link(ctx context.Context, name string) string {
	const most = 256
	got := g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: "readlinkat", Args: []wire.Arg{{Int: unix.AT_FDCWD}, {Str: name}, {Out: most}, {Int: most}}}}).Called
	if got.Errno != "" || got.Ret < 0 || got.Ret > int64(len(got.Out[0])) {
		g.fail(fmt.Errorf("read the link %s in the guest: %d %s", name, got.Ret, got.Errno))
	}
	return string(got.Out[0][:got.Ret])
}

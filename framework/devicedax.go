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

// ndDevices is the sysfs folder of the devices on the persistent-memory bus.
const ndDevices = "/sys/bus/nd/devices/"

// DeviceDAX turns the NFIT device with ext4 into a character device, which maps its
// memory in pages of exactly align bytes (mode devdax in ndctl-create-namespace(1)). It
// returns that device as a File; its content is what the file system left there.
func (g *Guest) DeviceDAX(ctx context.Context, align int64) *File {
	disk := g.Pmem(ctx, NFIT, Ext4)
	g.Unmount(ctx, disk)
	pfn := g.ndDevice(ctx, disk)
	region := path.Base(path.Dir(g.link(ctx, ndDevices+pfn)))
	namespace := g.word(ctx, ndDevices+pfn+"/namespace")
	g.WriteFile(ctx, "/sys/bus/nd/drivers/nd_pmem/unbind", pfn)
	g.WriteFile(ctx, ndDevices+pfn+"/namespace", "\n") // detaches the namespace

	seed := g.word(ctx, ndDevices+region+"/dax_seed")
	for _, set := range [][2]string{
		{"uuid", "7a6e5b2c-93a4-4c1e-8f5d-0d6f6d64a001"}, // any will do
		{"mode", "ram"}, // the location of its struct pages
		{"align", fmt.Sprint(align)},
		{"namespace", namespace},
	} {
		g.WriteFile(ctx, ndDevices+seed+"/"+set[0], set[1])
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

package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/gdb"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/guest/wire"
)

// Sizes. A guest's page is that of its architecture.
const (
	KiB       = 1 << 10
	MiB       = 1 << 20
	PageBytes = 4096 // x86-64
)

// Page is the offset of page n, in bytes.
func Page(n int64) int64 { return n * PageBytes }

// GuestVM is a scenario's guest. Its methods are the primitives: each does one
// thing and records what came of it. Where the rig fails them they end the
// scenario, which then is not judged.
type GuestVM struct {
	vm   *vm.Guest
	rec  *recorder
	fail func(error) // ends the scenario; does not return

	start   uint64         // kernel log position at the scenario's start
	names   map[string]int // how often a name was given out
	mounted []*Mount
	told    map[string]bool // witnesses that are a step already: disks for their bad blocks
	bare    map[string]bool // disks that Unmount unmounted
	victims map[string]*Victim

	stub     *gdb.Client // nil until something stopped the guest
	direct   uint64      // where the kernel maps physical memory, once asked for
	injected bool        // something was made bad, so that what follows is the kernel's doing
	poisoned bool        // memory was, so that its witnesses are worth asking
	frames   []watched   // pages that poison was aimed at
	mayPanic bool        // a panic is what the scenario is after
	dead     bool        // the guest panicked, as the scenario expected
}

func newGuestVM(g *vm.Guest, rec *recorder, fail func(error)) *GuestVM {
	return &GuestVM{vm: g, rec: rec, fail: fail, start: g.Welcome.KmsgSeq, names: map[string]int{}, told: map[string]bool{}, bare: map[string]bool{}, victims: map[string]*Victim{}}
}

// call asks the agent, and ends the scenario where it can't.
func (g *GuestVM) call(ctx context.Context, req *wire.Request) *wire.Reply {
	reply, err := g.vm.Call(ctx, req)
	if err != nil {
		g.ended(err)
	}
	return reply
}

// ended ends the scenario because the guest can't be asked.
func (g *GuestVM) ended(err error) {
	g.notePanic(err)
	g.fail(err)
}

// notePanic makes a panic that nobody expected a step of its own, where it came in
// none and after something was made bad.
func (g *GuestVM) notePanic(err error) {
	if t := (*vm.Trouble)(nil); !g.dead && !g.mayPanic && g.injected && errors.As(err, &t) && t.Kind == vm.Panic {
		g.rec.add("kernel", "panic", g.panicked(err), "")
	}
}

// lacking ends a scenario that the kernel turns out not to be able to do, for a
// reason that its configuration does not tell.
type lacking struct{ reason string }

func (l *lacking) Error() string { return l.reason }

// Monitor is the guest's QMP connection.
func (g *GuestVM) Monitor() *qemu.Monitor { return g.vm.Monitor() }

// unique numbers names: file, file2, file3.
func (g *GuestVM) unique(name string) string {
	g.names[name]++
	if n := g.names[name]; n > 1 {
		return fmt.Sprint(name, n)
	}
	return name
}

// Provider of persistent memory.
type Provider string

const (
	NFIT   Provider = "nfit"   // QEMU's nvdimm: badblocks can't be cleared by a write
	E820   Provider = "e820"   // memmap=: a write clears them
	Virtio Provider = "virtio" // virtio-pmem: likewise; asynchronous, so no MAP_SYNC
)

// FS is a file system, and with it the device that holds it.
type FS string

const (
	Ext4 FS = "ext4"
	XFS  FS = "xfs"
	// XFSReflink is XFS with shared extents. Kernels before v6.0 refuse it with -o dax.
	XFSReflink FS = "xfs-reflink"
)

// Type is what mount(2) calls the file system.
func (fs FS) Type() string {
	if fs == XFSReflink {
		return "xfs"
	}
	return string(fs)
}

// nvdimm is the address of the standard guest's nvdimm with the file system.
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
	FS   FS
	// Physical is the guest physical address of the disk's first byte.
	Physical uint64
	Bytes    int64
}

// Pmem is the standard guest's device of that provider and file system.
func (g *GuestVM) Pmem(ctx context.Context, p Provider, fs FS) Device {
	if p == Virtio {
		g.plugVirtioPmem(ctx)
		g.LoadModule(ctx, "virtio_pmem")
	}
	devices := g.vm.Devices
	// The disk of a driver that was just loaded comes up in its own time.
	for deadline := time.Now().Add(pmemLimit); ; time.Sleep(5 * time.Millisecond) {
		for _, d := range devices {
			if d.Provider == string(p) && (p != NFIT || d.Resource == fs.nvdimm()) {
				return Device{Disk: d.Name, Name: fmt.Sprintf("pmem(%s,%s)", p, fs), FS: fs, Physical: d.Resource + uint64(d.DataOffset), Bytes: d.Bytes}
			}
		}
		if time.Now().After(deadline) {
			g.fail(fmt.Errorf("the guest has no pmem of provider %s with %s; it has %+v", p, fs, devices))
		}
		devices = g.call(ctx, &wire.Request{Pmem: &wire.Pmem{}}).Devices
	}
}

// pmemLimit bounds the wait for a pmem disk.
const pmemLimit = 20 * time.Second

// LoadModule loads a module of vm's on-demand list with what it depends on. One
// that the kernel has built in, or loaded already, is fine.
func (g *GuestVM) LoadModule(ctx context.Context, name string) {
	if err := g.vm.LoadModules(ctx, name); err != nil {
		g.fail(err)
	}
}

// plugVirtioPmem has the guest's kernel find the virtio-pmem device, which
// package vm took from it at the end of its boot.
func (g *GuestVM) plugVirtioPmem(ctx context.Context) {
	g.WriteFile(ctx, "/sys/bus/pci/rescan", "1")
}

// Blocks makes a Device something to inject into.
func (d Device) Blocks(offset, n int64) (inject.Blocks, error) {
	return inject.Blocks{Disk: d.Disk, Sector: offset / 512, Count: n / 512, Name: fmt.Sprintf("%s+%#x", d.Name, offset)}, nil
}

// Mount is a mounted file system.
type Mount struct {
	g      *GuestVM
	Device Device
	Dir    string
}

// DAX mounts the NFIT device with that file system, with -o dax.
func (g *GuestVM) DAX(ctx context.Context, fs FS) *Mount {
	return g.Mount(ctx, g.Pmem(ctx, NFIT, fs), "dax")
}

// PageCache mounts the NFIT device with that file system without dax, so that
// its files are read through the page cache as from any block device.
func (g *GuestVM) PageCache(ctx context.Context, fs FS) *Mount {
	return g.Mount(ctx, g.Pmem(ctx, NFIT, fs), "")
}

// Mount mounts a device with these options. The nvdimms come mounted with -o dax;
// for another way they are unmounted first.
func (g *GuestVM) Mount(ctx context.Context, d Device, options string) *Mount {
	m := &Mount{g: g, Device: d, Dir: vm.MountDir(d.Disk)}
	if options != "dax" || !slices.Contains(g.vm.Mounted, d.Disk) {
		g.Unmount(ctx, d)
		// The folder may be there already, so this may say EEXIST; mount tells if it is not.
		g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: "mkdirat", Args: []wire.Arg{{Int: unix.AT_FDCWD}, {Str: m.Dir}, {Int: 0o755}}}})
		wired, _ := wireArgs([]any{"/dev/" + d.Disk, m.Dir, d.FS.Type(), 0, options})
		switch mounted := g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: "mount", Args: wired}}).Called; {
		case mounted.Errno == "EINVAL" && d.FS == XFSReflink && strings.HasPrefix(options, "dax"):
			// xfs_fs_fill_super: "DAX and reflink cannot be used together!"
			g.fail(&lacking{"this kernel refuses DAX on an XFS with reflink, as all did before v6.0"})
		case mounted.Errno != "":
			g.fail(fmt.Errorf("mount %s with options %q: %s", d.Name, options, mounted.Errno))
		}
	}
	if options != "" {
		options = " -o " + options
	}
	g.rec.add("agent", "mount "+d.Name+options, observe.Outcome{}, "")
	g.mounted = append(g.mounted, m)
	return m
}

// Unmount unmounts a device that comes mounted, for a scenario that needs it bare.
func (g *GuestVM) Unmount(ctx context.Context, d Device) {
	if slices.Contains(g.vm.Mounted, d.Disk) && !g.bare[d.Disk] {
		g.callOK(ctx, "umount2", vm.MountDir(d.Disk), 0)
		g.bare[d.Disk] = true
	}
}

// callOK makes a system call in the agent that sets the scenario up, and so must work.
func (g *GuestVM) callOK(ctx context.Context, name string, args ...any) *wire.Called {
	wired, words := wireArgs(args)
	called := g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: name, Args: wired}}).Called
	if called.Errno != "" {
		g.fail(fmt.Errorf("set up the guest: %s(%s): %s", name, words, called.Errno))
	}
	return called
}

// File is a file of the guest.
type File struct {
	g       *GuestVM
	Mount   *Mount
	Path    string
	Name    string // canonical: "file"
	Bytes   int64
	Extents []wire.Extent
}

// FileOption says how a file is made.
type FileOption func(*wire.MakeFile)

// Unwritten makes a file of blocks that are allocated but were never written.
func Unwritten() FileOption { return func(f *wire.MakeFile) { f.Layout = wire.Unwritten } }

// HugeAligned makes a file that 2 MiB pages can map: its first block lies at a
// multiple of 2 MiB in guest physical memory.
func HugeAligned() FileOption { return func(f *wire.MakeFile) { f.Align = 2 * MiB } }

// File makes a file, by default with every block written (page n full of
// Filled(n)), synced, and in no cache.
func (m *Mount) File(ctx context.Context, bytes int64, options ...FileOption) *File {
	f := &File{g: m.g, Mount: m, Name: m.g.unique("file"), Bytes: bytes}
	f.Path = m.Dir + "/" + f.Name
	req := &wire.MakeFile{Path: f.Path, Size: bytes, Layout: wire.Written, Base: int64(m.Device.Physical)}
	for _, o := range options {
		o(req)
	}
	f.Extents = m.g.call(ctx, &wire.Request{MakeFile: req}).Made.Extents
	action := fmt.Sprintf("make %s, %d bytes, %s", f.Name, bytes, req.Layout)
	if req.Align != 0 {
		action += fmt.Sprintf(", aligned to %d KiB", req.Align/KiB)
	}
	m.g.rec.add("agent", action, observe.Outcome{}, "")
	return f
}

// Filled is the byte that page n of a written file is full of.
func Filled(n int64) byte { return wire.Fill(n) }

// Blocks says where bytes of the file lie on its disk (FIEMAP).
func (f *File) Blocks(offset, n int64) (inject.Blocks, error) {
	for _, e := range f.Extents {
		if offset >= e.Logical && offset+n <= e.Logical+e.Length {
			return inject.Blocks{
				Disk: f.Mount.Device.Disk, Sector: (e.Physical + offset - e.Logical) / 512, Count: n / 512,
				Name: fmt.Sprintf("%s+%#x", f.Name, offset),
			}, nil
		}
	}
	return inject.Blocks{}, fmt.Errorf("%s has no single extent behind bytes %d to %d: %+v", f.Name, offset, offset+n, f.Extents)
}

// Inject applies an injection and records what the injector was told.
func (g *GuestVM) Inject(ctx context.Context, i inject.Injection) *Seen {
	o := g.apply(ctx, i)
	if o.Errno != "" {
		g.fail(fmt.Errorf("%s: %s", i.Action, o.Errno))
	}
	return g.rec.add("host", i.Action, o, "")
}

// Try is Inject for an injection whose refusal is what the scenario is after.
func (g *GuestVM) Try(ctx context.Context, i inject.Injection) *Seen {
	return g.rec.add("host", i.Action, g.apply(ctx, i), "")
}

// apply applies an injection, with the module that it needs.
func (g *GuestVM) apply(ctx context.Context, i inject.Injection) observe.Outcome {
	if i.Module != "" {
		g.LoadModule(ctx, i.Module)
	}
	g.injected, g.poisoned = true, g.poisoned || i.Memory
	o, err := i.Apply(ctx, g.vm)
	if err != nil {
		g.ended(fmt.Errorf("%s: %w", i.Action, err))
	}
	return o
}

// ReadFile reads a file of the guest: of sysfs or procfs, mostly. It records nothing.
func (g *GuestVM) ReadFile(ctx context.Context, path string) string {
	f := g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: path}}).File
	if f.Errno != "" {
		g.fail(fmt.Errorf("read %s in the guest: %s", path, f.Errno))
	}
	return string(f.Data)
}

// WriteFile writes a file of the guest with one write(2). It records nothing.
func (g *GuestVM) WriteFile(ctx context.Context, path, data string) {
	f := g.call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: []byte(data)}}).File
	if f.Errno != "" {
		g.fail(fmt.Errorf("write %q to %s in the guest: %s", data, path, f.Errno))
	}
}

// BadBlocks is the number of bad sectors that a file's disk lists, by name and
// count: witness of what a write cleared. It is recorded as a step.
func (g *GuestVM) BadBlocks(ctx context.Context, d Device) *Seen {
	return g.badBlocks(d, badblocks(g.ReadFile(ctx, "/sys/block/"+d.Disk+"/badblocks")))
}

func (g *GuestVM) badBlocks(d Device, text string) *Seen {
	g.told[d.Disk] = true
	return g.rec.add("agent", "badblocks of "+d.Name, observe.Outcome{Note: text}, "")
}

// badblocks is a badblocks file's text without the places, which differ with
// the layout of the file system: "none", or "8 sectors", "8 sectors, 1 sectors".
func badblocks(text string) string {
	var parts []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if _, n, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			parts = append(parts, n+" sectors")
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// Mapper makes (or gives a new table to) a device-mapper device over a device,
// whose sectors it has all: linear passes them on, error refuses them.
func (g *GuestVM) Mapper(ctx context.Context, name, kind string, d Device) Device {
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
	g.rec.add("agent", fmt.Sprintf("dm-%s over %s", kind, d.Name), observe.Outcome{}, "")
	mapped := d
	mapped.Disk, mapped.Name = strings.TrimPrefix(m.Node, "/dev/"), "dm("+d.Name+")"
	return mapped
}

// LeaveOut keeps what matches a pattern (a regular expression) in a witness out
// of the comparison, for a reason that the record keeps: what races is either
// waited for or left out.
func (g *GuestVM) LeaveOut(witness, pattern, reason string) {
	g.rec.leftOut = append(g.rec.leftOut, observe.LeftOut{Witness: witness, Pattern: pattern, Reason: reason})
}

// collect gathers the witnesses at a scenario's end, while the guest still answers.
func (g *GuestVM) collect(ctx context.Context) error {
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
	g.rec.klog = reply.Log.Lines
	g.rec.witness[observe.WitnessLog] = observe.Log(reply.Log.Lines, g.roles(), g.rec.leftOut)
	g.rec.witness[observe.WitnessSplats] = observe.NoSplats
	if splats := observe.Splats(reply.Log.Lines); len(splats) > 0 {
		g.rec.witness[observe.WitnessSplats] = strings.Join(splats, "\n")
	}
	reply, err = tainted.Wait(ctx)
	if err != nil {
		return err
	}
	if now, err := strconv.ParseUint(strings.TrimSpace(string(reply.File.Data)), 10, 64); err == nil {
		g.rec.witness[observe.WitnessTaint] = observe.Taint(g.vm.Welcome.Taint, now)
	}
	disks := map[string]Device{}
	for _, m := range g.mounted {
		if strings.HasPrefix(m.Device.Disk, "pmem") && !g.told[m.Device.Disk] {
			disks[m.Device.Disk] = m.Device
		}
	}
	var names []string
	for n := range disks {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		reply, err := ask(&wire.Request{ReadFile: &wire.ReadFile{Path: "/sys/block/" + n + "/badblocks"}})
		if err != nil {
			return err
		}
		g.rec.witness[observe.WitnessBadBlocks+" "+disks[n].Name] = badblocks(string(reply.File.Data))
	}
	return nil
}

// roles are the victims' roles by process id.
func (g *GuestVM) roles() map[string]string {
	roles := map[string]string{}
	for role, v := range g.victims {
		roles[fmt.Sprint(v.PID)] = role
	}
	return roles
}

var errNoGuest = errors.New("framework.Guest was called outside a scenario; make the spec one with framework.Scenario")

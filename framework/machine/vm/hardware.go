package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/images"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/modules"
)

// The standard guest. It has all kinds of pmem that scenarios use, so that one template
// per kernel is enough.
const (
	ramBytes  = 512 * qemu.MiB
	e820Addr  = 256 * qemu.MiB // guest physical; RAM of less than 2 GiB is contiguous from 0
	e820Bytes = 64 * qemu.MiB
)

// Pmem devices of the standard guest, by provider and in the kernel's order.
var (
	nvdimmSpecs = []images.PmemSpec{
		{FS: images.Ext4, Mode: images.FSDAX, Size: 256 * qemu.MiB, Label: "nfit-ext4"},
		{FS: images.XFS, Mode: images.FSDAX, Size: 320 * qemu.MiB, Label: "nfit-xfs"},
		{FS: images.XFS, Mode: images.FSDAX, Size: 320 * qemu.MiB, Label: "nfit-xfs-rl", Reflink: true, RMapBT: true},
	}
	virtioSpecs = []images.PmemSpec{
		{FS: images.Ext4, Size: 128 * qemu.MiB, Label: "vpmem-ext4"},
	}
	largeSpec = images.PmemSpec{Size: 3 << 30, Label: "nfit-large"} // Spec.LargeNVDIMM
	e820Spec  = images.PmemSpec{FS: images.Ext4, Size: e820Bytes, Label: "e820-ext4"}
)

// NVDIMM is one of the standard guest's nvdimms.
type NVDIMM struct {
	FS      string // "ext4" or "xfs"
	Reflink bool   // xfs only
	Addr    uint64 // guest physical address of its first byte
}

// NVDIMMs returns the standard guest's nvdimms.
func NVDIMMs() []NVDIMM {
	m := standardNVDIMMs()
	var all []NVDIMM
	for i, s := range nvdimmSpecs {
		all = append(all, NVDIMM{FS: string(s.FS), Reflink: s.Reflink, Addr: uint64(m.NVDIMMAddr(i))})
	}
	return all
}

// LargeNVDIMM returns the guest physical address of the nvdimm of Spec.LargeNVDIMM.
func LargeNVDIMM() uint64 { return uint64(standardNVDIMMs().NVDIMMAddr(len(nvdimmSpecs))) }

func standardNVDIMMs() (m qemu.Machine) {
	for _, s := range nvdimmSpecs {
		m.NVDIMMs = append(m.NVDIMMs, qemu.File{Bytes: s.Size})
	}
	return m
}

// guestModules are the modules that PID 1 loads, besides dependencies, in this order:
// only those that are needed to communicate with the guest. A kernel may not have some,
// or have them built in.
var guestModules = []string{
	"pvpanic-mmio", // first, so that a panic of a later one is reported
	"virtio_pci", "virtio_console", "virtio_net",
}

// bootGroups are loaded once the agent answers, in this order, before a boot is complete
// or a template is frozen. ext4 and xfs request crc32c by name.
var bootGroups = []string{"nd_pmem", "nd_e820", "nfit", "crc32c_generic", "ext4", "xfs"}

// onDemandGroups are loaded by the scenarios that need them; virtio_pmem has no device
// before, see unplugVirtioPmem.
var onDemandGroups = []string{
	"virtio_pmem",
	"dm_mod",
	"dm_writecache",
	"device_dax",
	"dax_pmem",
	"kmem",
	"hwpoison_inject",
	"mce_inject",
}

// parts are the files of which guests of a kernel are made.
type parts struct {
	initramfs *images.Image
	nvdimms   []*images.Pmem
	virtio    []*images.Pmem
	e820      *images.Pmem
}

// prepare makes the parts or finds them in the cache.
func (r *Host) prepare(ctx context.Context, s Spec) (_ *parts, err error) {
	nvdimms := nvdimmSpecs
	if s.LargeNVDIMM {
		nvdimms = append(slices.Clone(nvdimms), largeSpec)
	}
	p := &parts{nvdimms: make([]*images.Pmem, len(nvdimms)), virtio: make([]*images.Pmem, len(virtioSpecs))}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	var g errgroup.Group // not WithContext: the first error is returned, the others finish
	g.Go(func() (err error) {
		p.initramfs, err = r.initramfs(ctx, s.Kernel)
		return err
	})
	pmem := func(spec images.PmemSpec, to **images.Pmem) {
		g.Go(func() (err error) {
			*to, err = images.MakePmem(ctx, r.Cache, spec)
			return err
		})
	}
	for i, spec := range nvdimms {
		pmem(spec, &p.nvdimms[i])
	}
	for i, spec := range virtioSpecs {
		pmem(spec, &p.virtio[i])
	}
	pmem(e820Spec, &p.e820)
	return p, g.Wait()
}

func (p *parts) all() []*images.Pmem {
	return append(append(append([]*images.Pmem{}, p.nvdimms...), p.virtio...), p.e820)
}

func (p *parts) close() {
	p.initramfs.Close()
	for _, i := range p.all() {
		if i != nil {
			i.Close()
		}
	}
}

func (r *Host) initramfs(ctx context.Context, k *kernels.Kernel) (*images.Image, error) {
	load := func(names ...string) (list []images.ModuleFile, err error) {
		seen := map[string]bool{}
		for _, name := range names {
			files, err := k.Modules(name)
			if unknown := (*modules.UnknownError)(nil); err != nil && !errors.As(err, &unknown) {
				return nil, err
			} // a scenario that needs an unknown one is skipped by the kernel's configuration
			for _, f := range files {
				if !seen[f.Name] {
					seen[f.Name] = true
					list = append(list, images.ModuleFile{
						Name: f.Name, Digest: k.Digest + "/" + f.Name,
						Open: func() ([]byte, error) { return modules.Read(f.Path) },
					})
				}
			}
		}
		return list, nil
	}
	spec := images.InitramfsSpec{Init: r.init.path, OnDemand: map[string][]images.ModuleFile{}}
	var err error
	if spec.Modules, err = load(guestModules...); err != nil {
		return nil, err
	}
	for _, name := range append(append([]string{}, bootGroups...), onDemandGroups...) {
		if spec.OnDemand[name], err = load(name); err != nil {
			return nil, err
		}
	}
	return images.Initramfs(ctx, r.Cache, spec)
}

// machine describes the standard guest with its own RAM file in dir. With share
// set, guest writes reach the files, so all of them are copies in dir too.
func (p *parts) machine(ctx context.Context, s Spec, dir string, share bool) (qemu.Machine, error) {
	m := qemu.Machine{
		Accel: s.Accel, CPUs: s.CPUs, CPU: s.CPU, Kernel: s.Kernel.Image, Initrd: p.initramfs.Path,
		RAM:      qemu.File{Path: filepath.Join(dir, "ram"), Bytes: s.ram()},
		E820Addr: e820Addr, E820Bytes: e820Bytes, Node: s.LargeNVDIMM, Share: share,
	}
	ram, err := os.OpenFile(m.RAM.Path, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err != nil {
		return m, &GuestError{Kind: HostFailed, Doing: "make the guest's memory", Err: err}
	}
	defer ram.Close()
	if err := ram.Truncate(s.ram()); err != nil {
		return m, &GuestError{Kind: HostFailed, Doing: "make the guest's memory", Err: err}
	}
	// memmap= makes pmem of RAM, so its content must be in RAM from the start.
	if err := images.CopySparseAt(ctx, ram, e820Addr, p.e820.Path); err != nil {
		return m, err
	}
	add := func(to *[]qemu.File, kind string, pmems []*images.Pmem) error {
		for i, image := range pmems {
			path := image.Path
			if share {
				path = filepath.Join(dir, fmt.Sprint(kind, i))
				if err := images.CopySparse(ctx, path, image.Path); err != nil {
					return err
				}
			}
			*to = append(*to, qemu.File{Path: path, Bytes: image.Spec.Size})
		}
		return nil
	}
	if err := add(&m.NVDIMMs, "nvdimm", p.nvdimms); err != nil {
		return m, err
	}
	return m, add(&m.VirtioPmem, "virtio", p.virtio)
}

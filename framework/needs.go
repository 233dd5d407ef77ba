package framework

import "github.com/faultline/faultline/framework/record/scenario"

// What a kernel must have for files on a device. A scenario says so with its
// other traits; what each of these stands for is in the kernel's Kconfig files.

// NeedsDisk is what a file system on a device of that provider takes.
func NeedsDisk(p Provider, fs FS) Trait {
	symbols := []string{"BLK_DEV_PMEM"}
	switch p {
	case NFIT:
		// The device's namespace is one of mode fsdax, whose info block nd_pfn reads.
		symbols = append(symbols, "ACPI_NFIT", "NVDIMM_PFN")
	case E820:
		symbols = append(symbols, "X86_PMEM_LEGACY")
	case Virtio:
		symbols = append(symbols, "VIRTIO_PMEM")
	}
	if fs == Ext4 {
		return Needs(append(symbols, "EXT4_FS")...)
	}
	return Needs(append(symbols, "XFS_FS")...)
}

// NeedsDAX is what a file system mounted with -o dax takes.
func NeedsDAX(p Provider, fs FS) Trait {
	return func(i *scenario.Info) {
		NeedsDisk(p, fs)(i)
		Needs("FS_DAX")(i)
	}
}

// NeedsHugeDAX is what a huge page of a DAX file takes; kernels with PREEMPT_RT
// have none.
func NeedsHugeDAX() Trait { return Needs("FS_DAX_PMD") }

// NeedsDeviceDAX is what Guest's DeviceDAX takes.
func NeedsDeviceDAX() Trait {
	return func(i *scenario.Info) {
		NeedsDisk(NFIT, Ext4)(i)
		Needs("NVDIMM_DAX", "DEV_DAX", "DEV_DAX_PMEM")(i)
	}
}

// NeedsPageMap is what it takes to ask where a page lies, or whether it is mapped
// (/proc/PID/pagemap): Guest's Frame and Victim's In, InKernel, Frame, Present.
func NeedsPageMap() Trait { return Needs("PROC_PAGE_MONITOR") }

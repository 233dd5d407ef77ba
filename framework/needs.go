package framework

import "github.com/faultline/faultline/framework/record/scenario"

// Traits for the configuration symbols that common setups need. The symbols are described
// in the kernel's Kconfig files.

// NeedsDisk lists what a file system on a device of that provider needs.
func NeedsDisk(p Provider, fs FS) Trait {
	symbols := []string{"BLK_DEV_PMEM"}
	switch p {
	case NFIT:
		// The device's namespace has mode fsdax, whose info block nd_pfn reads.
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

// NeedsDAX lists what a file system mounted with -o dax needs.
func NeedsDAX(p Provider, fs FS) Trait {
	return func(i *scenario.Info) {
		NeedsDisk(p, fs)(i)
		Needs("FS_DAX")(i)
	}
}

// NeedsHugeDAX lists what a huge page of a DAX file needs; kernels with PREEMPT_RT do not
// have it.
func NeedsHugeDAX() Trait { return Needs("FS_DAX_PMD") }

// NeedsDeviceDAX lists what Guest.DeviceDAX needs.
func NeedsDeviceDAX() Trait {
	return func(i *scenario.Info) {
		NeedsDisk(NFIT, Ext4)(i)
		Needs("NVDIMM_DAX", "DEV_DAX", "DEV_DAX_PMEM")(i)
	}
}

// NeedsPageMap lists what reading /proc/PID/pagemap needs, which Victim's Consume,
// ConsumeInexact, In, InKernel, Frame, Kind, Present and SwapSlot do.
func NeedsPageMap() Trait { return Needs("PROC_PAGE_MONITOR") }

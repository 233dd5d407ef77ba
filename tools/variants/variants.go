package main

import "slices"

// variant is a kernel: a source package with edits.
type variant struct {
	name    string
	version string // of linux-source-VERSION
	what    string
	edits   []edit
}

// The parts of upstream's 1ea7ca1b0901 (v6.5) that the configuration builds, rewritten for
// 6.1: EHWPOISON distinguishes a bad block from other errors on the path from the driver
// to a fault, and only there.
var (
	driverTells = []edit{{"drivers/nvdimm/pmem.c",
		"DAX_RECOVERY_WRITE)\n\t\t\treturn -EIO;",
		"DAX_RECOVERY_WRITE)\n\t\t\treturn -EHWPOISON;"}}

	faultMaps = []edit{{"fs/dax.c",
		"\treturn vmf_error(error);",
		"\treturn error == -EHWPOISON ? VM_FAULT_HWPOISON : vmf_error(error);"}}

	writeRecovers = []edit{{"fs/dax.c", "map_len == -EIO &&", "map_len == -EHWPOISON &&"}}

	readWriteConverts = []edit{{"fs/dax.c",
		"ret = map_len;",
		"ret = map_len == -EHWPOISON ? -EIO : map_len;"}}

	writeConverts = []edit{{"fs/dax.c",
		"ret = map_len;",
		"ret = write && map_len == -EHWPOISON ? -EIO : map_len;"}}

	othersConvert = []edit{
		{"fs/dax.c", // dax_iomap_cow_copy
			"&saddr, NULL);\n\tif (ret)\n\t\treturn ret;",
			"&saddr, NULL);\n\tif (ret)\n\t\treturn ret == -EHWPOISON ? -EIO : ret;"},
		{"fs/dax.c", // dax_memzero
			"return ret;\n\tmemset(",
			"return ret == -EHWPOISON ? -EIO : ret;\n\tmemset("},
		{"fs/dax.c", // dax_unshare_iter
			"out_unlock:\n\tdax_read_unlock(id);\n\treturn ret;",
			"out_unlock:\n\tdax_read_unlock(id);\n\treturn ret == -EHWPOISON ? -EIO : ret;"},
		{"drivers/dax/super.c",
			"\treturn dax_dev->ops->zero_page_range(dax_dev, pgoff, nr_pages);",
			"\tint err = dax_dev->ops->zero_page_range(dax_dev, pgoff, nr_pages);\n\n\treturn err == -EHWPOISON ? -EIO : err;"},
	}

	whole = slices.Concat(driverTells, faultMaps, writeRecovers, readWriteConverts, othersConvert)
)

// handler is the file with do_sigbus, which sends SIGBUS for poison to user space.
const handler = "arch/x86/mm/fault.c"

// variants are in an order in which neighbours share most of their sources.
var variants = []variant{
	{name: "6.12", version: "6.12", what: "unmodified: has dax_fault_hwpoison"},
	{name: "6.12-lost", version: "6.12", what: "a DAX fault on a bad block no longer reports poison",
		edits: []edit{{"fs/dax.c", "\treturn vmf_error(error);", "\treturn vmf_error(dax_mem2blk_err(error));"}}},

	{name: "6.1", version: "6.1", what: "unmodified: does not have dax_fault_hwpoison"},
	{name: "6.1-backport", version: "6.1", what: "the whole change", edits: whole},
	{name: "6.1-errno-only", version: "6.1", what: "only the driver's errno of the change", edits: driverTells},
	{name: "6.1-read-leaks", version: "6.1", what: "the change, but read(2) returns the driver's errno",
		edits: slices.Concat(driverTells, faultMaps, writeRecovers, writeConverts, othersConvert)},
	{name: "6.1-all-leak", version: "6.1", what: "the change, but all system calls return the driver's errno",
		edits: slices.Concat(driverTells, faultMaps, writeRecovers)},
	{name: "6.1-recovery-lost", version: "6.1", what: "the change, but a write no longer recovers a bad block",
		edits: slices.Concat(driverTells, faultMaps, readWriteConverts, othersConvert)},
	{
		name:    "6.1-cow-lost",
		version: "6.1",
		what:    "the change, but not for a private mapping that needs a copy",
		edits: slices.Concat(
			whole,
			[]edit{
				{"fs/dax.c", "\treturn dax_fault_return(error);", "\treturn dax_fault_return(error == -EHWPOISON ? -EIO : error);"},
			},
		),
	},
	{
		name:    "6.1-wrong-lsb",
		version: "6.1",
		what:    "the change; a fault on poison reports si_addr_lsb 21 for a page of 4 KiB",
		edits:   slices.Concat(whole, []edit{{handler, "lsb = PAGE_SHIFT;", "lsb = PMD_SHIFT;"}}),
	},
	{
		name:    "6.1-wrong-addr",
		version: "6.1",
		what:    "the change; a fault on poison reports the page in si_addr, not the byte",
		edits: slices.Concat(
			whole,
			[]edit{{handler, "BUS_MCEERR_AR, (void __user *)address,", "BUS_MCEERR_AR, (void __user *)(address & PAGE_MASK),"}},
		),
	},
	{name: "6.1-wrong-code", version: "6.1", what: "the change; a fault on poison reports BUS_MCEERR_AO",
		edits: slices.Concat(whole, []edit{{handler, "force_sig_mceerr(BUS_MCEERR_AR,", "force_sig_mceerr(BUS_MCEERR_AO,"}})},
	{
		name:    "6.1-warns",
		version: "6.1",
		what:    "a DAX fault on a bad block logs a WARNING",
		edits: []edit{
			{"fs/dax.c", "&kaddr, &pfn);\n\tif (err)", "&kaddr, &pfn);\n\tWARN_ON_ONCE(err && !pmd);\n\tif (err)"},
		},
	},
	{
		name:    "6.1-panics",
		version: "6.1",
		what:    "a write that recovers a bad block panics",
		edits: []edit{
			{
				"drivers/nvdimm/pmem.c",
				"\tolen = _copy_from_iter",
				"\tpanic(\"a write recovers a bad block\");\n\tolen = _copy_from_iter",
			},
		},
	},
	{name: "6.1-bare", version: "6.1", what: "without VIRTIO_NET, X86_MCE_INJECT and PROC_KCORE",
		edits: []edit{
			{
				"drivers/net/Kconfig",
				"\"Virtio network driver\"\n\tdepends on VIRTIO\n",
				"\"Virtio network driver\"\n\tdepends on VIRTIO && BROKEN\n",
			},
			{
				"arch/x86/Kconfig",
				"config X86_MCE_INJECT\n\tdepends on X86_MCE ",
				"config X86_MCE_INJECT\n\tdepends on BROKEN && X86_MCE ",
			},
			{"fs/proc/Kconfig", "if !ARM\n\tdepends on PROC_FS && MMU\n", "if !ARM\n\tdepends on PROC_FS && MMU && BROKEN\n"},
		}},
	{
		name:    "6.1-backport-and-more",
		version: "6.1",
		what:    "the whole change, and a fault after a file's end that reports poison",
		edits: slices.Concat(
			whole,
			[]edit{
				{
					"fs/dax.c",
					"i_size_read(iter.inode)) {\n\t\tret = VM_FAULT_SIGBUS;",
					"i_size_read(iter.inode)) {\n\t\tret = VM_FAULT_HWPOISON;",
				},
			},
		),
	},
	{name: "6.1-fault-only", version: "6.1", what: "only the fault handler's part of the change", edits: faultMaps},
}

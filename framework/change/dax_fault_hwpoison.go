package change

// DaxFaultHWPoison makes the DAX fault handler report poison. Faultline was written for it.
var DaxFaultHWPoison = Change{
	ID:       "dax_fault_hwpoison",
	Commit:   "1ea7ca1b0901",
	Subject:  "dax: enable dax fault handler to report VM_FAULT_HWPOISON",
	Since:    "v6.5",
	Effect:   "a DAX page fault on known poison gets SIGBUS BUS_MCEERR_AR with si_addr_lsb instead of BUS_ADRERR",
	CallPath: []string{"__pmem_direct_access", "dax_fault_iter", "dax_fault_return", "vmf_error", "do_sigbus"},
	Scenarios: []string{
		"dax/*/shared-read", "dax/*/shared-write", "dax/*/private-read", "dax/*/private-cow", "dax/*/sync-write",
		"dax/*/mkwrite", "dax/*/fork-child", "dax/*/ifetch", "dax/*/shared-read-twice", "dax/*/huge-bad",
		"dax/*/second-process", "dax/ext4/huge-unwritten-write", "dax/ext4/unwritten-write-twice",
		"dax/*/populate-*", "dax/*/map-populate", "dax/*/one-sector", "dax/*/moved", "dax/*/rebound",
		"dax/*/reflink-cow", "dax/*/huge-misaligned", "dax/*/dm-linear", "dax/writecache", "dax/*/mended",
		"dax/*/poison-mended", "dax/*/execve",
		// Their errno shows an incomplete backport.
		"dax/*/pread", "dax/*/pread-span", "dax/*/io-uring-read", "dax/*/pwrite", "dax/*/pwrite-part",
		"dax/*/pwrite-span", "dax/*/punch-part", "dax/*/truncate-part", "dax/*/sendfile", "dax/*/splice",
		"dax/*/copy-file-range",
		"mce/*/srar-shared", "mce/*/srar-private", "mce/*/srar-two-cpus", "mce/*/srar-broadcast", "mce/*/srar-huge",
		"mce/*/srar-other-late", "mce/*/srar-other-early", "mce/*/srao-early", "mce/*/srao-late",
		"mce/*/srao-in-guest", "mce/*/ucna", "mce/*/ucna-simulated",
	},
	// do_sigbus in arch/x86/mm/fault.c handles VM_FAULT_HWPOISON only with this symbol.
	NeedsConfig: []string{"MEMORY_FAILURE"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "dax/*/*",
			Witness:   "log",
			After:     "MCE: Killing * due to hardware memory corruption fault at N",
		}, // do_sigbus
		{
			Scenarios: "dax/writecache",
			Witness:   "log",
			After:     "device-mapper: table: *: writecache: Unable to map persistent memory for cache (-EHWPOISON)",
		},
		{Scenarios: "mce/*/*", Witness: "log", After: "MCE: Killing * due to hardware memory corruption fault at N"},
	},
	Signatures: []Signature{
		{ // not beyond the end of the file, nor in a copy of the page
			Places: []string{"dax-*"}, Actions: []string{"load BYTE", "store BYTE"},
			After: []string{"badblock", "consume"}, Without: []string{"truncate", "truncate-part"},
			Before: "SIGBUS BUS_ADRERR at BYTE", With: "SIGBUS BUS_MCEERR_AR lsb=12 at BYTE",
		},
		{ // MADV_POPULATE_READ and MADV_POPULATE_WRITE
			Places: []string{"dax-*"}, Actions: []string{"madvise(*, 4096, 22)", "madvise(*, 4096, 23)"},
			After: []string{"badblock", "consume"}, Without: []string{"truncate", "truncate-part"},
			Before: "EFAULT", With: "EHWPOISON",
		},
		{
			Places: []string{"dax-*"}, Witness: "log",
			With: "MCE: Killing PROCESS due to hardware memory corruption fault at N",
		},
	},
}

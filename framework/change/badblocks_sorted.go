package change

// BadblocksSorted keeps long ranges of bad blocks sorted, so that a lookup finds them.
var BadblocksSorted = Change{
	ID:      "badblocks_sorted",
	Commit:  "aa511ff8218b",
	Subject: "badblocks: switch to the improved badblock handling code",
	Since:   "v6.8",
	Effect: "reading a block within a long range of bad blocks fails with EIO; " +
		"it used to return data as if the block were good",
	CallPath:  []string{"badblocks_set", "badblocks_check", "pmem_do_read"},
	Scenarios: []string{"blockdev/pmem/pread-long-range", "blockdev/pmem/table-replace"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "blockdev/pmem/pread-long-range",
			Witness:   "log",
			After:     "Buffer I/O error on dev pmem(nfit,ext4), logical block *, async page read",
		},
		{
			Scenarios: "blockdev/pmem/table-replace",
			Witness:   "log",
			Before:    "Buffer I/O error on dev pmem(nfit,ext4), logical block *, async page read",
		},
	},
}

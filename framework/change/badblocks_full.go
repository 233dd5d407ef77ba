package change

// BadblocksFull refuses a range for which the table of bad blocks has no room. The mail to
// the stable list is for 6.14; 6.12.117 does not have it.
var BadblocksFull = Change{
	ID:      "badblocks_full",
	Commit:  "28243dcd1f49",
	Subject: "badblocks: return error directly when setting badblocks exceeds 512",
	Since:   "v6.15",
	Effect: "a range of bad blocks for which the table has no room is refused with ENOSPC; " +
		"the kernel used to list a part of it and to report success",
	CallPath:  []string{"badblocks_set"},
	Scenarios: []string{"blockdev/pmem/table-replace"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "blockdev/pmem/table-replace",
			Witness:   "log",
			Before:    "Buffer I/O error on dev pmem(nfit,ext4), logical block *, async page read",
		},
	},
}

package change

// ShmemKeepsErrorPage keeps a poisoned tmpfs page in its file.
var ShmemKeepsErrorPage = Change{
	ID:      "shmem_keeps_error_page",
	Commit:  "a76054266661",
	Subject: "mm: shmem: don't truncate page if memory failure happens",
	Since:   "v5.16",
	Effect: "a poisoned page of a tmpfs file stays poisoned for later mappings, reads and writes of the file; " +
		"it used to be replaced by a page of zeros",
	CallPath:  []string{"me_pagecache_dirty", "shmem_error_remove_page", "shmem_fault", "do_sigbus"},
	Scenarios: []string{"ram/tmpfs/*", "ram/removed/punch-part", "ram/huge-tmpfs/punch"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/tmpfs/*",
			Witness:   "log",
			After:     "MCE: Killing * due to hardware memory corruption fault at N",
		}, // do_sigbus
	},
}

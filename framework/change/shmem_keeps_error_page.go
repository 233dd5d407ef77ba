package change

// ShmemKeepsErrorPage keeps a poisoned page of a tmpfs in its file.
var ShmemKeepsErrorPage = Change{
	ID:        "shmem_keeps_error_page",
	Commit:    "a76054266661",
	Subject:   "mm: shmem: don't truncate page if memory failure happens",
	Since:     "v5.16",
	Effect:    "a poisoned page of a tmpfs file stays poison to who maps, reads or writes the file later, where it was a page of zeros",
	CallPath:  []string{"me_pagecache_dirty", "shmem_error_remove_page", "shmem_fault", "do_sigbus"},
	Scenarios: []string{"ram/tmpfs/*"},
	Witnesses: []Move{
		{Scenarios: "ram/tmpfs/*", Witness: "log", After: "MCE: Killing * due to hardware memory corruption fault at N"}, // do_sigbus
	},
}

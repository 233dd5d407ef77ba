package change

// UserfaultfdPoison lets a program mark memory as poisoned. Support for hugetlb came with
// another commit of the same release.
var UserfaultfdPoison = Change{
	ID:      "userfaultfd_poison",
	Commit:  "fc71884a5f59",
	Subject: "mm: userfaultfd: add new UFFDIO_POISON ioctl",
	Since:   "v6.6",
	Effect: "an access to memory that was marked with UFFDIO_POISON gets SIGBUS BUS_MCEERR_AR; " +
		"the ioctl used to fail with EINVAL",
	CallPath:  []string{"mfill_atomic_poison", "do_swap_page", "handle_pte_marker", "do_sigbus"},
	Scenarios: []string{"ram/userfaultfd/poison", "ram/userfaultfd/poison-*"},
	Witnesses: []WitnessEffect{
		{
			Scenarios: "ram/userfaultfd/*",
			Witness:   "log",
			After:     "MCE: Killing * due to hardware memory corruption fault at N",
		}, // do_sigbus
	},
}
